"""Where trunks reach us, when that is not where we are bound: an address that was set, or what a NAT makes of ours.

A STUN server (RFC 8489) is asked from the SIP socket itself, because a NAT maps sockets and not machines: at the start,
and every 25 s, which keeps the mapping too (RFC 4787 §4.3 lets a NAT forget it after two minutes, and many do sooner).
Media is told to come to the same address and to its own port: asking from every media socket would cost each call a
round trip, and a NAT that also changes those ports is found by `callwright doctor`.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from callwright.errors import SipSyntaxError, TelephonyError
from callwright.settings import HostPort
from callwright.sip import stun
from callwright.sip.outputs import Address
from callwright.sip.streams import TLS, UDP, place_text, transport_of
from callwright.telephony.resolver import Resolver
from callwright.telephony.trunk import Trunk

log = logging.getLogger(__name__)

ASK_EVERY_SECONDS = 25.0
FIRST_ANSWER_SECONDS = 2.0
"""How long a start waits for it: what is sent before says the wrong address."""
RETRANSMIT_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""RFC 8489 §6.2.1: the first wait is 500 ms, each next one twice that. Two tries less than there: the next are near."""


@dataclass(frozen=True, slots=True)
class Listens:
    """Where we are bound."""

    host: str
    port: int
    tls_port: int


class Reach:
    """How each trunk reaches us. Used on the running loop; `stop` ends the asking."""

    def __init__(
        self,
        listens: Listens,
        resolver: Resolver,
        send: Callable[[bytes, Address], None],
        moved: Callable[[], None],
        *,
        advertise: HostPort | None = None,
        server: HostPort | None = None,
    ) -> None:
        """`advertise` or the STUN `server` hold for trunks without their own; `moved` is told of new mappings."""
        self._listens = listens
        self._resolver = resolver
        self._send = send
        self._moved = moved
        self._advertise = advertise
        self._server = server
        self._trunks: tuple[Trunk, ...] = ()
        self._mapped: dict[HostPort, stun.Mapped] = {}
        self._asking: dict[HostPort, asyncio.Task[None]] = {}
        self._answers: dict[bytes, tuple[Address, asyncio.Future[stun.Mapped]]] = {}
        self._is_plain = True

    # --- life ------------------------------------------------------------------------------------------------------

    async def serve(self, trunks: Iterable[Trunk]) -> None:
        """From now on these are all trunks. Waits a moment for STUN servers that were not asked before."""
        self._trunks = tuple(trunks)
        servers = {trunk.stun for trunk in self._trunks if trunk.stun is not None}
        if self._server is not None:
            servers.add(self._server)
        for server in self._asking.keys() - servers:
            self._asking.pop(server).cancel()
            self._mapped.pop(server, None)
        added = servers - self._asking.keys()
        self._is_plain = not servers and not self._advertise and not any(trunk.advertise for trunk in self._trunks)
        if not added:
            return
        firsts = []
        for server in added:
            first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._asking[server] = asyncio.create_task(self._keep_asking(server, first))
            firsts.append(first)
        await asyncio.wait(firsts, timeout=FIRST_ANSWER_SECONDS)

    async def stop(self) -> None:
        """Ask nobody any more."""
        tasks = tuple(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._asking.clear()

    # --- what others ask -------------------------------------------------------------------------------------------

    def place(self, peer: Address) -> Address | None:
        """Where the trunk at that address reaches our SIP on its transport; None: where we are bound."""
        if self._is_plain:
            return None
        advertise, mapped = self._told(self._resolver.trunk_at(peer, self._trunks))
        transport = transport_of(peer)
        ours = self._listens.tls_port if transport == TLS else self._listens.port
        if advertise is not None:
            return (advertise.host, ours if transport == TLS else advertise.port or ours)
        if mapped is not None:  # what a NAT does to a datagram's port says nothing about those of connections
            return (mapped.host, mapped.port if transport == UDP else ours)
        return None

    def host(self, trunk: Trunk) -> str:
        """The address that a trunk reaches us at."""
        advertise, mapped = self._told(trunk)
        return (advertise or mapped or self._listens).host

    def media_host(self, trunk: Trunk) -> str:
        """The address that it is to send media to; empty: the one that media is bound to."""
        if self._is_plain:
            return ""
        advertise, mapped = self._told(trunk)
        place = advertise or mapped
        return "" if place is None else place.host

    def _told(self, trunk: Trunk | None) -> tuple[HostPort | None, stun.Mapped | None]:
        if trunk is not None and trunk.built_in:
            return None, None  # it is on this machine
        if trunk is not None and (trunk.advertise is not None or trunk.stun is not None):
            return trunk.advertise, None if trunk.stun is None else self._mapped.get(trunk.stun)
        return self._advertise, None if self._server is None else self._mapped.get(self._server)

    # --- STUN ------------------------------------------------------------------------------------------------------

    def received(self, data: bytes, source: Address) -> None:
        """A STUN message came to the SIP socket; anything but the answer to a question of ours is dropped."""
        asked = self._answers.get(stun.transaction_id(data))
        if asked is None or asked[0] != source or asked[1].done():
            return
        try:
            asked[1].set_result(stun.parse_response(data, stun.transaction_id(data)))
        except stun.StunRefused as error:
            asked[1].set_exception(TelephonyError(str(error)))
        except SipSyntaxError as error:
            log.debug("a STUN answer from %s is dropped: %s", place_text(source), error)

    async def ask(self, server: HostPort) -> stun.Mapped:
        """Ask once how we are seen. TelephonyError when there is no answer."""
        addresses = await self._resolver.addresses_of(server.host)
        failure = TelephonyError(f"the STUN server {server} does not answer")
        for address in addresses:
            identity = secrets.token_bytes(stun.ID_BYTES)
            answer: asyncio.Future[stun.Mapped] = asyncio.get_running_loop().create_future()
            place = (address, server.port)
            self._answers[identity] = (place, answer)
            try:
                for wait in RETRANSMIT_SECONDS:
                    self._send(stun.serialize_request(identity), place)
                    await asyncio.wait((answer,), timeout=wait)
                    if answer.done():
                        return answer.result()
            except TelephonyError as error:
                failure = error
            finally:
                del self._answers[identity]
        raise failure

    async def _keep_asking(self, server: HostPort, first: asyncio.Future[None]) -> None:
        was_away = False
        while True:
            try:
                mapped = await self.ask(server)
            except TelephonyError as error:
                if not was_away:
                    old = self._mapped.get(server)
                    log.warning("%s; %s", error, f"{old.host} stays advertised" if old else "no address is advertised")
                was_away = True
            else:
                was_away = False
                self._note(server, mapped)
            if not first.done():
                first.set_result(None)
            await asyncio.sleep(ASK_EVERY_SECONDS)

    def _note(self, server: HostPort, mapped: stun.Mapped) -> None:
        before = self._mapped.get(server)
        if before == mapped:
            return
        self._mapped[server] = mapped
        log.warning("the STUN server %s sees us at %s", server, place_text((mapped.host, mapped.port)))
        if before is not None:
            self._moved()
