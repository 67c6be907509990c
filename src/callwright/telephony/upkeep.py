"""Keeping trunks: OPTIONS (RFC 3261 §11) ask whether one is there, REGISTER (§10) says where we are."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Coroutine

from callwright.errors import TelephonyError
from callwright.sip.address import NameAddr, SipUri, escape_user
from callwright.sip.agent import UserAgent
from callwright.sip.digest import Credentials
from callwright.sip.outputs import Address, Output, Replied
from callwright.sip.registration import Registration, RegistrationState
from callwright.telemetry.clock import Clock
from callwright.telephony.condition import Condition
from callwright.telephony.resolver import Resolver
from callwright.telephony.trunk import Trunk

log = logging.getLogger(__name__)

UNAVAILABLE, TIMED_OUT = 503, 408
SEQUENCE_STEP = 10
GOODBYE_SECONDS = 1.0


class Upkeep:
    """Asks and registers on the running loop, one trunk beside the other. Names are trunks' names."""

    def __init__(self, clock: Clock, token: Callable[[], str], chance: random.Random) -> None:
        self._clock = clock
        self._token = token
        self._chance = chance
        self._agent: UserAgent
        self._carry: Callable[[list[Output]], None]
        self._host: Callable[[Trunk], str]
        self._resolver: Resolver
        self._replies: dict[str, asyncio.Future[Replied]] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._kept: dict[str, tuple[Trunk, Condition]] = {}
        self._anew: dict[str, asyncio.Event] = {}

    def use(
        self,
        resolver: Resolver,
        agent: UserAgent,
        carry: Callable[[list[Output]], None],
        host: Callable[[Trunk], str],
    ) -> None:
        """Ask with these; needed before `begin`. `host` says where a trunk reaches us."""
        self._resolver, self._agent, self._carry, self._host = resolver, agent, carry, host

    def begin(self, trunk: Trunk, condition: Condition) -> None:
        """Ask and register as the trunk wants it, until `end`."""
        self._kept[trunk.name] = (trunk, condition)
        work: list[Coroutine[None, None, None]] = []
        if trunk.register_seconds:
            self._anew[trunk.name] = asyncio.Event()
            work.append(self._keep_registered(trunk, condition, self._anew[trunk.name]))
        if trunk.options_seconds:
            work.append(self._keep_asking(trunk, condition))
        loop = asyncio.get_running_loop()
        self._tasks[trunk.name] = [loop.create_task(one) for one in work]
        for task in self._tasks[trunk.name]:
            task.add_done_callback(_done)

    async def end(self, name: str) -> None:
        """Ask no more, and take the registration back as far as that goes at once."""
        trunk, condition = self._kept.pop(name)
        self._anew.pop(name, None)
        tasks = self._tasks.pop(name)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        condition.answers_options, condition.options_said = True, ""
        registration = condition.registration
        if registration is None or registration.good_until <= self._clock():
            condition.registration = None
            return
        try:
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._register(trunk, 0, condition, registration)
        except TimeoutError:
            log.warning("trunk %s did not confirm that we left; it forgets us by itself", name)
        finally:
            if condition.registration is registration:
                condition.registration = None

    async def end_all(self) -> None:
        """Ask nobody any more."""
        await asyncio.gather(*[self.end(name) for name in tuple(self._kept)], return_exceptions=True)

    def register_anew(self) -> None:
        """Where we are has changed: tell every registrar."""
        for anew in self._anew.values():
            anew.set()

    def replied(self, reply: Replied) -> None:
        """What became of a request of ours outside of calls."""
        waiting = self._replies.pop(reply.call_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    async def ask(
        self, trunk: Trunk, condition: Condition, address: Address, method: str, expires: int | None = None
    ) -> Replied:
        """One request to one of the trunk's addresses, and what became of it."""
        name = self._token()
        condition.question_count += SEQUENCE_STEP
        reply: asyncio.Future[Replied] = asyncio.get_running_loop().create_future()
        self._replies[name] = reply
        server = SipUri(trunk.host.strip("[]"), None, trunk.port if trunk.port_named else None)
        host = trunk.from_domain or self._host(trunk)
        us = NameAddr(str(SipUri(host, escape_user(trunk.username or "callwright"))))
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

    async def _keep_asking(self, trunk: Trunk, condition: Condition) -> None:
        """OPTIONS now and then; anything but silence and 503 means that the trunk is there."""
        while True:
            try:
                address = (await self._resolver.resolve(trunk))[0]
                reply = await self.ask(trunk, condition, address, "OPTIONS")
                answers = not reply.locally_generated and reply.status != UNAVAILABLE
                said = f"{reply.status} {reply.reason}"
            except TelephonyError as error:
                answers, said = False, str(error)
            if answers is not condition.answers_options:
                log.warning("trunk %s %s: %s", trunk.name, "is back" if answers else "does not answer", said)
            condition.answers_options, condition.options_said = answers, said
            await asyncio.sleep(trunk.options_seconds)

    async def _keep_registered(self, trunk: Trunk, condition: Condition, anew: asyncio.Event) -> None:
        registration = condition.registration = Registration(self._clock(), "", trunk.register_seconds)
        while True:
            wait = (registration.deadline or 0.0) - self._clock()
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await anew.wait()
            anew.clear()
            before = registration.state
            registration.asked()
            reply = await self._register(trunk, registration.expires, condition, registration)
            draw = self._chance.random()
            registration.answered(self._clock(), reply.status, reply.reason, reply.headers, draw)
            if registration.state is not before:
                words = "is registered with" if registration.state is RegistrationState.REGISTERED else "refuses us"
                log.warning("trunk %s %s: %d %s", trunk.name, words, reply.status, reply.reason)

    async def _register(self, trunk: Trunk, expires: int, condition: Condition, registration: Registration) -> Replied:
        """One REGISTER, at the first of the registrar's addresses that answers."""
        try:
            addresses = await self._resolver.resolve(trunk)
        except TelephonyError as error:
            return Replied("", TIMED_OUT, str(error), locally_generated=True)
        reply = Replied("", TIMED_OUT, "no address", locally_generated=True)
        for address in addresses:
            registration.contact = self._agent.contact(address)
            reply = await self.ask(trunk, condition, address, "REGISTER", expires)
            if not reply.locally_generated and reply.status != UNAVAILABLE:
                break
        return reply


def _done(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("a trunk is not asked any more", exc_info=task.exception())
