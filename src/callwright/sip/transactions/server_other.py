"""Non-INVITE server transaction: RFC 3261 §17.2.2, Figure 8.

              TRYING ↺ request
          1xx │    │ 200-699
              ▼    │
      PROCEEDING ↺ request, 1xx: send response
     200-699  │    │
              ▼    ▼
            COMPLETED ↺ request: send response ─── timer J ──▶ TERMINATED

Timer J = 64*T1 (0 when reliable). A response that cannot be sent is told to the user, but ends nothing: the next
repetition of the request tries again (RFC 6026 §8.7).
"""

from enum import Enum, auto

from callwright.sip.transactions.effects import NOTHING, Effect, Effects
from callwright.sip.transactions.timers import Timers


class ServerOtherState(Enum):
    """Where a request other than INVITE and ACK that we received stands."""

    TRYING = auto()
    PROCEEDING = auto()
    COMPLETED = auto()
    TERMINATED = auto()


class ServerOther:
    """One BYE, CANCEL, OPTIONS ... that we answer."""

    __slots__ = ("_timers", "deadline", "state")

    def __init__(self, timers: Timers) -> None:
        self.state = ServerOtherState.TRYING
        self.deadline: float | None = None
        self._timers = timers

    @property
    def over(self) -> bool:
        """Nothing will ever happen again."""
        return self.state is ServerOtherState.TERMINATED

    def repeat(self, _now: float) -> Effects:
        """The request arrived again."""
        match self.state:
            case ServerOtherState.PROCEEDING | ServerOtherState.COMPLETED:
                # "While in the "Completed" state, the server transaction MUST pass the final response to the transport
                # layer for retransmission whenever a retransmission of the request is received."
                return (Effect.SEND,)
            case _:
                # "Once in the "Trying" state, any further request retransmissions are discarded."
                return NOTHING

    def respond(self, now: float, status: int) -> Effects:
        """The transaction user answers with this status."""
        match self.state, status // 100:
            case ((ServerOtherState.TRYING | ServerOtherState.PROCEEDING), 1):
                self.state = ServerOtherState.PROCEEDING
                return (Effect.SEND,)
            case ((ServerOtherState.TRYING | ServerOtherState.PROCEEDING), 2 | 3 | 4 | 5 | 6):
                # "it MUST set Timer J to fire in 64*T1 seconds for unreliable transports, and zero seconds for reliable
                # transports."
                if self._timers.linger_answered > 0:
                    self.state = ServerOtherState.COMPLETED
                    self.deadline = now + self._timers.linger_answered
                else:
                    self.state = ServerOtherState.TERMINATED
                return (Effect.SEND,)
            case _:
                # "Any other final responses passed by the TU to the server transaction MUST be discarded while in the
                # "Completed" state."
                return NOTHING

    def tick(self, now: float) -> Effects:
        """Time passed."""
        match self.state:
            case ServerOtherState.COMPLETED if self.deadline is not None and now >= self.deadline:
                self.state = ServerOtherState.TERMINATED
                self.deadline = None
                return NOTHING
            case _:
                return NOTHING

    def transport_failed(self, _now: float) -> Effects:
        """The latest response could not be sent."""
        match self.state:
            case ServerOtherState.PROCEEDING | ServerOtherState.COMPLETED:
                return (Effect.UNREACHABLE,)
            case _:
                return NOTHING
