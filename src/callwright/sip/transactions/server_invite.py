"""INVITE server transaction: RFC 3261 §17.2.1, Figure 7, as corrected by RFC 6026 §8.5 and §8.7.

                         PROCEEDING ↺ INVITE, 1xx from the user: send response
               2xx from │          │ 300-699 from
               the user │          │ the user
                        ▼          ▼
     INVITE, 2xx ↺ ACCEPTED     COMPLETED ↺ INVITE, timer G: send response
                        │       │    │ ACK
                        │       │    ▼
                 timer L│       │ CONFIRMED ↺ INVITE, ACK
                        │timer H│    │ timer I
                        ▼       ▼    ▼
                           TERMINATED

Timers, in seconds from now: G doubles from T1 up to T2 (none when reliable), H = 64*T1, I = T4 (0 when reliable),
L = 64*T1. A response that cannot be sent is told to the user, but ends nothing: the timers do (RFC 6026 §8.7).
"""

from enum import Enum, auto

from callwright.sip.transactions.effects import NOTHING, Effect, Effects
from callwright.sip.transactions.timers import Timers


class ServerInviteState(Enum):
    """Where an INVITE that we received stands."""

    PROCEEDING = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    ACCEPTED = auto()
    TERMINATED = auto()


class ServerInvite:
    """One INVITE that we answer."""

    __slots__ = ("_ends_at", "_interval", "_repeat_at", "_timers", "deadline", "state")

    def __init__(self, timers: Timers) -> None:
        self.state = ServerInviteState.PROCEEDING
        self.deadline: float | None = None
        self._timers = timers
        self._interval = timers.t1
        self._repeat_at: float | None = None
        self._ends_at: float | None = None

    @property
    def over(self) -> bool:
        """Nothing will ever happen again."""
        return self.state is ServerInviteState.TERMINATED

    def repeat(self, _now: float) -> Effects:
        """The INVITE arrived again."""
        match self.state:
            case ServerInviteState.PROCEEDING | ServerInviteState.COMPLETED:
                # "If a request retransmission is received while in the "Proceeding" state, the most recent provisional
                # response that was received from the TU MUST be passed to the transport layer for retransmission."
                return (Effect.SEND,)
            case _:
                # RFC 6026, "Accepted": "Any retransmissions of the INVITE received will match this transaction state
                # machine and will be absorbed by the machine without changing its state."
                return NOTHING

    def acknowledge(self, now: float) -> Effects:
        """An ACK with our INVITE's branch arrived."""
        match self.state:
            case ServerInviteState.COMPLETED if self._timers.linger > 0:
                # "The purpose of the "Confirmed" state is to absorb any additional ACK messages that arrive".
                self._enter(ServerInviteState.CONFIRMED, None, now + self._timers.linger)
                return NOTHING
            case ServerInviteState.COMPLETED:
                self._enter(ServerInviteState.TERMINATED, None, None)
                return NOTHING
            case ServerInviteState.ACCEPTED:
                return (Effect.DELIVER,)
            case _:
                return NOTHING

    def respond(self, now: float, status: int) -> Effects:
        """The transaction user answers with this status."""
        match self.state, status // 100:
            case ServerInviteState.PROCEEDING, 1:
                return (Effect.SEND,)
            case ServerInviteState.PROCEEDING, 2:
                self._enter(ServerInviteState.ACCEPTED, None, now + self._timers.give_up)
                return (Effect.SEND,)
            case ServerInviteState.PROCEEDING, 3 | 4 | 5 | 6:
                # "When the "Completed" state is entered, timer H MUST be set to fire in 64*T1 seconds for all
                # transports."
                repeat_at = None if self._timers.reliable else now + self._interval
                self._enter(ServerInviteState.COMPLETED, repeat_at, now + self._timers.give_up)
                return (Effect.SEND,)
            case ServerInviteState.ACCEPTED, 2:
                # RFC 6026: a further 2xx from the user passes through to the transport layer.
                return (Effect.SEND,)
            case _:
                return NOTHING

    def tick(self, now: float) -> Effects:
        """Time passed."""
        due = self._ends_at is not None and now >= self._ends_at
        match self.state:
            case ServerInviteState.COMPLETED if due:
                # "If timer H fires while in the "Completed" state, it implies that the ACK was never received."
                self._enter(ServerInviteState.TERMINATED, None, None)
                return (Effect.TIMED_OUT,)
            case ServerInviteState.COMPLETED if self._repeat_at is not None and now >= self._repeat_at:
                # "If timer G fires, the response is passed to the transport layer once more for retransmission, and
                # timer G is set to fire in MIN(2*T1, T2) seconds."
                self._interval = min(self._interval * 2, self._timers.t2)
                self._enter(ServerInviteState.COMPLETED, now + self._interval, self._ends_at)
                return (Effect.SEND,)
            case ServerInviteState.CONFIRMED | ServerInviteState.ACCEPTED if due:
                self._enter(ServerInviteState.TERMINATED, None, None)
                return NOTHING
            case _:
                return NOTHING

    def transport_failed(self, _now: float) -> Effects:
        """The latest response could not be sent."""
        match self.state:
            case ServerInviteState.PROCEEDING | ServerInviteState.COMPLETED | ServerInviteState.ACCEPTED:
                return (Effect.UNREACHABLE,)
            case _:
                return NOTHING

    def _enter(self, state: ServerInviteState, repeat_at: float | None, ends_at: float | None) -> None:
        self.state = state
        self._repeat_at = repeat_at
        self._ends_at = ends_at
        self.deadline = ends_at if repeat_at is None or (ends_at is not None and ends_at < repeat_at) else repeat_at
