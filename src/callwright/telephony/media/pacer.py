"""Frames that leave on time: one absolute schedule, five slots of calls in 20 ms, and calls that send by themselves.

The schedule is the monotonic clock itself: slot k of frame n is due at begin + 20 ms · n + 4 ms · k, whatever happened
before. Late is late: after a missed frame one is caught up, the rest are skipped; sequence numbers, timestamps and the
prompt's position stay on schedule, so the receiver sees a gap of the right length, never a burst.

Most calls sit in a slot (slot.py), which sends for them together. Calls whose packets are made one by one are asked
for each frame on a schedule of their own, which may be any: 10 ms, 60 ms, or that of the slot they left.
"""

import heapq
from typing import Final, Protocol

from callwright.telephony.media.framing import FAST_FRAME_SECONDS
from callwright.telephony.media.slot import MOST_FRAMES_AT_ONCE, Slot

FRAME_SECONDS: Final = FAST_FRAME_SECONDS
SLOTS: Final = 5
TICK_SECONDS: Final = FRAME_SECONDS / SLOTS
NEVER: Final = float("inf")
_UNEVENNESS: Final = 0.125
"""So much more than the emptiest slot another one may hold when the next call is put there."""
_ROUNDING_SECONDS: Final = 1e-6
"""Schedules are sums of floating point numbers: one that is to coincide with a slot's must not miss its tick."""


class Sender(Protocol):
    """A call that sends by itself."""

    due_at: float
    "when its next frame is due; the pacer keeps it"

    @property
    def frame_seconds(self) -> float:
        """Between two frames."""

    def frame(self, now: float) -> None:
        """A frame is due: send it."""

    def skip(self, frames: int) -> None:
        """So many frames' time has passed: count on without them."""


class Pacer:
    """The schedule. Hand in the monotonic clock's time; `due_at` says when next."""

    def __init__(self, now: float) -> None:
        self.slots = [Slot(now + index * TICK_SECONDS - FRAME_SECONDS) for index in range(SLOTS)]
        self._begin = now
        self._ticks = 0
        self._paced: list[tuple[float, int, Sender]] = []
        "a heap; entries whose time is not their sender's any more count for nothing"
        self._entries = 0

    @property
    def due_at(self) -> float:
        """When something is due next."""
        tick = self._begin + self._ticks * TICK_SECONDS
        return min(tick, self._paced[0][0]) if self._paced else tick

    def emptiest(self) -> Slot:
        """Where the next call goes: of the slots with fewest calls, or an eighth more, the one that ran last.

        A first frame that leaves at once is followed by the second after nearly 20 ms then.
        """
        lately = [self.slots[(self._ticks - 1 - ago) % SLOTS] for ago in range(SLOTS)]
        most = min(slot.calls for slot in lately) * (1 + _UNEVENNESS)
        return next(slot for slot in lately if slot.calls <= most)

    def pace(self, sender: Sender, due_at: float) -> None:
        """Ask the sender for its frames from `due_at` on."""
        sender.due_at = due_at
        self._push(sender)

    def release(self, sender: Sender) -> None:
        """Ask it no more."""
        sender.due_at = NEVER

    def _push(self, sender: Sender) -> None:
        self._entries += 1  # breaks ties: senders have no order
        heapq.heappush(self._paced, (sender.due_at, self._entries, sender))

    def resume(self, now: float) -> None:
        """Nobody was here for a while: the schedule goes on from now, and nothing was missed."""
        self._ticks = max(self._ticks, int((now - self._begin) / TICK_SECONDS) + 1)
        for number in range(self._ticks - SLOTS, self._ticks):
            self.slots[number % SLOTS].last_due = self._begin + number * TICK_SECONDS

    def tick(self, now: float) -> None:
        """Run everything that has become due, with as many frames as it missed."""
        last = int((now - self._begin) / TICK_SECONDS)
        behind = last + 1 - self._ticks
        for index in range(min(behind, SLOTS)):
            frames, rest = divmod(behind - 1 - index, SLOTS)
            number = last - rest
            self.slots[number % SLOTS].run(frames + 1, self._begin + number * TICK_SECONDS, now)
        self._ticks = max(self._ticks, last + 1)
        self._run_paced(now)

    def _run_paced(self, now: float) -> None:
        paced, latest = self._paced, now + _ROUNDING_SECONDS
        while paced and paced[0][0] <= latest:
            due_at, _, sender = heapq.heappop(paced)
            if due_at != sender.due_at:
                continue
            frames = int((latest - due_at) / sender.frame_seconds) + 1
            sender.due_at = due_at + frames * sender.frame_seconds
            if frames > MOST_FRAMES_AT_ONCE:
                sender.skip(frames - MOST_FRAMES_AT_ONCE)
            for _ in range(min(frames, MOST_FRAMES_AT_ONCE)):
                sender.frame(now)
            self._push(sender)
