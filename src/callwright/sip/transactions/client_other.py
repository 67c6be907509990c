"""Non-INVITE client transaction: RFC 3261 §17.1.2, Figure 6.

                           TRYING ───────── timer F, network error ────────▶ TERMINATED
                  timer E ↺   │ 1xx                                             ▲  ▲
                              ▼                                                 │  │
                          PROCEEDING ───── timer F, network error ──────────────┘  │
              1xx, timer E ↺  │ 200-699                                            │
                              ▼                                                    │
                          COMPLETED ─────────── timer K ───────────────────────────┘

Timers, in seconds from now: E doubles from T1 up to T2, and is T2 while PROCEEDING; F = 64*T1; K = T4
(0 when reliable).
"""

from enum import Enum, auto

from callwright.sip.transactions.effects import NOTHING, Effect, Effects
from callwright.sip.transactions.timers import Timers


class ClientOtherState(Enum):
    """Where a request other than INVITE and ACK that we sent stands."""

    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    TERMINATED = auto()


class ClientOther:
    """One BYE, CANCEL, OPTIONS ... that we send; make it, then carry out `start`."""

    __slots__ = ("_ends_at", "_interval", "_repeat_at", "_timers", "deadline", "state")

    def __init__(self, timers: Timers) -> None:
        self.state = ClientOtherState.TRYING
        self.deadline: float | None = None
        self._timers = timers
        self._interval = timers.t1
        self._repeat_at: float | None = None
        self._ends_at: float | None = None

    @property
    def over(self) -> bool:
        """Nothing will ever happen again."""
        return self.state is ClientOtherState.TERMINATED

    def start(self, now: float) -> Effects:
        """Send the request for the first time."""
        # "If an unreliable transport is in use, the client transaction MUST set timer E to fire in T1 seconds."
        self._wait(None if self._timers.reliable else now + self._interval, now + self._timers.give_up)
        return (Effect.SEND,)

    def respond(self, now: float, status: int) -> Effects:
        """A response with this status arrived."""
        match self.state, status // 100:
            case ((ClientOtherState.TRYING | ClientOtherState.PROCEEDING), 1):
                # Timer E goes on: its next firing finds "Proceeding" and sets it to T2.
                self.state = ClientOtherState.PROCEEDING
                return (Effect.DELIVER,)
            case ((ClientOtherState.TRYING | ClientOtherState.PROCEEDING), 2 | 3 | 4 | 5 | 6):
                # "Once the client transaction enters the "Completed" state, it MUST set Timer K to fire in T4 seconds
                # for unreliable transports, and zero seconds for reliable transports."
                if self._timers.linger > 0:
                    self._enter(ClientOtherState.COMPLETED, now + self._timers.linger)
                else:
                    self._enter(ClientOtherState.TERMINATED, None)
                return (Effect.DELIVER,)
            case _:
                return NOTHING

    def tick(self, now: float) -> Effects:
        """Time passed."""
        due = self._ends_at is not None and now >= self._ends_at
        match self.state:
            case ClientOtherState.TRYING | ClientOtherState.PROCEEDING if due:
                self._enter(ClientOtherState.TERMINATED, None)
                return (Effect.TIMED_OUT,)
            case ClientOtherState.TRYING | ClientOtherState.PROCEEDING if (
                self._repeat_at is not None and now >= self._repeat_at
            ):
                # "When the timer fires again, it is reset to a MIN(4*T1, T2)"; "If Timer E fires while in the
                # "Proceeding" state, the request MUST be passed to the transport layer for retransmission, and Timer E
                # MUST be reset with a value of T2 seconds."
                trying = self.state is ClientOtherState.TRYING
                self._interval = min(self._interval * 2, self._timers.t2) if trying else self._timers.t2
                self._wait(now + self._interval, self._ends_at)
                return (Effect.SEND,)
            case ClientOtherState.COMPLETED if due:
                self._enter(ClientOtherState.TERMINATED, None)
                return NOTHING
            case _:
                return NOTHING

    def transport_failed(self, _now: float) -> Effects:
        """What was sent last could not be sent."""
        match self.state:
            case ClientOtherState.TRYING | ClientOtherState.PROCEEDING:
                self._enter(ClientOtherState.TERMINATED, None)
                return (Effect.UNREACHABLE,)
            case _:
                return NOTHING

    def _enter(self, state: ClientOtherState, ends_at: float | None) -> None:
        self.state = state
        self._wait(None, ends_at)

    def _wait(self, repeat_at: float | None, ends_at: float | None) -> None:
        self._repeat_at = repeat_at
        self._ends_at = ends_at
        self.deadline = ends_at if repeat_at is None or (ends_at is not None and ends_at < repeat_at) else repeat_at
