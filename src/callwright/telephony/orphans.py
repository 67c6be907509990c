"""What becomes of calls when their process dies: written down while they live (`Memos`), ended afterwards (`Orphans`).

What an INVITE will say is durable with the intent to dial, so that whoever finds the intent can send its CANCEL. When a
leg is answered, or its SIP takes another way than was foreseen, the new state is written beside the call: nobody waits,
except the ACK to a 200. That is held back until the dialog is durable, because until then the callee repeats its 200,
and whoever is here by then hangs it up; a database that is away holds it up for 0.2 s at most.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from callwright.errors import CallwrightError, SipSyntaxError, TelephonyError
from callwright.sip.digest import Credentials
from callwright.sip.memo import Memo, decode_memos, encode_memos
from callwright.sip.outputs import Address, CallEnded, CallFailed, Output, UnwantedAnswer
from callwright.sip.streams import StreamAddress, place_text, transport_of
from callwright.telemetry.trace import Trace
from callwright.telephony.exchange import Exchange
from callwright.telephony.leg import Leg
from callwright.telephony.trunk import Trunk

log = logging.getLogger(__name__)

Keep = Callable[[str, str], Awaitable[None]]
"""Leg id and text → durable when it returns; CallwrightError when it cannot be now."""

KEPT_WITHIN_SECONDS: Final = 0.2
"""How long an ACK waits for its memo: less than T1, after which the callee would repeat its 200."""
AGAIN_SECONDS: Final = 0.5
"""Between two attempts to write a memo while the database is away."""
SETTLED_WITHIN_SECONDS: Final = 2.0
"""How long the end of an orphan is waited for; its requests are repeated for 64*T1 all the same."""


class Memos:
    """Writes down what ends this process's legs without it."""

    def __init__(self, exchange: Exchange, keep: Keep) -> None:
        self._exchange = exchange
        self._keep = keep
        self._unwritten: set[str] = set()
        "legs whose latest state is not written down yet, though it should be"

    def note(self, leg: Leg) -> None:
        """The leg's SIP moved on: have it written down if that is news."""
        if self._is_news(leg):
            self._exchange.run(self._write(leg))

    def answered(self, leg: Leg) -> None:
        """The callee picked up: written down, then acknowledged (and hung up, when nobody wants it any more)."""
        self._is_news(leg)
        self._exchange.run(self._write_and_acknowledge(leg))

    def forget_attempts(self, leg: Leg) -> None:
        """What was tried so far came to nothing, for sure."""
        leg.memos.clear()

    def _is_news(self, leg: Leg) -> bool:
        memo = self._exchange.agent.memo(leg.sip_call_id)
        if memo is None or leg.memos.get(memo.local) == memo:
            return False
        leg.memos[memo.local] = memo
        return True

    async def _write(self, leg: Leg) -> None:
        try:
            await self._keep(leg.leg_id, encode_memos([*leg.memos.values()]))
        except CallwrightError as error:
            leg.trace.add(self._exchange.clock(), "telephony.memo_lost", leg_id=leg.leg_id, reason=str(error))
            self._write_later(leg)

    def _write_later(self, leg: Leg) -> None:
        """A call may last for hours after a database that was away for seconds."""
        if leg.leg_id not in self._unwritten:
            self._unwritten.add(leg.leg_id)
            self._exchange.run(self._write_when_possible(leg))

    async def _write_when_possible(self, leg: Leg) -> None:
        try:
            while leg.leg_id in self._exchange.legs:
                await asyncio.sleep(AGAIN_SECONDS)
                with contextlib.suppress(CallwrightError):
                    await self._keep(leg.leg_id, encode_memos([*leg.memos.values()]))
                    return
        finally:
            self._unwritten.discard(leg.leg_id)

    async def _write_and_acknowledge(self, leg: Leg) -> None:
        try:
            async with asyncio.timeout(KEPT_WITHIN_SECONDS):
                await self._write(leg)
        except TimeoutError:
            leg.trace.add(self._exchange.clock(), "telephony.memo_late", leg_id=leg.leg_id)
            self._write_later(leg)
        self._exchange.carry(self._exchange.agent.release_ack(self._exchange.clock(), leg.sip_call_id))


@dataclass(frozen=True, slots=True)
class _Ending:
    """A call that is being ended."""

    leg_id: str
    memos: list[Memo]
    "all of its leg"
    index: int
    "of its own among them"
    trace: Trace
    settled: asyncio.Future[str]


class Orphans:
    """Ends calls of processes that are gone."""

    def __init__(
        self,
        exchange: Exchange,
        find: Callable[[str], Trunk | None],
        resolve: Callable[[Trunk], Awaitable[Iterable[Address]]],
        keep: Keep | None,
    ) -> None:
        self._exchange = exchange
        self._find = find
        self._resolve = resolve
        self._keep = keep
        self._open: dict[str, _Ending] = {}
        self.hosts: set[str] = set()
        "where orphans are, whose answers must be let in even if their trunk is configured no longer"

    async def end(self, leg_id: str, trunk: str, text: str, trace: Trace) -> None:
        """End what a leg's memos tell of; returns when the far end confirmed it, or is not heard for a while."""
        try:
            memos = [*decode_memos(text)]
        except SipSyntaxError as error:
            log.error("leg %s cannot be ended: %s", leg_id, error)  # noqa: TRY400  the text says all of it
            trace.add(self._exchange.clock(), "telephony.orphan_unreadable", leg_id=leg_id, reason=str(error))
            return
        loop = asyncio.get_running_loop()
        endings = [_Ending(leg_id, memos, index, trace, loop.create_future()) for index in range(len(memos))]
        await asyncio.gather(*[self._end_one(ending, trunk) for ending in endings])

    async def _end_one(self, ending: _Ending, trunk_name: str) -> None:
        exchange, trunk = self._exchange, self._find(trunk_name)
        leg_id, trace = ending.leg_id, ending.trace
        name = f"orphan;{leg_id};{ending.index}"
        try:
            memo = await self._placed(ending.memos[ending.index], trunk)
            self.hosts.add(memo.host)
            credentials = Credentials(trunk.username, trunk.password) if trunk is not None and trunk.username else None
            invites = 3 if credentials is not None else 2  # one for a challenge, one for a longer session interval
            wishes = exchange.agent.end_orphan(exchange.clock(), name, memo, credentials, invites)
        except (SipSyntaxError, TelephonyError) as error:
            log.error("leg %s cannot be ended: %s", leg_id, error)  # noqa: TRY400  the text says all of it
            trace.add(exchange.clock(), "telephony.orphan_unreadable", leg_id=leg_id, reason=str(error))
            return
        if not wishes:
            return  # it is being ended already
        said = "BYE" if memo.answered else "503" if memo.inbound else "CANCEL"
        place = place_text(memo.place)
        trace.add(exchange.clock(), "telephony.orphan", leg_id=leg_id, said=said, to=place, sip_call_id=memo.call_id)
        self._open[name] = ending
        exchange.carry(wishes)
        try:
            async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
                outcome = await ending.settled
        except TimeoutError:
            outcome = f"{place} did not confirm within {SETTLED_WITHIN_SECONDS:g} s; it is told again for a while"
        finally:
            self._open.pop(name, None)
        trace.add(exchange.clock(), "telephony.orphan_over", leg_id=leg_id, outcome=outcome)

    async def _placed(self, memo: Memo, trunk: Trunk | None) -> Memo:
        """The memo with an address; none was known when it was written while the trunk's name was not resolved."""
        if memo.host:
            return memo
        if trunk is None:
            raise TelephonyError("its trunk is not configured any more, and its address was not known")
        address = next(iter(await self._resolve(trunk)))
        server_name = address.server_name if isinstance(address, StreamAddress) else ""
        return msgspec.structs.replace(
            memo, host=address[0], port=address[1], transport=transport_of(address), server_name=server_name
        )

    def told(self, output: Output) -> None:
        """News of a call that is no leg."""
        if isinstance(output, UnwantedAnswer):
            self._exchange.run(self._keep_and_hang_up(output.call_id))
        elif isinstance(output, CallEnded | CallFailed):
            ending = self._open.get(output.call_id)
            if ending is not None and not ending.settled.done():
                ending.settled.set_result(output.reason or "over")

    async def _keep_and_hang_up(self, name: str) -> None:
        exchange, ending, memo = self._exchange, self._open.get(name), self._exchange.agent.memo(name)
        if self._keep is not None and ending is not None and memo is not None:
            ending.memos[ending.index] = memo
            leg_id, trace = ending.leg_id, ending.trace
            try:
                async with asyncio.timeout(KEPT_WITHIN_SECONDS):
                    await self._keep(leg_id, encode_memos(ending.memos))
            except TimeoutError:
                trace.add(exchange.clock(), "telephony.memo_late", leg_id=leg_id)
            except CallwrightError as error:
                trace.add(exchange.clock(), "telephony.memo_lost", leg_id=leg_id, reason=str(error))
        exchange.carry(exchange.agent.release_ack(exchange.clock(), name))
