"""Which packets of a stream that nobody listens to need not be read: a program for the kernel's socket filter.

The program is classic BPF (McCanne and Jacobson 1993, as Linux takes it with SO_ATTACH_FILTER); on a UDP socket it sees
the UDP header and what follows. It drops nothing but sound as agreed upon from the source that is believed, and of that
it lets one packet in `SAMPLED_ONE_IN` through, by sequence number: a sign of life, and enough to know the jitter by.
Telephone-events, comfort noise, other sources, other payload types and whatever is no RTP pass, so that keys, changes
of the source and refusals are seen as ever. Fields are those of RFC 3550 §5.1.
"""

from typing import Final, NamedTuple

SAMPLED_ONE_IN: Final = 16
"""A power of two: the packets that pass are those whose sequence number is a multiple of it. Three a second."""
EVERYTHING: Final = 0xFFFF_FFFF
"""Bytes of a packet that pass; more than any has."""

LOAD_LENGTH: Final = 0x80
LOAD_WORD: Final = 0x20
LOAD_HALF: Final = 0x28
LOAD_BYTE: Final = 0x30
AND: Final = 0x54
JUMP_IF_EQUAL: Final = 0x15
JUMP_IF_AT_LEAST: Final = 0x35
JUMP_IF_ANY_BIT: Final = 0x45
RETURN: Final = 0x06

UDP_HEADER_BYTES: Final = 8
_FLAGS: Final = UDP_HEADER_BYTES
_KIND: Final = UDP_HEADER_BYTES + 1
_SEQUENCE: Final = UDP_HEADER_BYTES + 2
_SSRC: Final = UDP_HEADER_BYTES + 8
_LEAST_BYTES: Final = UDP_HEADER_BYTES + 12
_VERSION_BITS: Final = 0xC0
_VERSION_2: Final = 0x80
_KIND_BITS: Final = 0x7F


class Instruction(NamedTuple):
    """One instruction; jumps are relative to the next one."""

    code: int
    jump_if_true: int
    jump_if_false: int
    operand: int


def sampling_program(ssrc: int, payload_type: int) -> tuple[Instruction, ...]:
    """The program that lets one in `SAMPLED_ONE_IN` of this source's packets of this type through, and all others."""
    return (
        Instruction(LOAD_LENGTH, 0, 0, 0),
        Instruction(JUMP_IF_AT_LEAST, 0, 11, _LEAST_BYTES),
        Instruction(LOAD_BYTE, 0, 0, _FLAGS),
        Instruction(AND, 0, 0, _VERSION_BITS),
        Instruction(JUMP_IF_EQUAL, 0, 8, _VERSION_2),
        Instruction(LOAD_BYTE, 0, 0, _KIND),
        Instruction(AND, 0, 0, _KIND_BITS),
        Instruction(JUMP_IF_EQUAL, 0, 5, payload_type),
        Instruction(LOAD_WORD, 0, 0, _SSRC),
        Instruction(JUMP_IF_EQUAL, 0, 3, ssrc),
        Instruction(LOAD_HALF, 0, 0, _SEQUENCE),
        Instruction(JUMP_IF_ANY_BIT, 0, 1, SAMPLED_ONE_IN - 1),
        Instruction(RETURN, 0, 0, 0),
        Instruction(RETURN, 0, 0, EVERYTHING),
    )
