"""INVITE client transaction: RFC 3261 §17.1.1, Figure 5, as corrected by RFC 6026 §8.4.

                          CALLING ──────── timer B, network error ─────────▶ TERMINATED
                 timer A ↺   │ 1xx                                               ▲
                             ▼                                                   │
                         PROCEEDING ↺ 1xx                                        │
                    2xx │          │ 300-699                                     │
        2xx ↺ ACCEPTED ◀┘          └▶ COMPLETED ↺ 300-699: ACK                   │
                 └──────── timer M ───────┴── timer D, network error ────────────┘

Nothing ends PROCEEDING by itself: whoever cancels the INVITE, or loses interest, sets a `limit`.
Timers, in seconds from now: A doubles from T1 while CALLING, B = 64*T1, D >= 32 (0 when reliable), M = 64*T1.
"""

from enum import Enum, auto

from callwright.sip.transactions.effects import NOTHING, Effect, Effects
from callwright.sip.transactions.timers import Timers


class ClientInviteState(Enum):
    """Where an INVITE that we sent stands."""

    CALLING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    ACCEPTED = auto()
    TERMINATED = auto()


class ClientInvite:
    """One INVITE that we send; make it, then carry out `start`."""

    __slots__ = ("_ends_at", "_interval", "_repeat_at", "_timers", "deadline", "state")

    def __init__(self, timers: Timers) -> None:
        self.state = ClientInviteState.CALLING
        self.deadline: float | None = None
        self._timers = timers
        self._interval = timers.t1
        self._repeat_at: float | None = None
        self._ends_at: float | None = None

    @property
    def over(self) -> bool:
        """Nothing will ever happen again."""
        return self.state is ClientInviteState.TERMINATED

    def start(self, now: float) -> Effects:
        """Send the INVITE for the first time."""
        # "If an unreliable transport is being used, the client transaction MUST start timer A with a value of T1."
        self._wait(None if self._timers.reliable else now + self._interval, now + self._timers.give_up)
        return (Effect.SEND,)

    def resume(self, now: float) -> None:
        """An earlier process sent it, and it is being cancelled: nothing is repeated, an answer is waited for."""
        self._enter(ClientInviteState.PROCEEDING, now + self._timers.give_up)

    def respond(self, now: float, status: int) -> Effects:
        """A response with this status arrived."""
        match self.state, status // 100:
            case ClientInviteState.PROCEEDING, 1:
                return (Effect.DELIVER,)
            case ClientInviteState.CALLING, 1:
                # "In the "Proceeding" state, the client transaction SHOULD NOT retransmit the request any longer."
                self._enter(ClientInviteState.PROCEEDING, None)
                return (Effect.DELIVER,)
            case ((ClientInviteState.CALLING | ClientInviteState.PROCEEDING), 2):
                # RFC 6026: "Accepted" keeps the transaction for repeated and forked 2xx until timer M.
                self._enter(ClientInviteState.ACCEPTED, now + self._timers.give_up)
                return (Effect.DELIVER,)
            case ((ClientInviteState.CALLING | ClientInviteState.PROCEEDING), 3 | 4 | 5 | 6):
                # "The client transaction MUST pass the received response up to the TU, and the client transaction MUST
                # generate an ACK request".
                if self._timers.linger_completed > 0:
                    self._enter(ClientInviteState.COMPLETED, now + self._timers.linger_completed)
                else:
                    self._enter(ClientInviteState.TERMINATED, None)
                return (Effect.ACK, Effect.DELIVER)
            case ClientInviteState.COMPLETED, 3 | 4 | 5 | 6:
                # "Any retransmissions of the final response that are received while in the "Completed" state MUST cause
                # the ACK to be re-passed to the transport layer for retransmission, but the newly received response
                # MUST NOT be passed up to the TU."
                return (Effect.ACK,)
            case ClientInviteState.ACCEPTED, 2:
                return (Effect.DELIVER,)
            case _:
                return NOTHING

    def tick(self, now: float) -> Effects:
        """Time passed."""
        match self.state:
            case ClientInviteState.CALLING | ClientInviteState.PROCEEDING if (
                self._ends_at is not None and now >= self._ends_at
            ):
                self._enter(ClientInviteState.TERMINATED, None)
                return (Effect.TIMED_OUT,)
            case ClientInviteState.CALLING if self._repeat_at is not None and now >= self._repeat_at:
                # "When timer A fires, the client transaction MUST retransmit the request [...] and MUST reset the timer
                # with a value of 2*T1."
                self._interval *= 2
                self._wait(now + self._interval, self._ends_at)
                return (Effect.SEND,)
            case ClientInviteState.COMPLETED | ClientInviteState.ACCEPTED if (
                self._ends_at is not None and now >= self._ends_at
            ):
                self._enter(ClientInviteState.TERMINATED, None)
                return NOTHING
            case _:
                return NOTHING

    def transport_failed(self, _now: float) -> Effects:
        """What was sent last could not be sent."""
        match self.state:
            case ClientInviteState.CALLING | ClientInviteState.COMPLETED:
                self._enter(ClientInviteState.TERMINATED, None)
                return (Effect.UNREACHABLE,)
            case _:
                return NOTHING  # nothing of this transaction's own was sent in the other states

    def limit(self, now: float) -> None:
        """Wait no longer than 64*T1 for a final response: the call was cancelled (RFC 3261 §9.1) or is over."""
        if self.state is ClientInviteState.PROCEEDING and self._ends_at is None:
            self._wait(None, now + self._timers.give_up)

    def _enter(self, state: ClientInviteState, ends_at: float | None) -> None:
        self.state = state
        self._wait(None, ends_at)

    def _wait(self, repeat_at: float | None, ends_at: float | None) -> None:
        self._repeat_at = repeat_at
        self._ends_at = ends_at
        self.deadline = ends_at if repeat_at is None or (ends_at is not None and ends_at < repeat_at) else repeat_at
