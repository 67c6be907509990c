"""Sequence numbers and timestamps that wrap around (RFC 3550 §5.1): which is newer, and by how much.

Both count modulo a power of two; "newer" is decided by the shorter way round (RFC 1982 serial arithmetic).
"""

SEQUENCE_MODULUS = 1 << 16
TIMESTAMP_MODULUS = 1 << 32


def sequence_distance(older: int, newer: int) -> int:
    """Steps from `older` to `newer`, -32768 to 32767; negative when `newer` is in truth the older one."""
    return ((newer - older + 0x8000) & 0xFFFF) - 0x8000


def timestamp_distance(older: int, newer: int) -> int:
    """Clock ticks from `older` to `newer`, -2**31 to 2**31 - 1."""
    return ((newer - older + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


def sequence_after(sequence: int, steps: int = 1) -> int:
    """The sequence number `steps` packets later."""
    return (sequence + steps) & 0xFFFF


def timestamp_after(timestamp: int, ticks: int) -> int:
    """The timestamp `ticks` clock ticks later."""
    return (timestamp + ticks) & 0xFFFF_FFFF
