"""One record per call: everything decided, sent, received and measured, in order.

Every session owns one `Trace`. The switchboard writes events and commands into it, telephony the SIP messages and RTP
figures, speech the voice that was chosen. It is stored with the terminal record, `callwright explain` tells it, and
tests assert on it. It may hold full numbers and texts (it is the customer's own record); it never holds keys,
passwords or digest responses.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

FieldValue = str | int | float | bool | None
MOST_ENTRIES = 2_000
"""A trace stops growing here, with one last `trace.full` entry; a call that needs more is being flooded."""


class TraceEntry(NamedTuple):
    """One thing that happened. `kind` is `room.what`, such as `sip.sent`, `event.Ringing`, `speech.voice`."""

    at: float
    kind: str
    fields: dict[str, FieldValue]


Watcher = Callable[[TraceEntry], None]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(TraceEntry).decode


@dataclass(slots=True)
class Trace:
    """The growing record of one session; watchers see each entry as it is written.

    Entries are kept as the JSON that is stored in the end: it takes a quarter less memory than their objects, and most
    are never looked at while the call lives.
    """

    session_id: str
    watchers: list[Watcher] = field(default_factory=list)
    _encoded: list[bytes] = field(default_factory=list)

    @property
    def entries(self) -> list[TraceEntry]:
        """What was written down so far, in order."""
        return [_decode(entry) for entry in self._encoded]

    def add(self, at: float, kind: str, **fields: FieldValue) -> None:
        """Write one entry down."""
        if len(self._encoded) > MOST_ENTRIES:
            return
        if len(self._encoded) == MOST_ENTRIES:
            kind, fields = "trace.full", {"most_entries": MOST_ENTRIES}
        try:
            self._encoded.append(_encode((at, kind, fields)))
        except UnicodeEncodeError:  # half a surrogate pair, which has no UTF-8 form
            fields = {name: _storable(value) for name, value in fields.items()}
            self._encoded.append(_encode((at, kind, fields)))
        if self.watchers:
            entry = TraceEntry(at, kind, fields)
            for watch in tuple(self.watchers):
                watch(entry)

    def as_json(self) -> bytes:
        """All entries, each as a list of its time, kind and fields."""
        return b"[" + b",".join(self._encoded) + b"]"


def _storable(value: FieldValue) -> FieldValue:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
