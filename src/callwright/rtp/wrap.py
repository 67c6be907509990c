"""Sequence numbers and timestamps that wrap around (RFC 3550 §5.1): which is newer, and by how much.

Both count modulo a power of two; "newer" is decided by the shorter way round (RFC 1982 serial arithmetic).
"""

SEQUENCE_MODULUS = 1 << 16
TIMESTAMP_MODULUS = 1 << 32
_FAR = 1 << 28


def sequence_distance(older: int, newer: int) -> int:
    """Steps from `older` to `newer`, -32768 to 32767; negative when `newer` is in truth the older one."""
    return ((newer - older + 0x8000) & 0xFFFF) - 0x8000


def timestamp_distance(older: int, newer: int) -> int:
    """Clock ticks from `older` to `newer`, -2**31 to 2**31 - 1."""
    return ((newer - older + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


class Rescaled:
    """Timestamps of one clock as timestamps of another that runs evenly beside it, both wrapping at 32 bits.

    The first one stays what it is. `from_rate` may change; time goes on from the last timestamp then.
    """

    __slots__ = ("_at", "_from_rate", "_shown", "_to_rate")

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._from_rate, self._to_rate = from_rate, to_rate
        self._at: int | None = None
        self._shown = 0

    def of(self, timestamp: int) -> int:
        """The same instant on the other clock."""
        if self._at is None:
            self._at, self._shown = timestamp, timestamp
        distance = timestamp_distance(self._at, timestamp)
        shown = self._shown + distance * self._to_rate // self._from_rate
        if abs(distance) > _FAR:  # before distances wrap; rounding costs a tick in more than an hour
            self._at, self._shown = timestamp, shown
        return shown & 0xFFFF_FFFF

    def change(self, from_rate: int, timestamp: int) -> None:
        """From `timestamp` on the first clock runs at another rate."""
        if from_rate != self._from_rate:
            self._shown = self.of(timestamp)
            self._at, self._from_rate = timestamp, from_rate


def sequence_after(sequence: int, steps: int = 1) -> int:
    """The sequence number `steps` packets later."""
    return (sequence + steps) & 0xFFFF


def timestamp_after(timestamp: int, ticks: int) -> int:
    """The timestamp `ticks` clock ticks later."""
    return (timestamp + ticks) & 0xFFFF_FFFF
