"""callwright made wrong on purpose, one promise at a time: the simulation is worth something only if it notices each.

These stand between the switchboard or the deliverer and the rooms below them, and are never used but in tests.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from simulation.process import Wrongs

from callwright.callflow.summary import SessionSummary
from callwright.storage.records import SessionState, StoredSession
from callwright.storage.store import Store
from callwright.telemetry.trace import Trace
from callwright.telephony.line import Telephony


class Through:
    """Everything as it is, but for what a subclass does otherwise."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class NoIntent(Through):
    """Dials without writing down before that it will."""

    async def record_dial_intent(self, *_: Any, **__: Any) -> None:
        """Nothing is written."""


class LateIntent(Through):
    """Says that the intent is durable before it is."""

    async def record_dial_intent(self, *arguments: Any, **named: Any) -> None:
        """Begun, and not waited for."""
        self._task = asyncio.create_task(self._real.record_dial_intent(*arguments, **named))


class TwoRecords(Through):
    """Writes a terminal record over the one that is there."""

    async def finish_session(self, summary: SessionSummary, vss_body: bytes, trace: Trace, at: float) -> bool:
        """Written, opened again, and written once more."""
        written: bool = await self._real.finish_session(summary, vss_body, trace, at)
        await self._real._change(_write_again(summary.session_id))
        return written


class NoRecord(Through):
    """Loses a terminal record while it says that it is written."""

    async def finish_session(self, *_: Any) -> bool:
        """Nothing is written."""
        return True


class NoRecovery(Through):
    """Looks after nothing that an earlier process left."""

    async def claim_sessions(self, **_: Any) -> Sequence[StoredSession]:
        """None, as it says."""
        return ()


class Redials(Through):
    """Takes up a session that was dialled as if it had not been."""

    async def claim_sessions(self, **named: Any) -> Sequence[StoredSession]:
        """Those that were dialled, forgotten to have been."""
        claimed = await self._real.claim_sessions(**named)
        return [replace(one, state=SessionState.ACCEPTED, dial_intents=()) for one in claimed]


class Optimist(Through):
    """Writes each try of a webhook down as delivered."""

    async def record_attempt(self, delivery_id: str, **named: Any) -> None:
        """It will have arrived."""
        await self._real.record_attempt(delivery_id, **{**named, "delivered": True})


class DeafLines(Through):
    """Does not hang up."""

    def hang_up(self, leg_id: str) -> None:
        """Somebody else will."""


def _write_again(session_id: str) -> Any:
    def work(connection: Any) -> None:
        connection.exec_driver_sql("UPDATE sessions SET summary = summary WHERE session_id = ?", (session_id,))

    return work


def _through(kind: type[Through]) -> Any:
    def wrapped(real: Store | Telephony) -> Any:
        return kind(real)

    return wrapped


WRONGS: dict[str, Wrongs] = {
    "dials without an intent": Wrongs(records=_through(NoIntent)),
    "dials before the intent is durable": Wrongs(records=_through(LateIntent)),
    "writes the terminal record twice": Wrongs(records=_through(TwoRecords)),
    "loses the terminal record": Wrongs(records=_through(NoRecord)),
    "recovers nothing": Wrongs(records=_through(NoRecovery)),
    "dials again after a crash": Wrongs(records=_through(Redials)),
    "believes that webhooks arrived": Wrongs(outbox=_through(Optimist)),
    "does not hang up": Wrongs(lines=_through(DeafLines)),
}
