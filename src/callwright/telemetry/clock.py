"""Platform time: unix seconds that never jump.

The wall clock is read once, at start; from then on the monotonic clock is added. A wall-clock step (NTP, an operator,
a resumed machine) therefore moves no timer and no timestamp of a running process.
"""

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Gives platform time in unix seconds; tests and the simulator hand in their own."""


def platform_clock() -> Clock:
    """A clock anchored at the wall clock now."""
    anchor = time.time() - time.monotonic()
    monotonic = time.monotonic

    def now() -> float:
        return anchor + monotonic()

    return now
