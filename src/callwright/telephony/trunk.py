"""Trunks: who carries our calls, which one takes a call, and at which addresses it is found.

A host name is resolved off the loop and within a bounded time; what was found is good for a while, and an old answer is
better than none when the name server is away (RFC 8767). SRV and NAPTR (RFC 3263) are not looked up: a trunk is a host
and a port.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from callwright import settings
from callwright.errors import TelephonyError
from callwright.telemetry.clock import Clock

log = logging.getLogger(__name__)

RESOLVED_FOR_SECONDS = 60.0
RESOLVE_LIMIT_SECONDS = 4.0
PATIENCE_SECONDS = 1.8
"""How long a call waits for a new answer when there is an old one (RFC 8767 §5)."""
RETRY_SECONDS = 5.0
"""After a failed look-up, when there is an old answer."""

SESSION_HEADER = "X-Callwright-Session-Id"

Address = tuple[str, int]
"""IP address and UDP port."""


class CallerIdFormat(StrEnum):
    """How a trunk wants to read numbers."""

    PLUS_E164 = "+E.164"
    E164 = "E.164"
    "without the plus"


@dataclass(frozen=True, slots=True)
class Trunk:
    """One SIP trunk, as it was configured."""

    name: str
    host: str
    "IP address or host name"
    port: int = 5060
    username: str = ""
    "for digest challenges (RFC 7616); empty: the trunk knows us by our address"
    password: str = field(default="", repr=False)
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    "RTP encoding names, the preferred one first"
    number_format: CallerIdFormat = CallerIdFormat.PLUS_E164
    from_domain: str = ""
    "host part of our From address; empty: our own address"
    sources: tuple[str, ...] = ()
    "IP addresses besides its own that the trunk sends requests from"
    built_in: bool = False
    "the built-in carrier: it alone is told the session id"

    def number(self, e164: str) -> str:
        """An E.164 number with `+`, as this trunk writes it."""
        return e164 if self.number_format is CallerIdFormat.PLUS_E164 else e164.removeprefix("+")

    def session_headers(self, session_id: str) -> list[tuple[str, str]]:
        """Further header fields of this trunk's INVITEs; outside trunks learn nothing of our sessions."""
        return [(SESSION_HEADER, session_id)] if self.built_in else []


def configured(trunk: settings.Trunk) -> Trunk:
    """A trunk as the operator's settings describe it."""
    password = trunk.password.reveal() if trunk.password is not None else ""
    address = trunk.address
    return Trunk(trunk.name, address.host, address.port, trunk.username or "", password, trunk.codecs)


def choose_trunk(trunks: Sequence[Trunk], destination: str) -> Trunk:
    """The trunk that takes a call to `destination`: the first one. TelephonyError when there is none."""
    if not trunks:
        raise TelephonyError(f"no trunk takes calls to {destination}: none is configured (--trunk, CALLWRIGHT_TRUNK)")
    return trunks[0]


@dataclass(frozen=True, slots=True)
class Known:
    """What a name server said."""

    addresses: tuple[Address, ...]
    good_until: float


class Resolver:
    """Finds trunks' addresses, for one family of sockets, and remembers them for a while."""

    def __init__(self, family: socket.AddressFamily, clock: Clock) -> None:
        self._family = family
        self._clock = clock
        self._known: dict[tuple[str, int], Known] = {}
        self._running: dict[tuple[str, int], asyncio.Task[tuple[Address, ...]]] = {}
        self.known_hosts: frozenset[str] = frozenset()
        "the IP addresses of all trunks resolved so far"

    async def resolve(self, trunk: Trunk) -> tuple[Address, ...]:
        """Every address of a trunk, the one to try first in front. TelephonyError when there is none in time.

        Calls that ask at the same time share one look-up. An old answer is used when a new one takes its time.
        """
        key = (trunk.host, trunk.port)
        known = self._known.get(key)
        if known is not None and self._clock() < known.good_until:
            return known.addresses
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._refresh(trunk))
            task.add_done_callback(lambda task: self._looked_up(key, task))
        if known is None:
            return await asyncio.shield(task)
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        return self._known[key].addresses

    def trunk_at(self, source: Address, trunks: Sequence[Trunk]) -> Trunk | None:
        """Whose address it is: the trunk that is found at exactly this one, else the first on that host."""
        known = {trunk.name: self._known.get((trunk.host, trunk.port)) for trunk in trunks}
        hosts = None
        for trunk in trunks:
            found = known[trunk.name]
            addresses = found.addresses if found is not None else ()
            if source in addresses:
                return trunk
            if hosts is None and (source[0] in trunk.sources or any(source[0] == host for host, _ in addresses)):
                hosts = trunk
        return hosts

    async def _refresh(self, trunk: Trunk) -> tuple[Address, ...]:
        key = (trunk.host, trunk.port)
        try:
            addresses = await self._look_up(trunk)
        except TelephonyError as error:
            known = self._known.get(key)
            if known is None:
                raise
            log.warning("%s; the old address is used", error)
            self._known[key] = Known(known.addresses, self._clock() + RETRY_SECONDS)
            return known.addresses
        self._known[key] = Known(addresses, self._clock() + RESOLVED_FOR_SECONDS)
        self.known_hosts = frozenset(host for known in self._known.values() for host, _ in known.addresses)
        return addresses

    def _looked_up(self, key: tuple[str, int], task: asyncio.Task[tuple[Address, ...]]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # everybody who asked may be gone; then nobody else would look at it

    async def _look_up(self, trunk: Trunk) -> tuple[Address, ...]:
        literal = ip_literal(trunk.host)
        if literal is not None:
            if (literal.version == 6) != (self._family is socket.AF_INET6):
                raise TelephonyError(f"trunk {trunk.name}: {trunk.host} cannot be reached from our kind of SIP address")
            return ((str(literal), trunk.port),)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_LIMIT_SECONDS):
                infos = await loop.getaddrinfo(trunk.host, trunk.port, family=self._family, type=socket.SOCK_DGRAM)
        except TimeoutError:
            text = f"trunk {trunk.name}: the name {trunk.host} was not resolved within {RESOLVE_LIMIT_SECONDS:g} s"
            raise TelephonyError(text) from None
        except OSError as error:
            text = f"trunk {trunk.name}: the name {trunk.host} is not resolved: {error.strerror or error}"
            raise TelephonyError(text) from error
        except UnicodeError as error:
            raise TelephonyError(f"trunk {trunk.name}: {trunk.host!r} is not a host name") from error
        return tuple(dict.fromkeys((str(info[4][0]), int(info[4][1])) for info in infos))


def ip_literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """`host` as an IP address, brackets taken off; None when it is a name."""
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
