"""Trunks' addresses: NAPTR, SRV and addresses (RFC 3263) looked up off the loop, remembered for a while.

`sip/resolution.py` decides what to ask; dnspython asks for NAPTR and SRV, the system's resolver for addresses, so that
/etc/hosts counts. What was found is good for a while, and an old answer is better than none when the name server is
away (RFC 8767).
"""

import asyncio
import logging
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from callwright.errors import TelephonyError
from callwright.sip.outputs import Address
from callwright.sip.resolution import Answers, Naptr, Place, Question, Srv, locate
from callwright.sip.streams import TLS, address_on
from callwright.telemetry.clock import Clock
from callwright.telephony.trunk import Trunk, ip_literal, is_among

if TYPE_CHECKING:
    import dns.asyncresolver

log = logging.getLogger(__name__)

RESOLVED_FOR_SECONDS = 60.0
RESOLVE_LIMIT_SECONDS = 4.0
RECORD_LIMIT_SECONDS = 1.5
"""For one NAPTR or SRV question; without an answer the domain counts as having no such records."""
PATIENCE_SECONDS = 1.8
"""How long a call waits for a new answer when there is an old one (RFC 8767 §5)."""
RETRY_SECONDS = 5.0
"""After a failed look-up, when there is an old answer."""
SPEAKS = ("UDP", "TCP", "TLS")

Key = tuple[str, int, str, bool, str]


class NameSystem(Protocol):
    """Who answers questions; OSError when an address question has no answer."""

    async def ask(self, question: Question, family: socket.AddressFamily) -> Answers:
        """The records, none when there are none."""


class SystemNames:
    """The name servers and the hosts file of this machine."""

    def __init__(self, resolver: "dns.asyncresolver.Resolver | None" = None) -> None:
        """`resolver` asks other name servers than this machine is set to, for NAPTR and SRV."""
        self._resolver = resolver
        self._looked = resolver is not None
        "whether there is a name server to ask"

    async def ask(self, question: Question, family: socket.AddressFamily) -> Answers:
        """Look it up."""
        if question.kind == "ADDRESS":
            loop = asyncio.get_running_loop()
            infos = await loop.getaddrinfo(question.name, None, family=family, type=socket.SOCK_DGRAM)
            return list(dict.fromkeys(str(info[4][0]) for info in infos))
        import dns.exception  # here, and below: most trunks are addresses, and need neither records nor 3 MB

        resolver = self._records()
        if resolver is None:
            return []
        try:
            answer = await resolver.resolve(question.name, question.kind, lifetime=RECORD_LIMIT_SECONDS)
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            log.debug("no %s records of %s: %s", question.kind, question.name, error)
            return []
        return [_record(question.kind, record) for record in answer]

    def _records(self) -> "dns.asyncresolver.Resolver | None":
        """Who is asked for NAPTR and SRV; None when no name server is configured."""
        import dns.asyncresolver
        import dns.resolver

        if not self._looked:
            self._looked = True
            try:
                self._resolver = dns.asyncresolver.Resolver()
            except dns.resolver.NoResolverConfiguration:
                log.info("no name server is configured: NAPTR and SRV records are not looked up")
        return self._resolver


def _record(kind: str, record: object) -> Naptr | Srv:
    """A record of dnspython's, whose fields are named as in the RFCs, as `sip/resolution.py` reads it."""

    def text(name: str) -> str:
        value = getattr(record, name)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    if kind == "SRV":
        return Srv(int(text("priority")), int(text("weight")), int(text("port")), text("target"))
    numbers = int(text("order")), int(text("preference"))
    return Naptr(*numbers, text("flags"), text("service"), text("replacement"))


@dataclass(frozen=True, slots=True)
class Known:
    """What a name server said."""

    addresses: tuple[Address, ...]
    good_until: float


class Resolver:
    """Finds trunks' addresses, for one family of sockets, and remembers them for a while."""

    def __init__(
        self,
        family: socket.AddressFamily,
        clock: Clock,
        names: NameSystem | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._family = family
        self._clock = clock
        self._names = names or SystemNames()
        self._chance = chance or random.SystemRandom()
        self._known: dict[Key, Known] = {}
        self._running: dict[Key, asyncio.Task[tuple[Address, ...]]] = {}
        self.known_hosts: frozenset[str] = frozenset()
        "the IP addresses of all trunks resolved so far"

    async def resolve(self, trunk: Trunk) -> tuple[Address, ...]:
        """Every address of a trunk, the one to try first in front. TelephonyError when there is none in time.

        Calls that ask at the same time share one look-up. An old answer is used when a new one takes its time.
        """
        key = key_of(trunk)
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

    def first_known(self, trunk: Trunk) -> Address | None:
        """Where the trunk was found last, without asking; None when it never was."""
        known = self._known.get(key_of(trunk))
        return known.addresses[0] if known is not None else None

    async def addresses_of(self, host: str) -> list[str]:
        """The addresses of a host that is no trunk's. TelephonyError when there are none in time."""
        literal = ip_literal(host)
        if literal is not None:
            return [str(literal)]
        try:
            async with asyncio.timeout(RESOLVE_LIMIT_SECONDS):
                answers = await self._names.ask(Question("ADDRESS", host), self._family)
        except TimeoutError:
            text = f"the name {host} was not resolved within {RESOLVE_LIMIT_SECONDS:g} s"
            raise TelephonyError(text) from None
        except (OSError, UnicodeError) as error:
            raise TelephonyError(f"the name {host} is not resolved: {error}") from error
        return [answer for answer in answers if isinstance(answer, str)]

    def trunk_at(self, source: Address, trunks: Sequence[Trunk]) -> Trunk | None:
        """Whose address it is: the trunk that is found at exactly this one, else the first on that host."""
        hosts = None
        for trunk in trunks:
            found = self._known.get(key_of(trunk))
            addresses = found.addresses if found is not None else ()
            if source in addresses:
                return trunk
            if hosts is None and (
                any(source[0] == address[0] for address in addresses) or is_among(source[0], trunk.sources)
            ):
                hosts = trunk
        return hosts

    def forget_all_but(self, trunks: Sequence[Trunk]) -> None:
        """Only these are trunks: addresses of others are nobody's."""
        keys = {key_of(trunk) for trunk in trunks}
        self._known = {key: known for key, known in self._known.items() if key in keys}
        self._note_hosts()

    def _note_hosts(self) -> None:
        self.known_hosts = frozenset(address[0] for known in self._known.values() for address in known.addresses)

    async def _refresh(self, trunk: Trunk) -> tuple[Address, ...]:
        key = key_of(trunk)
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
        self._note_hosts()
        return addresses

    def _looked_up(self, key: Key, task: asyncio.Task[tuple[Address, ...]]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # everybody who asked may be gone; then nobody else would look at it

    async def _look_up(self, trunk: Trunk) -> tuple[Address, ...]:
        literal = ip_literal(trunk.host)
        if literal is not None and (literal.version == 6) != (self._family is socket.AF_INET6):
            raise TelephonyError(f"trunk {trunk.name}: {trunk.host} cannot be reached from our kind of SIP address")
        try:
            async with asyncio.timeout(RESOLVE_LIMIT_SECONDS):
                return await self._search(trunk, str(literal) if literal is not None else trunk.host)
        except TimeoutError:
            text = f"trunk {trunk.name}: the name {trunk.host} was not resolved within {RESOLVE_LIMIT_SECONDS:g} s"
            raise TelephonyError(text) from None
        except OSError as error:
            text = f"trunk {trunk.name}: the name {trunk.host} is not resolved: {error.strerror or error}"
            raise TelephonyError(text) from error
        except UnicodeError as error:
            raise TelephonyError(f"trunk {trunk.name}: {trunk.host!r} is not a host name") from error

    async def _search(self, trunk: Trunk, host: str) -> tuple[Address, ...]:
        port = trunk.port if trunk.port_named else None
        search = locate(host, port, trunk.transport, SPEAKS, self._chance.random)
        failure: OSError | None = None
        places: list[Place] = []
        try:
            question = next(search)
            while True:
                answers: Answers = []
                try:
                    answers = await self._names.ask(question, self._family)
                except OSError as error:  # one server of several may have lost its address
                    failure = error
                question = search.send(answers)
        except StopIteration as end:
            places = end.value
        if not places:
            raise failure or OSError("it has no address")
        name = trunk.host.strip("[]")
        return tuple(
            address_on(place.host, place.port, place.transport, name, trunk.tls_account)
            if place.transport == TLS
            else address_on(place.host, place.port, place.transport)
            for place in places
        )


def key_of(trunk: Trunk) -> Key:
    """What the addresses of a trunk depend on."""
    return (trunk.host, trunk.port, trunk.transport, trunk.port_named, trunk.tls_account)
