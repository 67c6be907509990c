"""The timer values of RFC 3261 §17 (Table 4) and RFC 6026 §7, in seconds.

Three values are chosen, the others follow from them and from whether the transport repeats lost messages itself.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timers:
    """Timer values in seconds; the defaults are the RFC's."""

    t1: float = 0.5
    "estimate of the round-trip time"
    t2: float = 4.0
    "longest interval between repetitions of non-INVITE requests and INVITE responses"
    t4: float = 5.0
    "longest time a message stays in the network"
    completed: float = 32.0
    'Timer D: "at least 32 seconds for unreliable transports"'
    reliable: bool = False
    "True on TCP and TLS: nothing is repeated, nothing waits for repetitions (except 2xx and its ACK)"

    @property
    def give_up(self) -> float:
        """Timers B, F, H, J, L and M: 64*T1."""
        return 64 * self.t1

    @property
    def linger(self) -> float:
        """Timers I and K: T4, zero on reliable transports."""
        return 0.0 if self.reliable else self.t4

    @property
    def linger_completed(self) -> float:
        """Timer D: how long repetitions of a final INVITE response are acknowledged; zero on reliable transports."""
        return 0.0 if self.reliable else self.completed

    @property
    def linger_answered(self) -> float:
        """Timer J: how long repetitions of a request are answered again; zero on reliable transports."""
        return 0.0 if self.reliable else 64 * self.t1
