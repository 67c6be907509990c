"""Which trunk takes a call, at which address, and when: groups, limits, health, registration.

    admit ─▶ order of the group ─▶ a trunk with room (wait for it) ─▶ its addresses, then those of the others
    failed ─▶ may the call go on to the next address?

A trunk that does not answer is tried last for a while; one that asked for quiet (Retry-After) is not tried at all until
then. `upkeep.py` asks in between, and says where we are. Trunks come, change and go while calls are up: a call keeps
the trunk that it began with, whose addresses are let in until it is over, and counts for what bears that name now.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from callwright.errors import TelephonyError, TrunksFull
from callwright.sip.address import SipUri
from callwright.sip.agent import UserAgent
from callwright.sip.outputs import Address, CallFailed, Output, Replied
from callwright.sip.registration import retry_after_seconds
from callwright.sip.streams import TLS, StreamAddress, address_on, transport_of
from callwright.telemetry.clock import Clock
from callwright.telephony.admission import Admission
from callwright.telephony.condition import Condition, TrunkReport, report
from callwright.telephony.resolver import Resolver
from callwright.telephony.tls import client_context
from callwright.telephony.trunk import Trunk, choose_trunk, is_among
from callwright.telephony.upkeep import TIMED_OUT, UNAVAILABLE, Upkeep

log = logging.getLogger(__name__)

FAILOVER_SECONDS = 3.0
"""Without a sign of life from an address, until the next one is tried; with a connection's own limit below 4 s."""
DOUBT_SECONDS = 30.0
"""How long a trunk that did not answer is tried last."""
NO_CONNECTION_SECONDS = 600.0
"""How long a host that refused a connection for a large request gets such requests as datagrams at once."""
NEXT_ON = frozenset((502, 503, 504))
"""Final statuses that say: not here, perhaps elsewhere (RFC 3261 §21.5, RFC 3263 §4.3)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One address of one trunk, to send an INVITE to."""

    trunk: Trunk
    address: Address
    target: SipUri | None = None
    "the Contact of a 3xx; None: the number, as the trunk wants to read it"


class Trunking:
    """All trunks of one telephony. `start` and `stop` on the running loop."""

    def __init__(
        self,
        trunks: Sequence[Trunk],
        clock: Clock,
        token: Callable[[], str],
        chance: random.Random | None = None,
    ) -> None:
        """TelephonyError when a trunk's certificate files cannot be used. `chance` draws lots among trunks."""
        self._trunks = {trunk.name: trunk for trunk in trunks}
        self._clock = clock
        self._token = token
        self._chance = chance or random.SystemRandom()
        self._conditions = {trunk.name: self._condition(trunk) for trunk in trunks}
        self._leaving: tuple[Trunk, ...] = ()
        self._contexts = contexts_of(trunks)
        self._sources = sources_of(trunks)
        self._upkeep = Upkeep(clock, token, self._chance)
        self._no_connection: dict[str, float] = {}
        self._resolver: Resolver
        self._runs = False

    # --- life ------------------------------------------------------------------------------------------------------

    def use(self, resolver: Resolver) -> None:
        """Look addresses up with it; needed before anything else."""
        self._resolver = resolver

    async def start(
        self, agent: UserAgent, carry: Callable[[list[Output]], None], host: Callable[[Trunk], str]
    ) -> None:
        """Look every trunk up, then keep asking and registering. `host` says where a trunk reaches us."""
        self._upkeep.use(self._resolver, agent, carry, host)
        self._runs = True
        for trunk in self.trunks:
            await self._begin(trunk)

    async def stop(self) -> None:
        """Take registrations back, as far as that goes at once, and ask nobody any more."""
        self._runs = False
        await self._upkeep.end_all()

    async def change(self, trunks: Sequence[Trunk], in_use: Iterable[Trunk]) -> None:
        """From now on these are all trunks; those `in_use` by calls are let in until `release`.

        TelephonyError, and nothing is changed, for unusable certificate files.
        """
        contexts = contexts_of(trunks)
        former, self._trunks = self._trunks, {trunk.name: trunk for trunk in trunks}
        self._contexts |= contexts
        for trunk in trunks:
            condition = self._conditions.setdefault(trunk.name, self._condition(trunk))
            condition.admission.limit(trunk.max_calls, trunk.calls_per_second)
        self.release(in_use)
        if not self._runs:
            return
        await asyncio.gather(*[self._upkeep.end(name) for name in former if self._trunks.get(name) != former[name]])
        for trunk in trunks:
            if former.get(trunk.name) != trunk:
                self._conditions[trunk.name].closed_until = self._conditions[trunk.name].doubted_until = 0.0
                await self._begin(trunk)

    def release(self, in_use: Iterable[Trunk]) -> None:
        """Of trunks that went, only these are still needed."""
        self._leaving = tuple({trunk for trunk in in_use if self._trunks.get(trunk.name) != trunk})
        self._sources = sources_of(self.served)
        self._resolver.forget_all_but(self.served)
        accounts = {(trunk.host.strip("[]"), trunk.tls_account) for trunk in self.served}
        self._contexts = {account: self._contexts[account] for account in self._contexts.keys() & accounts}
        names = {trunk.name for trunk in self.served}
        for name in self._conditions.keys() - names:
            if not self._conditions[name].admission.calls and not self._conditions[name].admission.waiting:
                del self._conditions[name]

    @property
    def has_leaving(self) -> bool:
        """Whether trunks that went are still used by calls."""
        return bool(self._leaving)

    @property
    def served(self) -> tuple[Trunk, ...]:
        """All trunks, and those that went and have calls."""
        return (*self.trunks, *self._leaving)

    async def _begin(self, trunk: Trunk) -> None:
        if trunk.srtp != "off" and trunk.transport != TLS:
            log.warning("trunk %s: SRTP keys may travel in the clear; add ;transport=tls to its uri", trunk.name)
        try:
            await self._resolver.resolve(trunk)
        except TelephonyError as error:
            log.warning("%s; it is looked up again when a call needs it", error)
        if self._runs and self._trunks.get(trunk.name) is trunk:
            self._upkeep.begin(trunk, self._conditions[trunk.name])

    def register_anew(self) -> None:
        """Where we are has changed: tell every registrar."""
        self._upkeep.register_anew()

    def _condition(self, trunk: Trunk) -> Condition:
        return Condition(Admission(trunk.name, trunk.max_calls, trunk.calls_per_second, self._clock))

    # --- what others ask ---------------------------------------------------------------------------------------------

    @property
    def trunks(self) -> tuple[Trunk, ...]:
        """All of them, in their order."""
        return tuple(self._trunks.values())

    def find(self, name: str) -> Trunk | None:
        """The trunk of that name."""
        return self._trunks.get(name)

    def reports(self) -> list[TrunkReport]:
        """How each is doing."""
        now = self._clock()
        return [
            report(trunk.name, self._conditions[trunk.name], now, registers=trunk.register_seconds > 0)
            for trunk in self.trunks
        ]

    def admits(self, host: str) -> bool:
        """Whether an IP address belongs to a trunk."""
        return host in self._resolver.known_hosts or is_among(host, self._sources)

    def context(self, address: StreamAddress) -> ssl.SSLContext | None:
        """The TLS settings for a trunk's address."""
        return self._contexts.get((address.server_name, address.account))

    def may_grow(self, address: Address) -> bool:
        """Whether a request too large for a datagram may go there over TCP (RFC 3261 §18.1.1)."""
        if self._clock() < self._no_connection.get(address[0], 0.0):
            return False
        return any(not trunk.transport and not trunk.built_in for trunk in self._trunks.values())

    def connection_failed(self, address: Address) -> None:
        """A connection broke or could not be made."""
        if transport_of(address) == "TCP" and self.admits(address[0]):
            if len(self._no_connection) > len(self._resolver.known_hosts):
                self._no_connection.clear()
            self._no_connection[address[0]] = self._clock() + NO_CONNECTION_SECONDS

    def registered(self, name: str) -> bool:
        """Whether a trunk's registrar knows us; True for trunks that need no registration."""
        return not self._trunks[name].register_seconds or self._conditions[name].is_registered

    def waiting(self) -> int:
        """Calls that wait for room."""
        return sum(condition.admission.waiting for condition in self._conditions.values())

    # --- calls -----------------------------------------------------------------------------------------------------

    def choose(self, destination: str) -> Trunk:
        """The trunk to try first; TelephonyError when there is none."""
        first = choose_trunk(self.trunks, destination)
        return self.order(first)[0]

    def order(self, first: Trunk) -> list[Trunk]:
        """`first` and the others of its group, in the order to try them: health, priority, weight drawn by lot."""
        members = [
            trunk for trunk in self._trunks.values() if trunk is first or (trunk.group and trunk.group == first.group)
        ]
        now = self._clock()

        def rank(trunk: Trunk) -> tuple[bool, bool, int, float]:
            condition = self._conditions[trunk.name]
            doubtful = not condition.answers_options or now < condition.doubted_until
            # The smallest of exponential draws with rates `weight` is each trunk with chance weight / sum of weights.
            lot = self._chance.expovariate(trunk.weight) if trunk.weight else float("inf")
            return (now < condition.closed_until, doubtful, trunk.priority, lot)

        return sorted(members, key=rank)

    async def admit(self, key: str, first: Trunk) -> list[Attempt]:
        """Wait for room for the call `key`; what to try, in order. The first attempt's trunk has admitted the call.

        TrunksFull when there is no room in time, TelephonyError when no trunk has an address.
        """
        known = self._trunks.get(first.name)
        if known is None:
            raise TelephonyError(f"trunk {first.name} was taken away")
        first = known
        ordered = [first, *[trunk for trunk in self.order(first) if trunk is not first]]
        now = self._clock()
        is_open = [trunk for trunk in ordered if now >= self._conditions[trunk.name].closed_until]
        if not is_open:
            wait = min(self._conditions[trunk.name].closed_until for trunk in ordered) - now
            raise TrunksFull(f"trunk {first.name} asked for no calls for another {wait:.0f} s (Retry-After)")
        chosen = next((trunk for trunk in is_open if self._conditions[trunk.name].admission.enter_at_once()), None)
        if chosen is None:
            chosen = is_open[0]
            await self._conditions[chosen.name].admission.enter(key)
        try:
            return await self._attempts([chosen, *[trunk for trunk in is_open if trunk is not chosen]])
        except BaseException:
            self.leave(chosen)
            raise

    def move(self, current: Trunk, following: Trunk) -> bool:
        """Let a call go on from one trunk to another; False when that one has no room now."""
        if following is current:
            return True
        if not self._conditions[following.name].admission.enter_at_once():
            return False
        self.leave(current)
        return True

    def leave(self, trunk: Trunk) -> None:
        """A call that the trunk admitted is over."""
        self._conditions[trunk.name].admission.leave()

    def withdraw(self, key: str) -> None:
        """A call that waits is not wanted any more."""
        for condition in self._conditions.values():
            condition.admission.withdraw(key)

    def silent(self, trunk: Trunk) -> None:
        """An address of the trunk gave no sign of life."""
        condition = self._conditions.get(trunk.name)
        if condition is not None:
            condition.doubted_until = self._clock() + DOUBT_SECONDS

    def heard(self, trunk: Trunk) -> None:
        """The trunk answered a call in one way or another."""
        condition = self._conditions.get(trunk.name)
        if condition is not None:
            condition.doubted_until = 0.0

    def goes_on(self, trunk: Trunk, failure: CallFailed, *, was_heard: bool) -> bool:
        """Whether a call that failed so may be tried at the next address; takes note of what it says of the trunk."""
        if failure.locally_generated:
            unreachable = failure.status in (UNAVAILABLE, TIMED_OUT) and not was_heard
            if unreachable:
                self.silent(trunk)
            return unreachable
        if failure.status == UNAVAILABLE:
            wait = retry_after_seconds(failure.headers)
            condition = self._conditions.get(trunk.name)
            if wait and condition is not None:
                condition.closed_until = self._clock() + wait
                log.warning("trunk %s asks for no calls for %g s", trunk.name, wait)
        return failure.status in NEXT_ON

    def is_closed(self, trunk: Trunk) -> bool:
        """Whether the trunk asked for quiet, or was taken away."""
        return trunk.name not in self._trunks or self._clock() < self._conditions[trunk.name].closed_until

    async def _attempts(self, trunks: Sequence[Trunk]) -> list[Attempt]:
        attempts: list[Attempt] = []
        failure: TelephonyError | None = None
        for trunk in trunks:
            try:
                attempts += [Attempt(trunk, address) for address in await self._resolver.resolve(trunk)]
            except TelephonyError as error:
                failure = failure or error
        if attempts and attempts[0].trunk is not trunks[0] and not self.move(trunks[0], attempts[0].trunk):
            raise TrunksFull(f"trunk {attempts[0].trunk.name} is full, and {failure}")
        if not attempts:
            raise failure or TelephonyError("no trunk has an address")
        return attempts

    async def place_inside(self, trunk: Trunk, uri: SipUri, former: Address) -> Address | None:
        """Where a URI leads on the transport of `former`, if that is one of the trunk's own addresses; else None."""
        try:
            own = {address[0] for address in await self._resolver.resolve(trunk)}
            hosts = await self._resolver.addresses_of(uri.host)
        except TelephonyError as error:
            log.info("trunk %s redirects a call to where nobody is: %s", trunk.name, error)
            return None
        host = next((host for host in hosts if host in own or is_among(host, trunk.sources)), None)
        if host is None:
            return None
        wanted = uri.params.get("transport")
        if wanted is not None and wanted.upper() != transport_of(former):
            return None  # out of TLS, or to where no connection of ours leads
        name, account = (former.server_name, former.account) if isinstance(former, StreamAddress) else ("", "")
        return address_on(host, uri.port, transport_of(former), name, account)

    async def ask(self, name: str) -> list[tuple[Address, Replied]]:
        """OPTIONS to each address of a trunk, all at once. TelephonyError when there is no such trunk or address."""
        trunk = self._trunks.get(name)
        if trunk is None:
            raise TelephonyError(f"there is no trunk {name}")
        addresses = await self._resolver.resolve(trunk)
        condition = self._conditions[name]
        asking = [self._upkeep.ask(trunk, condition, address, "OPTIONS") for address in addresses]
        return list(zip(addresses, await asyncio.gather(*asking), strict=True))

    def replied(self, reply: Replied) -> None:
        """What became of a request of ours outside of calls."""
        self._upkeep.replied(reply)


def contexts_of(trunks: Sequence[Trunk]) -> dict[tuple[str, str], ssl.SSLContext]:
    """TLS settings by server name and account. TelephonyError when a trunk's certificate files cannot be used."""
    # A trunk without a transport of its own may have TLS by its NAPTR records.
    return {
        (trunk.host.strip("[]"), trunk.tls_account): client_context(trunk.ca_file, trunk.certificate, trunk.key)
        for trunk in trunks
        if trunk.transport == TLS or trunk.ca_file or not (trunk.transport or trunk.port_named or trunk.built_in)
    }


def sources_of(trunks: Sequence[Trunk]) -> tuple[str, ...]:
    """Where trunks send from, besides their own addresses."""
    return tuple(source for trunk in trunks for source in trunk.sources)
