"""One key press, told by several ways, is one press. Pure.

A peer may send a key as telephone-events (RFC 4733), leave its tone in the sound, and tell it by INFO, all at once.
Each way reports one press once, so reports are paired: a report belongs to the oldest press of its key that its own way
has not told yet, if it came close enough; else it is a press of its own. Pairing, and not a dead time after each key,
is what lets somebody press the same key twice in quick succession.

How close is close enough follows from how late each way may be. Telephone-events and tones travel in the same stream:
they begin within a few packets of each other once the time that a detector needs to be sure is taken off. INFO is sent
when the key comes up again, over another path, and waits there for other messages.
"""

from dataclasses import dataclass, field
from enum import Enum

STREAM_SLACK_SECONDS = 0.12
"""Between the beginnings of one press as telephone-event and as tone: gateways hold one or the other back."""
INFO_SLACK_SECONDS = 0.3
"""Between an INFO and the press that it tells of, on top of the duration that it names."""
MOST_DURATION_SECONDS = 2.0
"""What an INFO may say of its press's length and be believed; later it is a press of its own."""
REMEMBERED_SECONDS = MOST_DURATION_SECONDS + INFO_SLACK_SECONDS


class KeyWay(Enum):
    """How a key press came."""

    EVENT = "telephone-event"
    TONE = "tone"
    INFO = "INFO"


SLACK_SECONDS = {
    KeyWay.EVENT: STREAM_SLACK_SECONDS,
    KeyWay.TONE: STREAM_SLACK_SECONDS,
    KeyWay.INFO: INFO_SLACK_SECONDS,
}


@dataclass(slots=True)
class Press:
    """One press: when it was told of first, the time that report covers, and the ways that told it."""

    digit: str
    way: KeyWay
    begins_at: float
    ends_at: float
    ways: set[KeyWay]


@dataclass(slots=True)
class KeyPresses:
    """What was pressed on one leg lately."""

    _recent: list[Press] = field(default_factory=list)

    def take(self, digit: str, way: KeyWay, at: float, duration_seconds: float = 0.0) -> bool:
        """Whether this report is the first of its press.

        `at` is the beginning of the press for telephone-events and tones, and for INFO when it came; the press then
        lies anywhere in the `duration_seconds` before.
        """
        begins_at = at - min(MOST_DURATION_SECONDS, max(0.0, duration_seconds))
        self._recent = [press for press in self._recent if at - press.ends_at <= REMEMBERED_SECONDS]
        for press in self._recent:
            slack = max(SLACK_SECONDS[way], SLACK_SECONDS[press.way])
            apart = max(begins_at - press.ends_at, press.begins_at - at, 0.0)
            if press.digit == digit and way not in press.ways and apart <= slack:
                press.ways.add(way)
                return False
        self._recent.append(Press(digit, way, begins_at, at, {way}))
        return True
