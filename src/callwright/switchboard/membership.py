"""This process among the nodes that share a database: its lease, what others left, and what they ask of it.

A lease is moved on every two seconds and good for six. Who holds one may dial; who does not, because the database is
away or because the process itself was, dials nothing new, and goes on with the calls it has: while nobody reaches the
database nobody takes over either. A node that finds itself given up by the others has lost its sessions: it hangs their
calls up, writes no records for them, and begins anew under another id.

Others are given up only by a node that has held its own lease without a gap for as long as a lease is good: when the
database comes back, everybody has time to say so first.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from callwright.errors import StorageError
from callwright.storage.records import StoredSession
from callwright.storage.store_nodes import LEASE_SECONDS
from callwright.telemetry.clock import Clock

log = logging.getLogger(__name__)

RENEW_SECONDS: Final = 2.0
RETRY_SECONDS: Final = 0.5
"""Between two attempts to move a lease on while the database is away."""
LOOK_SECONDS: Final = 1.0
"""How often is looked for what others left or ask for, without being woken."""
MARGIN_SECONDS: Final = 0.5
"""So much sooner than the others a node holds its own lease for lost."""


class MemberRecords(Protocol):
    """What is asked of the store."""

    @property
    def is_shared(self) -> bool: ...
    async def begin_node(self, node_id: str, name: str, url: str | None) -> None: ...
    async def renew_lease(self) -> bool: ...
    async def bury_nodes(self) -> int: ...
    async def claim_sessions(self, *, at_start: bool = False) -> Sequence[StoredSession]: ...
    async def asked_for(self) -> Sequence[str]: ...
    async def drain_node(self) -> Sequence[str]: ...
    async def end_node(self) -> None: ...
    def listen(self, on_wake: Callable[[str], None]) -> None: ...
    async def stop_listening(self) -> None: ...


class Sessions(Protocol):
    """Who carries sessions out: `Switchboard`."""

    def take_over(self, claimed: Sequence[StoredSession]) -> None:
        """Sessions that are ours now."""

    def hang_up(self, session_id: str) -> bool:
        """End a live session."""

    def abandon(self) -> None:
        """Every session is somebody else's now."""

    def let_go(self, session_ids: Sequence[str]) -> None:
        """These are somebody else's now; nothing was dialled for them."""


class Membership:
    """One process's place among the nodes. `enter`, then `serve`; `drain` and `stop` at the end."""

    def __init__(
        self,
        records: MemberRecords,
        clock: Clock,
        new_id: Callable[[], str],
        *,
        name: str,
        url: str | None = None,
    ) -> None:
        """`name` is for people, `url` how other nodes reach this one's HTTP."""
        self.node_id = ""
        self._records = records
        self._clock = clock
        self._new_id = new_id
        self._name = name
        self._url = url
        self._on_gone: Callable[[], None] = lambda: None
        self._board: Sessions | None = None
        self._held_until = float("-inf")
        self._steady_since: float | None = None
        "since when the lease was held without a gap"
        self._renew_at = float("-inf")
        self._lost = False
        self._draining = False
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def holds(self) -> bool:
        """Whether new calls may be dialled: the lease is held, or there is nobody who could take anything over."""
        return not self._records.is_shared or (not self._lost and self._clock() < self._held_until)

    async def enter(self) -> None:
        """Be a node from now on. Raises StorageError."""
        await self._begin()
        if self._records.is_shared:
            self._records.listen(self._wake)
            self._task = asyncio.create_task(self._keep(), name="node lease")
            self._task.add_done_callback(_report)

    def serve(self, board: Sessions, on_gone: Callable[[], None] = lambda: None) -> None:
        """From now on `board` gets what others left, and is asked to end what somebody wants to end.

        `on_gone` is told when another node was given up: what it was sending is to be sent by somebody else.
        """
        self._board = board
        self._on_gone = on_gone
        self._woken.set()

    async def drain(self) -> None:
        """Take nothing on any more; what was not dialled yet goes to another node, if there is one."""
        self._draining = True
        if self._records.is_shared and self._board is not None:
            with suppress(StorageError):  # then it is carried out here
                self._board.let_go(await self._records.drain_node())

    async def stop(self) -> None:
        """Be a node no longer; whoever is left takes up what is left."""
        await self._records.stop_listening()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        with suppress(StorageError):  # the lease runs out by itself
            await self._records.end_node()

    def _wake(self, node_id: str) -> None:
        if node_id in ("", self.node_id):
            self._woken.set()

    async def _keep(self) -> None:
        while True:
            try:
                await self._turn()
            except StorageError as error:
                log.debug("nothing is seen of other nodes for the moment: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_SECONDS, max(0.0, self._renew_at - self._clock()))):
                    await self._woken.wait()
            self._woken.clear()

    async def _turn(self) -> None:
        renewed = self._clock() >= self._renew_at
        if renewed:
            await self._renew()
        board = self._board
        if board is None or not self.holds():
            return
        for session_id in await self._records.asked_for():
            board.hang_up(session_id)
        if self._draining:
            return
        if renewed and self._steady_since is not None and self._clock() - self._steady_since >= LEASE_SECONDS:
            buried = await self._records.bury_nodes()
            if buried:
                log.warning("%d nodes are gone: their leases ran out", buried)
                self._on_gone()
        claimed = await self._records.claim_sessions()
        if claimed:
            log.warning("%d sessions of nodes that are gone were taken over", len(claimed))
            board.take_over(claimed)
            self._woken.set()  # there may be more

    async def _renew(self) -> None:
        asked_at = self._clock()
        self._renew_at = asked_at + RETRY_SECONDS
        try:
            if self._lost:
                await self._begin()
                return
            is_ours = await self._records.renew_lease()
        except StorageError as error:
            self._steady_since = None
            log.warning("this node's lease was not moved on: %s", error)
            return
        if is_ours:
            self._note_held(asked_at)
            return
        self._lost = True
        self._renew_at = asked_at
        log.error("other nodes gave this one up and have its sessions now; it hangs up its calls and begins anew")
        if self._board is not None:
            self._board.abandon()

    async def _begin(self) -> None:
        asked_at, node_id = self._clock(), self._new_id()
        await self._records.begin_node(node_id, self._name, self._url)
        self.node_id, self._lost, self._steady_since = node_id, False, None
        self._note_held(asked_at)

    def _note_held(self, asked_at: float) -> None:
        if self._steady_since is None or asked_at > self._held_until + MARGIN_SECONDS:
            self._steady_since = asked_at
        self._held_until = asked_at + LEASE_SECONDS - MARGIN_SECONDS
        self._renew_at = asked_at + RENEW_SECONDS


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("this node's lease is not moved on any more; others will take over", exc_info=task.exception())
