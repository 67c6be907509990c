"""A capture file of one RTP stream, as SIPp plays it: Ethernet, IPv4, UDP, RTP, a frame each 20 ms.

The file's format is libpcap's classic one; what is not looked at (addresses, checksums) is zero.
"""

import struct

FRAME = 160
FRAME_US = 20_000
SSRC = 0x62656E63
MAGIC, ETHERNET, MOST_BYTES = 0xA1B2C3D4, 1, 65_535
IPV4, UDP = 0x0800, 17


def serialize(payload: bytes) -> bytes:
    """PCMU, 8,000 bytes a second, as a capture; what does not fill a frame at the end is left out."""
    parts = [struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, MOST_BYTES, ETHERNET)]
    for index in range(len(payload) // FRAME):
        packet = _packet(index, payload[index * FRAME : (index + 1) * FRAME])
        seconds, microseconds = divmod(index * FRAME_US, 1_000_000)
        parts += [struct.pack("<IIII", seconds, microseconds, len(packet), len(packet)), packet]
    return b"".join(parts)


def _packet(index: int, frame: bytes) -> bytes:
    rtp = struct.pack(">BBHII", 0x80, 0, index & 0xFFFF, index * FRAME, SSRC) + frame
    udp = struct.pack(">HHHH", 0, 0, 8 + len(rtp), 0) + rtp
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, UDP, 0, bytes(4), bytes(4)) + udp
    return struct.pack(">6s6sH", bytes(6), bytes(6), IPV4) + ip
