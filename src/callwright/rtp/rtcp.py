"""RTCP compound packets: SR, RR, SDES, BYE to fields and back (RFC 3550 §6, validity by appendix A.2).

A datagram is taken whole or refused whole: version 2 throughout, a report first, padding only in the last packet,
lengths that add up to the datagram's. Packet types that callwright has no use for (APP, feedback, XR) are checked for
length and left out of the result, as §6.1 asks. Reduced-size RTCP (RFC 5506) is never negotiated, so it is refused.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from callwright.errors import RtpError

SENDER_REPORT, RECEIVER_REPORT, SOURCE_DESCRIPTION, GOODBYE = 200, 201, 202, 203
CNAME = 1
MOST_REPORTS = 31
NTP_EPOCH_OFFSET = 2_208_988_800
"""Seconds from 1900 (NTP) to 1970 (unix)."""
_HEADER = struct.Struct("!BBH")
_SENDER_INFO = struct.Struct("!IQIII")
_WORD = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """How one source is received (§6.4.1)."""

    ssrc: int
    "the source reported on"
    fraction_lost: int
    "since the last report, in 1/256; 0 to 255"
    packets_lost: int
    "since the beginning; 24 bits signed, negative when duplicates outnumber losses"
    highest_sequence: int
    "extended: cycles in the upper 16 bits"
    jitter: int
    "in ticks of the RTP clock"
    last_sender_report: int = 0
    "middle 32 bits of the NTP time of the last SR from this source, 0 when there was none"
    delay_since_last: int = 0
    "since that SR came, in 1/65536 s"


@dataclass(frozen=True, slots=True)
class SenderReport:
    """SR (§6.4.1)."""

    ssrc: int
    ntp_time: int
    "64 bits: seconds since 1900 and fraction"
    rtp_time: int
    "the same instant on the stream's RTP clock"
    packets: int
    octets: int
    "of payload, without headers and padding"
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """RR (§6.4.2): from somebody who sent nothing since the last report."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """SDES (§6.5): per source its items, (type, value); type 1 is the CNAME."""

    chunks: tuple[tuple[int, tuple[tuple[int, bytes], ...]], ...]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """BYE (§6.6)."""

    ssrcs: tuple[int, ...]
    reason: bytes = b""
    "at most 255 bytes of UTF-8"


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Goodbye


def ntp_time(unix_seconds: float) -> int:
    """The 64-bit NTP timestamp of a unix time (§4)."""
    return round((unix_seconds + NTP_EPOCH_OFFSET) * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF


def ntp_middle(ntp: int) -> int:
    """The middle 32 bits, as LSR carries them (§6.4.1)."""
    return ntp >> 16 & 0xFFFF_FFFF


def parse(data: bytes) -> tuple[RtcpPacket, ...]:
    """Read one compound datagram; `RtpError` when any part of it is wrong."""
    packets: list[RtcpPacket] = []
    for position, (kind, count, body) in enumerate(_split(data)):
        if position == 0 and kind not in (SENDER_REPORT, RECEIVER_REPORT):
            raise RtpError(f"the compound begins with packet type {kind}, not with a report")
        if kind == SENDER_REPORT:
            packets.append(_parse_sender_report(count, body))
        elif kind == RECEIVER_REPORT:
            packets.append(ReceiverReport(_word(body, 0), _parse_blocks(count, body, 4)))
        elif kind == SOURCE_DESCRIPTION:
            packets.append(_parse_description(count, body))
        elif kind == GOODBYE:
            packets.append(_parse_goodbye(count, body))
    return tuple(packets)


def _split(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Each packet of the compound as (type, count, body without padding); the lengths are checked."""
    if len(data) < 8:
        raise RtpError(f"{len(data)} bytes are fewer than the smallest RTCP packet")
    start = 0
    while start < len(data):
        if start + 4 > len(data):
            raise RtpError("an RTCP header is cut off")
        first, kind, words = _HEADER.unpack_from(data, start)
        end = start + 4 * (words + 1)
        if first >> 6 != 2:
            raise RtpError(f"RTCP version {first >> 6}, not 2")
        if end > len(data):
            raise RtpError("an RTCP length reaches beyond the datagram")
        body = data[start + 4 : end]
        if first & 0x20:
            if end != len(data):
                raise RtpError("padding in an RTCP packet that is not the last")
            padding = body[-1] if body else 0
            if padding == 0 or padding % 4 or padding > len(body):
                raise RtpError(f"{padding} bytes of RTCP padding do not fit")
            body = body[:-padding]
        yield kind, first & 0x1F, body
        start = end


def _word(body: bytes, offset: int) -> int:
    if offset + 4 > len(body):
        raise RtpError("an RTCP packet is shorter than its count says")
    return int(_WORD.unpack_from(body, offset)[0])


def _parse_sender_report(count: int, body: bytes) -> SenderReport:
    if len(body) < _SENDER_INFO.size:
        raise RtpError("a sender report is cut off")
    ssrc, ntp, rtp, packets, octets = _SENDER_INFO.unpack_from(body)
    return SenderReport(ssrc, ntp, rtp, packets, octets, _parse_blocks(count, body, _SENDER_INFO.size))


def _parse_blocks(count: int, body: bytes, start: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for offset in range(start, start + 24 * count, 24):
        ssrc, loss, highest, jitter, last, delay = (_word(body, offset + part) for part in range(0, 24, 4))
        lost = loss & 0xFF_FFFF
        blocks.append(
            ReportBlock(ssrc, loss >> 24, lost - (lost >> 23 << 24), highest, jitter, last, delay),
        )
    return tuple(blocks)


def _parse_description(count: int, body: bytes) -> SourceDescription:
    chunks = []
    offset = 0
    for _ in range(count):
        ssrc = _word(body, offset)
        offset += 4
        items: list[tuple[int, bytes]] = []
        while True:
            if offset >= len(body):
                raise RtpError("a source description has no end")
            if body[offset] == 0:
                break
            if offset + 2 > len(body) or offset + 2 + body[offset + 1] > len(body):
                raise RtpError("a source description item is cut off")
            items.append((body[offset], body[offset + 2 : offset + 2 + body[offset + 1]]))
            offset += 2 + body[offset + 1]
        offset += 4 - offset % 4  # one null octet ends the list, more fill the word
        chunks.append((ssrc, tuple(items)))
    return SourceDescription(tuple(chunks))


def _parse_goodbye(count: int, body: bytes) -> Goodbye:
    ssrcs = tuple(_word(body, 4 * index) for index in range(count))
    rest = body[4 * count :]
    if rest and 1 + rest[0] > len(rest):
        raise RtpError("the reason of a BYE is cut off")
    return Goodbye(ssrcs, rest[1 : 1 + rest[0]] if rest else b"")


def serialize(packets: Sequence[RtcpPacket]) -> bytes:
    """One compound datagram; `RtpError` when it would break §6.1 or a field does not fit."""
    if not packets or not isinstance(packets[0], SenderReport | ReceiverReport):
        raise RtpError("a compound begins with a report")
    try:
        return b"".join(_serialize_one(packet) for packet in packets)
    except struct.error as error:
        raise RtpError(f"an RTCP field does not fit: {error}") from error


def _serialize_one(packet: RtcpPacket) -> bytes:
    match packet:
        case SenderReport():
            info = _SENDER_INFO.pack(packet.ssrc, packet.ntp_time, packet.rtp_time, packet.packets, packet.octets)
            return _framed(SENDER_REPORT, len(packet.reports), info + _serialize_blocks(packet.reports))
        case ReceiverReport():
            body = _WORD.pack(packet.ssrc) + _serialize_blocks(packet.reports)
            return _framed(RECEIVER_REPORT, len(packet.reports), body)
        case SourceDescription():
            body = b"".join(_serialize_chunk(ssrc, items) for ssrc, items in packet.chunks)
            return _framed(SOURCE_DESCRIPTION, len(packet.chunks), body)
        case Goodbye():
            body = struct.pack(f"!{len(packet.ssrcs)}I", *packet.ssrcs)
            if packet.reason:
                body += _filled(struct.pack("!B", len(packet.reason)) + packet.reason)
            return _framed(GOODBYE, len(packet.ssrcs), body)


def _framed(kind: int, count: int, body: bytes) -> bytes:
    if count > MOST_REPORTS:
        raise RtpError(f"{count} entries in one RTCP packet, at most {MOST_REPORTS} fit")
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _serialize_blocks(reports: Sequence[ReportBlock]) -> bytes:
    return b"".join(
        struct.pack(
            "!IIIIII",
            block.ssrc,
            block.fraction_lost << 24 | max(-0x80_0000, min(0x7F_FFFF, block.packets_lost)) & 0xFF_FFFF,
            block.highest_sequence,
            block.jitter,
            block.last_sender_report,
            block.delay_since_last,
        )
        for block in reports
    )


def _serialize_chunk(ssrc: int, items: Sequence[tuple[int, bytes]]) -> bytes:
    parts = [_WORD.pack(ssrc)]
    parts += [struct.pack("!BB", kind, len(value)) + value for kind, value in items]
    chunk = b"".join(parts)
    return chunk + bytes(4 - len(chunk) % 4)
