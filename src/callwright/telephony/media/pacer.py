"""20 ms frames that leave on time: one absolute schedule, five slots of calls inside it.

The schedule is the monotonic clock itself: slot k of frame n is due at begin + 20 ms · n + 4 ms · k, whatever happened
before. Late is late: after a missed frame one is caught up, the rest are skipped; sequence numbers, timestamps and the
prompt's position stay on schedule, so the receiver sees a gap of the right length, never a burst.

A call's first frame need not wait for its slot: a message that is there when the call is answered begins at once, as
the frame that its slot sent last, late by less than 20 ms; the next one leaves with the slot.

The headers of a slot's calls lie in one numpy array and are counted on together; each call's row of it *is* its next
packet.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from callwright.telephony.media.outbound import Outbound
from callwright.telephony.media.prompts import FRAME_BYTES

FRAME_SECONDS: Final = 0.020
SLOTS: Final = 5
TICK_SECONDS: Final = FRAME_SECONDS / SLOTS
MOST_FRAMES_AT_ONCE: Final = 2
"""The frame that is due and one caught up."""
_UNEVENNESS: Final = 0.125
"""So much more than the emptiest slot another one may hold when the next call is put there."""
_FIRST_ROWS: Final = 32
_PACKET: Final = np.dtype(
    [
        ("flags", "u1"),
        ("kind", "u1"),
        ("sequence", ">u2"),
        ("timestamp", ">u4"),
        ("ssrc", ">u4"),
        ("payload", "u1", (FRAME_BYTES,)),
    ]
)


class Slot:
    """Calls whose frames leave in the same tick."""

    def __init__(self) -> None:
        self._packets = np.zeros(_FIRST_ROWS, dtype=_PACKET)
        self._steps = np.zeros(_FIRST_ROWS, dtype=np.uint16)
        self._unused = list(range(_FIRST_ROWS))
        self._calls: dict[int, Outbound] = {}
        self._fresh: set[int] = set()
        "rows whose first frame has not left yet"
        self._last_due = 0.0

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, call: Outbound, random: Callable[[int], int]) -> int:
        """Give the call a row with a random beginning (RFC 3550 §5.1); returns the row. `random(bits)` is secret."""
        if not self._unused:
            self._grow()
        row = self._unused.pop()
        packet = self._packets[row]
        packet["flags"] = 0x80
        packet["kind"] = 0
        packet["sequence"] = random(16)
        packet["timestamp"] = random(32)
        packet["ssrc"] = call.ssrc
        self._steps[row] = 0
        self._calls[row] = call
        self._fresh.add(row)
        call.use(self._row_bytes(row))
        return row

    def begin(self, row: int, now: float) -> None:
        """Send the call's first frame now instead of with the slot; one whose first frame has left is as it was."""
        if row in self._fresh:
            self._fresh.remove(row)
            self._calls[row].frame(now)
            only = slice(row, row + 1)  # of arrays, whose numbers wrap around without a warning
            self._packets["sequence"][only] += self._steps[only]
            self._packets["timestamp"][only] += np.uint32(FRAME_BYTES)

    def remove(self, row: int) -> None:
        """The row is free for another call."""
        del self._calls[row]
        self._fresh.discard(row)
        self._steps[row] = 0
        self._unused.append(row)

    def set_sending(self, row: int, sending: bool) -> None:
        """Sequence numbers count packets that are sent; timestamps run on regardless."""
        self._steps[row] = int(sending)

    def rtp_time(self, row: int, now: float) -> int:
        """The call's RTP timestamp of this very moment, for its sender reports and recordings."""
        # A slot that was empty did not run: its new call's first frame is still to come.
        since = min(now - self._last_due, FRAME_SECONDS)
        ahead = round((since - FRAME_SECONDS) * FRAME_BYTES / FRAME_SECONDS)
        return (int(self._packets["timestamp"][row]) + ahead) & 0xFFFF_FFFF

    def run(self, frames: int, due: float, now: float) -> None:
        """Send what is due: `frames` is how many became due, 1 when all is well; `due` is when the last of them did."""
        self._last_due = due
        self._fresh.clear()
        skipped = frames - MOST_FRAMES_AT_ONCE
        if skipped > 0:
            for call in self._calls.values():
                call.skip(skipped)
            self._count_on(skipped)
            frames = MOST_FRAMES_AT_ONCE
        for _ in range(frames):
            for call in self._calls.values():
                call.frame(now)
            self._count_on(1)

    def rest(self, due: float) -> None:
        """Nothing was to be sent at `due`: the slot is empty."""
        self._last_due = due

    def _count_on(self, frames: int) -> None:
        self._packets["sequence"] += self._steps * np.uint16(frames & 0xFFFF)
        self._packets["timestamp"] += np.uint32(frames * FRAME_BYTES & 0xFFFF_FFFF)

    def _grow(self) -> None:
        rows = len(self._packets)
        packets, steps = self._packets, self._steps
        # Copied, not concatenated: concatenate turns network byte order into the machine's own.
        self._packets = np.zeros(2 * rows, dtype=_PACKET)
        self._packets[:rows] = packets
        self._steps = np.zeros(2 * rows, dtype=np.uint16)
        self._steps[:rows] = steps
        self._unused = list(range(rows, 2 * rows))
        for row, call in self._calls.items():
            call.use(self._row_bytes(row))

    def _row_bytes(self, row: int) -> memoryview:
        return self._packets[row : row + 1].view(np.uint8).data


class Pacer:
    """The schedule. Hand in the monotonic clock's time; `due_at` says when next."""

    def __init__(self, now: float) -> None:
        self.slots = [Slot() for _ in range(SLOTS)]
        self._begin = now
        self._ticks = 0

    @property
    def due_at(self) -> float:
        """When the next tick is due."""
        return self._begin + self._ticks * TICK_SECONDS

    def emptiest(self) -> Slot:
        """Where the next call goes: of the slots with fewest calls, or an eighth more, the one that ran last.

        A first frame that leaves at once is followed by the second after nearly 20 ms then.
        """
        lately = [self.slots[(self._ticks - 1 - ago) % SLOTS] for ago in range(SLOTS)]
        most = min(map(len, lately)) * (1 + _UNEVENNESS)
        return next(slot for slot in lately if len(slot) <= most)

    def resume(self, now: float) -> None:
        """Nobody was here for a while: the schedule goes on from now, and nothing was missed."""
        self._ticks = max(self._ticks, int((now - self._begin) / TICK_SECONDS) + 1)
        for number in range(self._ticks - SLOTS, self._ticks):
            self.slots[number % SLOTS].rest(self._begin + number * TICK_SECONDS)

    def tick(self, now: float) -> None:
        """Run every slot that has become due, with as many frames as it missed."""
        last = int((now - self._begin) / TICK_SECONDS)
        behind = last + 1 - self._ticks
        for index in range(min(behind, SLOTS)):
            frames, rest = divmod(behind - 1 - index, SLOTS)
            number = last - rest
            self.slots[number % SLOTS].run(frames + 1, self._begin + number * TICK_SECONDS, now)
        self._ticks = max(self._ticks, last + 1)
