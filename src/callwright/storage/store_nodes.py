"""The store's methods about nodes: one's own lease, what others left, and what they are asked for."""

import asyncio
import base64
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from callwright.errors import StorageError
from callwright.storage import nodes
from callwright.storage.access import Access
from callwright.storage.nodes import Owner
from callwright.storage.records import StoredSession
from callwright.storage.wakes import CHANNEL

if TYPE_CHECKING:
    from callwright.storage.listener import Listener

LEASE_SECONDS: Final = 6.0
"""How long a node is believed to live after its last word."""
MOST_CLAIMED: Final = 500
"""Sessions that a node takes over at a time; others take the rest meanwhile."""
NODE_FILE_NAME: Final = "node"
TICKET_SECONDS: Final = 60.0
"""How long a node's question to another is good: longer than their clocks differ."""
TICKET_PLACE: Final = "nodes/ticket"


class NodeStore(Access):
    """This process among those that share the database."""

    _listener: "Listener | None" = None

    @property
    def is_shared(self) -> bool:
        """Other nodes may have the database open."""
        return self._database.is_shared

    async def begin_node(self, node_id: str, name: str, url: str | None) -> None:
        """Enter this process under a new `node_id`, which is `self.node_id` from now on. The data folder is ours."""
        former = ""
        if self.is_shared:  # otherwise there is nobody else, and all others are over
            former = await asyncio.to_thread(_exchange_names, self._database.folder / NODE_FILE_NAME, node_id)
        at = self._clock()
        alone = not self.is_shared
        await self._leases.run(
            lambda connection: nodes.begin(connection, node_id, name, url, LEASE_SECONDS, at, former, alone=alone)
        )
        self.node_id = node_id

    async def renew_lease(self) -> bool:
        """Move this node's lease on; False when it is gone, and others own what was its own."""
        node_id, at = self.node_id, self._clock()
        return await self._leases.run(lambda connection: nodes.renew(connection, node_id, LEASE_SECONDS, at))

    async def bury_nodes(self) -> int:
        """End nodes whose lease ran out; how many."""
        at = self._clock()
        return await self._leases.run(lambda connection: nodes.bury(connection, at))

    async def claim_sessions(self, *, at_start: bool = False) -> tuple[StoredSession, ...]:
        """Take over some of the sessions that are nobody's: they are ours when this returns."""
        node_id = self.node_id
        return await self._change(lambda connection: nodes.claim(connection, node_id, MOST_CLAIMED, at_start=at_start))

    async def ask_for_end(self, session_id: str) -> bool:
        """Ask whoever carries a session out to end it, durably; False when it is over."""
        at = self._clock()
        return await self._change(lambda connection: nodes.ask_for_end(connection, session_id, at))

    async def asked_for(self) -> tuple[str, ...]:
        """Sessions of ours that somebody wants to end."""
        node_id = self.node_id
        return await self._ask(lambda connection: nodes.asked_for(connection, node_id))

    async def owner_of(self, session_id: str) -> Owner | None:
        """The node that carries an open session out; None when nobody does at the moment."""
        return await self._ask(lambda connection: nodes.owner_of(connection, session_id))

    async def drain_node(self) -> tuple[str, ...]:
        """Take nothing on any more, and let go of what was not dialled yet, if somebody can take it; which sessions."""
        node_id, at = self.node_id, self._clock()
        await self._change(lambda connection: nodes.drain(connection, node_id))
        return await self._change(lambda connection: nodes.hand_over(connection, node_id, at))

    async def end_node(self) -> None:
        """This process stops."""
        node_id = self.node_id
        await self._leases.run(lambda connection: nodes.end(connection, node_id))

    def ticket_for(self, session_id: str) -> str:
        """What shows another node that it is one of this database's who asks about a session."""
        text = f"{session_id} {self._clock() + TICKET_SECONDS:.0f}"
        return base64.urlsafe_b64encode(self._box.seal(text, TICKET_PLACE)).decode()

    def is_good_ticket(self, ticket: str, session_id: str) -> bool:
        """Whether another node wrote it, for this session, a moment ago."""
        try:
            session, until = self._box.open(base64.urlsafe_b64decode(ticket), TICKET_PLACE).split(" ")
        except (StorageError, ValueError):
            return False
        return session == session_id and self._clock() < float(until)

    def listen(self, on_wake: Callable[[str], None]) -> None:
        """Be told on this loop, by node id or ANYBODY, when somebody is to look around; a no-op without other nodes."""
        if self.is_shared and self._listener is None:
            from callwright.storage.listener import Listener  # here: psycopg is 6 MB that SQLite does without

            self._listener = Listener(self._database.write, CHANNEL, on_wake)

    async def stop_listening(self) -> None:
        """No more; may be called twice."""
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.stop()


def _exchange_names(path: Path, node_id: str) -> str:
    """Write the name of the node that has the folder now; the one before, which is over. Whole or not at all."""
    former = ""
    with suppress(FileNotFoundError):
        former = path.read_text(encoding="ascii").strip()
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(node_id + "\n", encoding="ascii")
    os.replace(fresh, path)  # noqa: PTH105  as atomic as it gets, and said so
    return former
