"""Which trunk takes a call, at which address, and when: groups, limits, health, registration.

    admit ─▶ order of the group ─▶ a trunk with room (wait for it) ─▶ its addresses, then those of the others
    failed ─▶ may the call go on to the next address?

A trunk that does not answer is tried last for a while; one that asked for quiet (Retry-After) is not tried at all until
then. OPTIONS (RFC 3261 §11) ask in between, REGISTER (§10) says where we are.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from callwright.errors import TelephonyError, TrunksFull
from callwright.sip.address import NameAddr, SipUri, escape_user
from callwright.sip.agent import UserAgent
from callwright.sip.digest import Credentials
from callwright.sip.outputs import Address, CallFailed, Output, Replied
from callwright.sip.registration import Registration, RegistrationState, retry_after_seconds
from callwright.sip.streams import TLS, StreamAddress, transport_of
from callwright.telemetry.clock import Clock
from callwright.telephony.admission import Admission
from callwright.telephony.resolver import Resolver
from callwright.telephony.tls import client_context
from callwright.telephony.trunk import Trunk, choose_trunk, is_among

log = logging.getLogger(__name__)

FAILOVER_SECONDS = 3.0
"""Without a sign of life from an address, until the next one is tried; with a connection's own limit below 4 s."""
DOUBT_SECONDS = 30.0
"""How long a trunk that did not answer is tried last."""
NO_CONNECTION_SECONDS = 600.0
"""How long a host that refused a connection for a large request gets such requests as datagrams at once."""
NEXT_ON = frozenset((502, 503, 504))
"""Final statuses that say: not here, perhaps elsewhere (RFC 3261 §21.5, RFC 3263 §4.3)."""
UNAVAILABLE, TIMED_OUT = 503, 408
SEQUENCE_STEP = 10
GOODBYE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One address of one trunk, to send an INVITE to."""

    trunk: Trunk
    address: Address


@dataclass(slots=True)
class Condition:
    """How a trunk is doing."""

    admission: Admission
    doubted_until: float = 0.0
    closed_until: float = 0.0
    "it asked for quiet (Retry-After)"
    answers_options: bool = True
    registration: Registration | None = None
    question_count: int = 0
    call_ids: dict[str, str] = field(default_factory=dict)


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
        self._conditions = {
            trunk.name: Condition(Admission(trunk.name, trunk.max_calls, trunk.calls_per_second, clock))
            for trunk in trunks
        }
        # A trunk without a transport of its own may have TLS by its NAPTR records.
        self._contexts: dict[str, ssl.SSLContext] = {
            trunk.host.strip("[]"): client_context(trunk.ca_file, trunk.certificate, trunk.key)
            for trunk in trunks
            if trunk.transport == TLS or trunk.ca_file or not (trunk.transport or trunk.port_named or trunk.built_in)
        }
        self._sources = tuple(source for trunk in trunks for source in trunk.sources)
        self._no_connection: dict[str, float] = {}
        self._replies: dict[str, asyncio.Future[Replied]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._agent: UserAgent
        self._carry: Callable[[list[Output]], None]
        self._resolver: Resolver
        self._host = ""

    # --- life ------------------------------------------------------------------------------------------------------

    def use(self, resolver: Resolver) -> None:
        """Look addresses up with it; needed before anything else."""
        self._resolver = resolver

    async def start(self, agent: UserAgent, carry: Callable[[list[Output]], None], host: str) -> None:
        """Look every trunk up, then keep asking and registering. `host` is our own address."""
        self._agent, self._carry, self._host = agent, carry, host
        for trunk in self._trunks.values():
            try:
                await self._resolver.resolve(trunk)
            except TelephonyError as error:
                log.warning("%s; it is looked up again when a call needs it", error)
            if trunk.register_seconds:
                self._run(self._keep_registered(trunk))
            if trunk.options_seconds:
                self._run(self._keep_asking(trunk))

    async def stop(self) -> None:
        """Take registrations back, as far as that goes at once, and ask nobody any more."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        goodbyes = [
            self._register(trunk, 0, condition)
            for trunk, condition in self._with_conditions()
            if condition.registration is not None and condition.registration.state is RegistrationState.REGISTERED
        ]
        if goodbyes:
            try:
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await asyncio.gather(*goodbyes, return_exceptions=True)
            except TimeoutError:
                log.warning("a registrar did not confirm that we left; it forgets us by itself")

    # --- what others ask ---------------------------------------------------------------------------------------------

    def admits(self, host: str) -> bool:
        """Whether an IP address belongs to a trunk."""
        return host in self._resolver.known_hosts or is_among(host, self._sources)

    def context(self, address: StreamAddress) -> ssl.SSLContext | None:
        """The TLS settings for a trunk's address."""
        return self._contexts.get(address.server_name)

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
        registration = self._conditions[name].registration
        if not self._trunks[name].register_seconds:
            return True
        return registration is not None and registration.state is RegistrationState.REGISTERED

    def waiting(self) -> int:
        """Calls that wait for room."""
        return sum(condition.admission.waiting for condition in self._conditions.values())

    # --- calls -----------------------------------------------------------------------------------------------------

    def choose(self, destination: str) -> Trunk:
        """The trunk to try first; TelephonyError when there is none."""
        first = choose_trunk(tuple(self._trunks.values()), destination)
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
        self._conditions[trunk.name].doubted_until = self._clock() + DOUBT_SECONDS

    def heard(self, trunk: Trunk) -> None:
        """The trunk answered a call in one way or another."""
        self._conditions[trunk.name].doubted_until = 0.0

    def goes_on(self, trunk: Trunk, failure: CallFailed, *, was_heard: bool) -> bool:
        """Whether a call that failed so may be tried at the next address; takes note of what it says of the trunk."""
        if failure.locally_generated:
            unreachable = failure.status in (UNAVAILABLE, TIMED_OUT) and not was_heard
            if unreachable:
                self.silent(trunk)
            return unreachable
        if failure.status == UNAVAILABLE:
            wait = retry_after_seconds(failure.headers)
            if wait:
                self._conditions[trunk.name].closed_until = self._clock() + wait
                log.warning("trunk %s asks for no calls for %g s", trunk.name, wait)
        return failure.status in NEXT_ON

    def is_closed(self, trunk: Trunk) -> bool:
        """Whether the trunk asked for quiet."""
        return self._clock() < self._conditions[trunk.name].closed_until

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

    # --- asking and registering --------------------------------------------------------------------------------------

    def replied(self, reply: Replied) -> None:
        """What became of a request of ours outside of calls."""
        waiting = self._replies.pop(reply.call_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    async def _ask(self, trunk: Trunk, address: Address, method: str, expires: int | None = None) -> Replied:
        name = self._token()
        condition = self._conditions[trunk.name]
        condition.question_count += SEQUENCE_STEP
        reply: asyncio.Future[Replied] = asyncio.get_running_loop().create_future()
        self._replies[name] = reply
        server = SipUri(trunk.host.strip("[]"), None, trunk.port if trunk.port_named else None)
        us = NameAddr(str(SipUri(trunk.from_domain or self._host, escape_user(trunk.username or "callwright"))))
        if method == "REGISTER":  # the address of record is the account at the registrar
            us = NameAddr(str(SipUri(trunk.from_domain or trunk.host.strip("[]"), escape_user(trunk.username))))
        self._carry(
            self._agent.ask(
                self._clock(),
                name,
                method,
                target=server,
                next_hop=address,
                from_=us,
                to=us if method == "REGISTER" else NameAddr(str(server)),
                call_id=condition.call_ids.setdefault(method, self._token()),
                sequence=condition.question_count,
                headers=[] if expires is None else [("Expires", str(expires))],
                credentials=Credentials(trunk.username, trunk.password) if trunk.username else None,
            )
        )
        try:
            return await reply
        finally:
            self._replies.pop(name, None)

    async def _keep_asking(self, trunk: Trunk) -> None:
        """OPTIONS now and then; anything but silence and 503 means that the trunk is there."""
        condition = self._conditions[trunk.name]
        while True:
            try:
                address = (await self._resolver.resolve(trunk))[0]
                reply = await self._ask(trunk, address, "OPTIONS")
                answers = not reply.locally_generated and reply.status != UNAVAILABLE
                said = f"{reply.status} {reply.reason}"
            except TelephonyError as error:
                answers, said = False, str(error)
            if answers is not condition.answers_options:
                log.warning("trunk %s %s: %s", trunk.name, "is back" if answers else "does not answer", said)
            condition.answers_options = answers
            await asyncio.sleep(trunk.options_seconds)

    async def _keep_registered(self, trunk: Trunk) -> None:
        condition = self._conditions[trunk.name]
        registration = condition.registration = Registration(self._clock(), "", trunk.register_seconds)
        while True:
            wait = (registration.deadline or 0.0) - self._clock()
            if wait > 0:
                await asyncio.sleep(wait)
            before = registration.state
            registration.asked()
            reply = await self._register(trunk, registration.expires, condition)
            draw = self._chance.random()
            registration.answered(self._clock(), reply.status, reply.reason, reply.headers, draw)
            if registration.state is not before:
                words = "is registered with" if registration.state is RegistrationState.REGISTERED else "refuses us"
                log.warning("trunk %s %s: %d %s", trunk.name, words, reply.status, reply.reason)

    async def _register(self, trunk: Trunk, expires: int, condition: Condition) -> Replied:
        """One REGISTER, at the first of the registrar's addresses that answers."""
        try:
            addresses = await self._resolver.resolve(trunk)
        except TelephonyError as error:
            return Replied("", TIMED_OUT, str(error), locally_generated=True)
        reply = Replied("", TIMED_OUT, "no address", locally_generated=True)
        for address in addresses:
            if condition.registration is not None:
                condition.registration.contact = self._agent.contact(address)
            reply = await self._ask(trunk, address, "REGISTER", expires)
            if not reply.locally_generated and reply.status != UNAVAILABLE:
                break
        return reply

    def _with_conditions(self) -> list[tuple[Trunk, Condition]]:
        return [(trunk, self._conditions[trunk.name]) for trunk in self._trunks.values()]

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a trunk is not asked any more", exc_info=task.exception())
