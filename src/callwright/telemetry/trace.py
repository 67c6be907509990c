"""One record per call: everything decided, sent, received and measured, in order.

Every session owns one `Trace`. The switchboard writes events and commands into it, telephony the SIP messages and RTP
figures, speech the voice that was chosen. It is stored with the terminal record, `callwright explain` tells it, and
tests assert on it. It may hold full numbers and texts (it is the customer's own record); it never holds keys,
passwords or digest responses.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

FieldValue = str | int | float | bool | None
MOST_ENTRIES = 2_000
"""A trace stops growing here, with one last `trace.full` entry; a call that needs more is being flooded."""


class TraceEntry(NamedTuple):
    """One thing that happened. `kind` is `room.what`, such as `sip.sent`, `event.Ringing`, `speech.voice`."""

    at: float
    kind: str
    fields: dict[str, FieldValue]


Watcher = Callable[[TraceEntry], None]


@dataclass(slots=True)
class Trace:
    """The growing record of one session; watchers see each entry as it is written."""

    session_id: str
    entries: list[TraceEntry] = field(default_factory=list)
    watchers: list[Watcher] = field(default_factory=list)

    def add(self, at: float, kind: str, **fields: FieldValue) -> None:
        """Write one entry down."""
        if len(self.entries) > MOST_ENTRIES:
            return
        if len(self.entries) == MOST_ENTRIES:
            kind, fields = "trace.full", {"most_entries": MOST_ENTRIES}
        entry = TraceEntry(at, kind, fields)
        self.entries.append(entry)
        if self.watchers:
            for watch in tuple(self.watchers):
                watch(entry)
