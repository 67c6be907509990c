"""One leg of a call as a total table: every (state, happening) cell is filled.

SIP repeats itself and the network reorders, so a second 180 or an answer that crosses our CANCEL is a filled cell, not
an error. Cells that a correct telephony room never reaches are marked strange; the leg counts them, and tests walk all.
"""

from dataclasses import dataclass
from enum import Enum

from callwright.callflow.events import Answered, HungUp, NotAnswered, Ringing
from callwright.callflow.outcome import CallQuality, CallStatus, HungUpBy
from callwright.callflow.summary import LegSummary


class LegState(Enum):
    """Where a leg is."""

    OFFERED = "offered"
    "somebody calls us and was not answered yet"
    DIALLING = "dialling"
    RINGING = "ringing"
    TALKING = "talking"
    CANCELLING = "cancelling"
    "we gave up before an answer; waiting for telephony to be done"
    LEAVING = "leaving"
    "we hung up; waiting for telephony to be done"
    OVER = "over"


class Happening(Enum):
    """What can happen to a leg: four events from below and our own wish to end it."""

    RINGS = "rings"
    ANSWERS = "answers"
    NOT_ANSWERED = "not answered"
    HUNG_UP = "hung up"
    WE_HANG_UP = "we hang up"


class Effect(Enum):
    """What a cell does besides moving to its next state."""

    NOTHING = "nothing"
    CONNECT = "note the time of the answer"
    END = "note how it ended"
    SAY_SO = "tell telephony to hang up"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table."""

    next_state: LegState
    effect: Effect = Effect.NOTHING
    strange: bool = False


def _table() -> dict[tuple[LegState, Happening], Cell]:
    s, h, e = LegState, Happening, Effect
    return {
        (s.OFFERED, h.RINGS): Cell(s.OFFERED, strange=True),
        (s.OFFERED, h.ANSWERS): Cell(s.TALKING, e.CONNECT),
        (s.OFFERED, h.NOT_ANSWERED): Cell(s.OVER, e.END),
        (s.OFFERED, h.HUNG_UP): Cell(s.OVER, e.END, strange=True),
        (s.OFFERED, h.WE_HANG_UP): Cell(s.CANCELLING, e.SAY_SO),
        (s.DIALLING, h.RINGS): Cell(s.RINGING),
        (s.DIALLING, h.ANSWERS): Cell(s.TALKING, e.CONNECT),
        (s.DIALLING, h.NOT_ANSWERED): Cell(s.OVER, e.END),
        (s.DIALLING, h.HUNG_UP): Cell(s.OVER, e.END, strange=True),
        (s.DIALLING, h.WE_HANG_UP): Cell(s.CANCELLING, e.SAY_SO),
        (s.RINGING, h.RINGS): Cell(s.RINGING),
        (s.RINGING, h.ANSWERS): Cell(s.TALKING, e.CONNECT),
        (s.RINGING, h.NOT_ANSWERED): Cell(s.OVER, e.END),
        (s.RINGING, h.HUNG_UP): Cell(s.OVER, e.END, strange=True),
        (s.RINGING, h.WE_HANG_UP): Cell(s.CANCELLING, e.SAY_SO),
        (s.TALKING, h.RINGS): Cell(s.TALKING),
        (s.TALKING, h.ANSWERS): Cell(s.TALKING),
        (s.TALKING, h.NOT_ANSWERED): Cell(s.OVER, e.END, strange=True),
        (s.TALKING, h.HUNG_UP): Cell(s.OVER, e.END),
        (s.TALKING, h.WE_HANG_UP): Cell(s.LEAVING, e.SAY_SO),
        (s.CANCELLING, h.RINGS): Cell(s.CANCELLING),
        (s.CANCELLING, h.ANSWERS): Cell(s.LEAVING),  # the answer crossed our CANCEL; telephony sends BYE
        (s.CANCELLING, h.NOT_ANSWERED): Cell(s.OVER, e.END),
        (s.CANCELLING, h.HUNG_UP): Cell(s.OVER, e.END),
        (s.CANCELLING, h.WE_HANG_UP): Cell(s.CANCELLING),
        (s.LEAVING, h.RINGS): Cell(s.LEAVING),
        (s.LEAVING, h.ANSWERS): Cell(s.LEAVING),
        (s.LEAVING, h.NOT_ANSWERED): Cell(s.OVER, e.END),  # what telephony says of an answer that crossed our CANCEL
        (s.LEAVING, h.HUNG_UP): Cell(s.OVER, e.END),
        (s.LEAVING, h.WE_HANG_UP): Cell(s.LEAVING),
        (s.OVER, h.RINGS): Cell(s.OVER, strange=True),
        (s.OVER, h.ANSWERS): Cell(s.OVER, strange=True),
        (s.OVER, h.NOT_ANSWERED): Cell(s.OVER, strange=True),
        (s.OVER, h.HUNG_UP): Cell(s.OVER, strange=True),
        (s.OVER, h.WE_HANG_UP): Cell(s.OVER),
    }


TABLE = _table()

LegEvent = Ringing | Answered | NotAnswered | HungUp

_HAPPENING: dict[type[LegEvent], Happening] = {
    Ringing: Happening.RINGS,
    Answered: Happening.ANSWERS,
    NotAnswered: Happening.NOT_ANSWERED,
    HungUp: Happening.HUNG_UP,
}


@dataclass(slots=True)
class Leg:
    """One leg and what is known of it."""

    leg_id: str
    source: str
    destination: str
    initiated_at: float
    state: LegState = LegState.DIALLING
    connected_at: float | None = None
    disconnected_at: float | None = None
    status: CallStatus | None = None
    given_up_as: CallStatus | None = None
    "why we cancelled: NO_ANSWER for a ring timeout, else CANCELED"
    sip_code: int | None = None
    reason: str = ""
    hung_up_by: HungUpBy | None = None
    codec: str | None = None
    quality: CallQuality | None = None
    inbound: bool = False
    strange_happenings: int = 0

    def take(self, event: LegEvent) -> None:
        """Move by an event from below."""
        cell = self._move(_HAPPENING[type(event)])
        match cell.effect, event:
            case Effect.CONNECT, Answered(at=at, codec=codec):
                self.connected_at, self.codec = at, codec
            case Effect.END, NotAnswered() | HungUp():
                self._end(event)

    def hang_up(self, given_up_as: CallStatus) -> bool:
        """We want it to end; True when telephony must be told. `given_up_as` is its status if nobody ever answered."""
        cell = self._move(Happening.WE_HANG_UP)
        if cell.effect is not Effect.SAY_SO:
            return False
        if self.connected_at is None:
            self.given_up_as = given_up_as
        return True

    def refuse(self, at: float, status: CallStatus, reason: str) -> None:
        """It was never dialled: ERROR when we would not (§13 row 13), CANCELED when nobody wanted it any more."""
        self.state, self.status, self.disconnected_at, self.reason = LegState.OVER, status, at, reason

    def left_before_the_other_answered(self) -> None:
        """A caller who hung up while the other phone still rang got nobody: CANCELED (§5.4)."""
        self.status = CallStatus.CANCELED

    def abandon(self, at: float) -> None:
        """Telephony never said that it was done; the record says what is known."""
        if self.state is not LegState.OVER:
            self._end(HungUp(at, self.leg_id, HungUpBy.NETWORK, "no end was reported"))
            self.state = LegState.OVER

    @property
    def over(self) -> bool:
        return self.state is LegState.OVER

    @property
    def talking(self) -> bool:
        return self.state is LegState.TALKING

    def duration_seconds(self, now: float) -> int:
        """Connected whole seconds so far."""
        end = self.disconnected_at if self.disconnected_at is not None else now
        return 0 if self.connected_at is None else round(end - self.connected_at)

    def summary(self) -> LegSummary:
        """The record of a leg that is over."""
        disconnected_at = self.disconnected_at if self.disconnected_at is not None else self.initiated_at
        return LegSummary(
            call_id=self.leg_id,
            inbound=self.inbound,
            source=self.source,
            destination=self.destination,
            initiated_at=self.initiated_at,
            connected_at=self.connected_at,
            disconnected_at=disconnected_at,
            status=self.status or CallStatus.ERROR,
            sip_code=self.sip_code,
            reason=self.reason,
            hung_up_by=self.hung_up_by,
            codec=self.codec,
            quality=self.quality,
        )

    def _move(self, happening: Happening) -> Cell:
        cell = TABLE[self.state, happening]
        self.state = cell.next_state
        self.strange_happenings += cell.strange
        return cell

    def _end(self, event: NotAnswered | HungUp) -> None:
        self.disconnected_at = event.at
        self.reason = event.reason
        if isinstance(event, HungUp):
            self.hung_up_by, self.quality = event.by, event.quality
        else:
            self.sip_code = event.sip_code
        if self.connected_at is not None:
            self.status, self.sip_code = CallStatus.COMPLETED, 200
        elif self.given_up_as is not None and not self._never_reached(event):
            self.status = self.given_up_as
        else:
            self.status = event.status if isinstance(event, NotAnswered) else CallStatus.FAILED

    def _never_reached(self, event: NotAnswered | HungUp) -> bool:
        """A phone that never rang because its trunk is dead was not left unanswered: the call failed."""
        failed = isinstance(event, NotAnswered) and event.status is CallStatus.FAILED
        return failed and self.given_up_as is CallStatus.NO_ANSWER
