"""RTP packets: bytes to fields and back (RFC 3550 §5.1, §5.3.1).

Everything the fixed header can carry is read and written: CSRC list, one header extension, padding. Nothing is
guessed: a length that does not fit inside the datagram is an `RtpError`.
"""

import struct
from dataclasses import dataclass

from callwright.errors import RtpError

VERSION = 2
HEADER_BYTES = 12
MOST_CSRCS = 15
_FIXED = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")
_RTCP_CONFUSABLE = range(64, 96)


@dataclass(frozen=True, slots=True)
class HeaderExtension:
    """The one extension a header may carry (§5.3.1)."""

    profile: int
    "16 bits, meaning defined by the profile; 0xBEDE for RFC 8285"
    data: bytes
    "a whole number of 32-bit words"


@dataclass(slots=True)
class RtpPacket:
    """One RTP packet. Mutable only because it is made fifty times a second per call; treat it as a value."""

    payload_type: int
    "0 to 127"
    sequence: int
    "16 bits"
    timestamp: int
    "32 bits, in ticks of the payload's clock"
    ssrc: int
    "32 bits"
    payload: bytes
    "without padding"
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: HeaderExtension | None = None
    padding_bytes: int = 0
    "octets of padding behind the payload, the last of which holds this number"


def parse(data: bytes) -> RtpPacket:
    """Read one datagram; `RtpError` says why it is not RTP.

    Payload types 64-95 are refused as well: with the marker bit they are RTCP come to the wrong port (RFC 5761 §4).
    """
    size = len(data)
    if size < HEADER_BYTES:
        raise RtpError(f"{size} bytes are fewer than an RTP header")
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(data)
    if first >> 6 != VERSION:
        raise RtpError(f"RTP version {first >> 6}, not 2")
    payload_type = second & 0x7F
    if payload_type in _RTCP_CONFUSABLE:
        raise RtpError(f"payload type {payload_type} looks like RTCP")
    marker = second > 0x7F
    if first == 0x80:  # no padding, extension or CSRC: nearly every packet there is
        return RtpPacket(payload_type, sequence, timestamp, ssrc, data[HEADER_BYTES:], marker)
    start = HEADER_BYTES + 4 * (first & 0x0F)
    if start > size:
        raise RtpError("the CSRC list is longer than the packet")
    csrcs = struct.unpack_from(f"!{first & 0x0F}I", data, HEADER_BYTES)
    extension = None
    if first & 0x10:
        extension, start = _parse_extension(data, start)
    padding_bytes = 0
    if first & 0x20:
        padding_bytes = data[-1]
        if padding_bytes == 0 or start + padding_bytes > size:
            raise RtpError(f"{padding_bytes} bytes of padding do not fit the packet")
    payload = data[start : size - padding_bytes]
    return RtpPacket(payload_type, sequence, timestamp, ssrc, payload, marker, csrcs, extension, padding_bytes)


def _parse_extension(data: bytes, start: int) -> tuple[HeaderExtension, int]:
    """The extension at `start`, and where the payload begins behind it."""
    if start + _EXTENSION.size > len(data):
        raise RtpError("the header extension is cut off")
    profile, words = _EXTENSION.unpack_from(data, start)
    begin = start + _EXTENSION.size
    end = begin + 4 * words
    if end > len(data):
        raise RtpError("the header extension is longer than the packet")
    return HeaderExtension(profile, data[begin:end]), end


def serialize(packet: RtpPacket) -> bytes:
    """The packet's bytes; `RtpError` when a field does not fit its place."""
    if not 0 <= packet.payload_type <= 127:
        raise RtpError(f"payload type {packet.payload_type} does not fit 7 bits")
    if len(packet.csrcs) > MOST_CSRCS:
        raise RtpError(f"{len(packet.csrcs)} contributing sources, at most {MOST_CSRCS} fit")
    if not 0 <= packet.padding_bytes <= 255:
        raise RtpError(f"{packet.padding_bytes} bytes of padding, at most 255 fit")
    first = VERSION << 6 | len(packet.csrcs)
    tail = b""
    if packet.extension is not None:
        first |= 0x10
    if packet.padding_bytes:
        first |= 0x20
        tail = bytes(packet.padding_bytes - 1) + bytes([packet.padding_bytes])
    try:
        header = _FIXED.pack(
            first, packet.marker << 7 | packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc
        )
        header += struct.pack(f"!{len(packet.csrcs)}I", *packet.csrcs)
        if packet.extension is not None:
            header += _serialize_extension(packet.extension)
    except struct.error as error:
        raise RtpError(f"a header field does not fit: {error}") from error
    return header + packet.payload + tail


def _serialize_extension(extension: HeaderExtension) -> bytes:
    words, rest = divmod(len(extension.data), 4)
    if rest:
        raise RtpError(f"a header extension of {len(extension.data)} bytes is no whole number of words")
    return _EXTENSION.pack(extension.profile, words) + extension.data
