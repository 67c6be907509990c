"""What is written down of a leg while it lives, and that a process which lost its place sends no INVITE."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from callwright.callflow.events import Answered, Event, HungUp, NotAnswered
from callwright.callflow.outcome import CallStatus
from callwright.errors import ErrorCode, StorageUnavailable
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.simulator.loopback import own_host, unused_ports
from callwright.sip.memo import decode_memos
from callwright.telemetry.clock import platform_clock
from callwright.telemetry.trace import Trace
from callwright.telephony.line import Telephony, TelephonySettings
from callwright.telephony.trunk import Trunk

HOST = own_host()
CALLER, CALLEE = "+6531350000", "+6591237777"


class Desk:
    """A telephony, what it posts, and what it wants written down."""

    def __init__(self, carrier: Carrier) -> None:
        self.kept: dict[str, list[str]] = {}
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.is_away = False
        self.may_dial = True
        self.release = asyncio.Event()
        self.release.set()
        self.trace = Trace("session-1")
        trunk = Trunk("loop", *carrier.address, built_in=True)
        self.telephony = Telephony(
            TelephonySettings(HOST, 0, unused_ports(8, HOST), (trunk,)),
            platform_clock(),
            lambda _leg_id, event: self.events.put_nowait(event),
            keep=self._keep,
            may_dial=lambda: self.may_dial,
        )

    async def _keep(self, leg_id: str, text: str) -> None:
        await self.release.wait()
        if self.is_away:
            raise StorageUnavailable("the database is away")
        self.kept.setdefault(leg_id, []).append(text)

    def dial(self) -> str:
        """Call; what was to be written down before."""
        route = self.telephony.route(CALLEE, CALLER)
        self.telephony.dial("leg-1", CALLER, CALLEE, route, self.trace)
        return route.dialog

    async def until(self, kind: type[Event]) -> Event:
        async with asyncio.timeout(60):
            while not isinstance(event := await self.events.get(), kind):
                pass
        return event

    def lines(self, kind: str) -> list[str]:
        return [str(entry.fields["line"]) for entry in self.trace.entries if entry.kind == kind]


@asynccontextmanager
async def desk_with(behaviour: Behaviour) -> AsyncIterator[tuple[Desk, Carrier]]:
    carrier = Carrier(HOST, 0, platform_clock(), usual=behaviour)
    await carrier.start()
    desk = Desk(carrier)
    await desk.telephony.start()
    try:
        yield desk, carrier
    finally:
        await desk.telephony.stop()
        await carrier.stop()


async def test_what_is_written_beforehand_is_what_the_invite_says_and_the_answer_adds_the_dialog() -> None:
    async with desk_with(Behaviour(answer_after_seconds=0.02)) as (desk, _):
        (before,) = decode_memos(desk.dial())
        await desk.until(Answered)
        async with asyncio.timeout(60):
            while "leg-1" not in desk.kept:  # noqa: ASYNC110 - written beside the call, and nobody is told
                await asyncio.sleep(0.01)
        (text,) = desk.kept["leg-1"]  # the INVITE left as it was foreseen, so there was nothing to write anew
        (after,) = decode_memos(text)
        assert not before.answered
        assert after.answered
        assert (after.call_id, after.local, after.host, after.port) == (
            before.call_id, before.local, before.host, before.port,
        )  # fmt: skip
        assert after.remote.startswith(before.remote)
        assert "tag=" in after.remote


@pytest.mark.parametrize("away", [False, True], ids=["slow", "away"])
async def test_the_ack_leaves_even_when_nothing_can_be_written(away: bool) -> None:
    async with desk_with(Behaviour(answer_after_seconds=0.02)) as (desk, _):
        desk.is_away = away
        if not away:
            desk.release.clear()
        desk.dial()
        await desk.until(Answered)
        async with asyncio.timeout(60):
            while not any(line.startswith("ACK") for line in desk.lines("sip.sent")):  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)
        kinds = [entry.kind for entry in desk.trace.entries]
        assert ("telephony.memo_lost" if away else "telephony.memo_late") in kinds
        desk.release.set()
        desk.telephony.hang_up("leg-1")
        await desk.until(HungUp)


@pytest.mark.parametrize("away", [False, True], ids=["slow", "away"])
async def test_what_could_not_be_written_is_written_as_soon_as_it_can_be(away: bool) -> None:
    async with desk_with(Behaviour(answer_after_seconds=0.02)) as (desk, _):
        desk.is_away = away
        if not away:
            desk.release.clear()
        desk.dial()
        await desk.until(Answered)
        async with asyncio.timeout(60):
            while not any(line.startswith("ACK") for line in desk.lines("sip.sent")):  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)
            desk.is_away = False
            desk.release.set()
            while "leg-1" not in desk.kept:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)
        (memo,) = decode_memos(desk.kept["leg-1"][-1])
        assert memo.answered


async def test_who_may_not_dial_any_more_sends_no_invite() -> None:
    async with desk_with(Behaviour()) as (desk, carrier):
        desk.may_dial = False
        desk.dial()
        ended = await desk.until(NotAnswered)
        assert isinstance(ended, NotAnswered)
        assert (ended.status, ended.error) == (CallStatus.ERROR, ErrorCode.CONNECTIVITY)
        assert desk.lines("sip.sent") == []
        assert carrier.calls_taken == 0


async def test_a_row_that_nobody_can_read_is_told_of_and_stops_nothing() -> None:
    async with desk_with(Behaviour()) as (desk, _):
        await desk.telephony.end_orphan("leg-9", "loop", "not JSON", desk.trace)
        assert [entry.kind for entry in desk.trace.entries] == ["telephony.orphan_unreadable"]
