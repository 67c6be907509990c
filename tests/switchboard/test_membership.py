"""A node's lease under a clock that the test moves: who may dial, who gives others up, what a node that lost does."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from itertools import count

import pytest

from callwright.callflow.plan import Callflow
from callwright.errors import StorageUnavailable
from callwright.storage.records import SessionState, StoredSession
from callwright.switchboard.membership import Membership


class Table:
    """The nodes' rows, as one node sees them."""

    def __init__(self) -> None:
        self.is_shared = True
        self.is_away = False
        self.is_ours = True
        self.begun: list[str] = []
        self.renewed = 0
        self.buried = 0
        self.left: list[StoredSession] = []
        self.asked: list[str] = []
        self.ended = False
        self.wake: Callable[[str], None] = lambda _: None

    def _answer(self) -> None:
        if self.is_away:
            raise StorageUnavailable("the database is away")

    async def begin_node(self, node_id: str, name: str, url: str | None) -> None:
        self._answer()
        self.begun.append(node_id)
        self.is_ours = True

    async def renew_lease(self) -> bool:
        self._answer()
        self.renewed += 1
        return self.is_ours

    async def bury_nodes(self) -> int:
        self._answer()
        self.buried += 1
        return 1

    async def claim_sessions(self, *, at_start: bool = False) -> Sequence[StoredSession]:
        self._answer()
        claimed, self.left = self.left, []
        return claimed

    async def asked_for(self) -> Sequence[str]:
        self._answer()
        return self.asked

    async def drain_node(self) -> Sequence[str]:
        self._answer()
        return ["undialled"]

    async def end_node(self) -> None:
        self._answer()
        self.ended = True

    def listen(self, on_wake: Callable[[str], None]) -> None:
        self.wake = on_wake

    async def stop_listening(self) -> None:
        self.wake = lambda _: None


class Board:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.hung_up: list[str] = []
        self.gone: list[str] = []
        self.abandoned = 0

    def take_over(self, claimed: Sequence[StoredSession]) -> None:
        self.taken += [session.session_id for session in claimed]

    def hang_up(self, session_id: str) -> bool:
        self.hung_up.append(session_id)
        return True

    def abandon(self) -> None:
        self.abandoned += 1

    def let_go(self, session_ids: Sequence[str]) -> None:
        self.gone += session_ids


class Node:
    """A member whose time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.table = Table()
        self.board = Board()
        numbers = count(1)
        self.member = Membership(self.table, lambda: self.now, lambda: f"node-{next(numbers)}", name="here")

    async def turn(self, seconds: float = 0.0) -> None:
        """Let time pass at once, and the node look around once, however its task is scheduled."""
        self.now += seconds
        with contextlib.suppress(StorageUnavailable):
            await self.member._turn()

    async def live(self, seconds: float) -> None:
        """Let time pass second by second."""
        for _ in range(round(seconds)):
            await self.turn(1.0)


@pytest.fixture
async def node() -> Node:
    node = Node()
    await node.member.enter()
    # Its own task would look around by the real clock; the test's turns take its place.
    assert node.member._task is not None
    node.member._task.cancel()
    await asyncio.gather(node.member._task, return_exceptions=True)
    node.member.serve(node.board)
    return node


def left_behind(session_id: str) -> StoredSession:
    return StoredSession(session_id, "riders_hq", SessionState.DIALLED, Callflow((), ""), 1.0, None, None, ())


async def test_a_lease_is_moved_on_every_other_second(node: Node) -> None:
    await node.live(20.0)
    assert 9 <= node.table.renewed <= 11
    assert node.member.holds()


async def test_who_cannot_move_its_lease_on_dials_nothing_before_others_may_take_over(node: Node) -> None:
    node.table.is_away = True
    await node.live(5.0)
    assert node.member.holds()
    await node.turn(0.6)
    assert not node.member.holds()
    assert node.board.abandoned == 0  # its calls go on: nobody can take them over
    node.table.is_away = False
    await node.turn(1.0)
    assert node.member.holds()


async def test_what_was_being_sent_by_a_node_that_is_gone_is_sent_by_somebody_else(node: Node) -> None:
    told: list[str] = []
    node.member.serve(node.board, lambda: told.append("gone"))
    await node.live(8.0)
    assert told


async def test_nobody_is_given_up_before_everybody_had_time_to_come_back(node: Node) -> None:
    await node.live(5.0)
    assert node.table.buried == 0
    await node.live(3.0)
    assert node.table.buried > 0
    node.table.is_away = True
    await node.live(30.0)
    node.table.is_away = False
    node.table.buried = 0
    await node.live(5.0)
    assert node.table.buried == 0
    await node.live(4.0)
    assert node.table.buried > 0


async def test_a_node_that_was_away_itself_gives_nobody_up_at_once(node: Node) -> None:
    await node.live(10.0)
    node.table.buried = 0
    await node.turn(60.0)  # it stood still; its lease was not taken
    assert node.table.buried == 0


async def test_what_others_left_is_taken_over(node: Node) -> None:
    node.table.left = [left_behind("s1"), left_behind("s2")]
    await node.turn(1.0)
    assert node.board.taken == ["s1", "s2"]


async def test_what_somebody_wants_to_end_is_ended(node: Node) -> None:
    node.table.asked = ["s1"]
    await node.turn()
    assert node.board.hung_up == ["s1"]


async def test_a_node_that_was_given_up_abandons_its_sessions_once_and_begins_anew(node: Node) -> None:
    await node.live(4.0)
    node.table.is_ours = False
    await node.turn(2.0)
    assert node.board.abandoned == 1
    assert not node.member.holds()
    node.table.is_away = True
    await node.turn(1.0)
    assert not node.member.holds()
    node.table.is_away = False
    await node.turn(1.0)
    assert node.member.holds()
    assert node.table.begun == ["node-1", "node-3"]  # the second could not be written down
    assert node.member.node_id == "node-3"
    assert node.board.abandoned == 1


async def test_a_node_that_drains_lets_go_and_claims_nothing(node: Node) -> None:
    await node.member.drain()
    assert node.board.gone == ["undialled"]
    node.table.left = [left_behind("s1")]
    await node.live(3.0)
    assert node.board.taken == []
    assert node.member.holds()  # what it has it finishes


async def test_a_node_that_stops_says_so(node: Node) -> None:
    await node.member.stop()
    assert node.table.ended


async def test_where_nobody_else_can_be_the_lease_is_always_held() -> None:
    node = Node()
    node.table.is_shared = False
    await node.member.enter()
    node.now += 1_000.0
    assert node.member.holds()
    assert node.member._task is None
    await node.member.stop()


async def eventually(condition: Callable[[], bool], pause: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await pause()


async def test_a_wake_up_is_followed_at_once() -> None:
    node = Node()
    await node.member.enter()
    node.member.serve(node.board)
    await eventually(lambda: node.table.renewed == 0 and not node.member._woken.is_set(), lambda: asyncio.sleep(0))
    node.table.asked = ["s1"]
    node.table.wake("somebody else")
    await asyncio.sleep(0)
    assert not node.member._woken.is_set()
    node.table.wake("node-1")
    await eventually(lambda: node.board.hung_up == ["s1"], lambda: asyncio.sleep(0))
    await node.member.stop()
