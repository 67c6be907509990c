"""Leaving unread what nobody wants: the kernel drops most of a stream's sound, and says how many packets that were.

The kernel counts what a socket's filter dropped (with what found the buffer full) and stamps every packet that it lets
through with the count of that moment (SO_RXQ_OVFL). Therefore losses stay exact, up to the last packet that passed.
"""

import ctypes
import socket
import struct
import time

from callwright.rtp.sampling import sampling_program

SO_ATTACH_FILTER = 26
SO_DETACH_FILTER = 27
SO_RXQ_OVFL = 40
SO_MEMINFO = 55
"""From Linux's asm-generic/socket.h; Python has no names for them. PA-RISC and SPARC differ."""
_MEMINFO = struct.Struct("@9I")
_DROPS = 8
"""SK_MEMINFO_DROPS: which number of SO_MEMINFO."""
_INSTRUCTION = struct.Struct("@HBBI")
_PROGRAM = struct.Struct("@HP")
_COUNT = struct.Struct("@I")
COUNT_BYTES = _COUNT.size
_COUNTS = 1 << 32
PROBE_SECONDS = 0.5


class Sieve:
    """One socket's filter. Closed, it lets keys and every 16th packet of sound through; open, everything."""

    __slots__ = ("_begin", "_end", "_socket")

    def __init__(self, sieved: socket.socket) -> None:
        self._socket = sieved
        self._begin = 0
        "packets that the kernel had dropped when those after were not told of yet"
        self._end = 0
        "the same when the sieve was opened"

    def close(self, ssrc: int, payload_type: int) -> None:
        """Drop most of what this source sends as `payload_type`; `OSError` when the system will not."""
        program = b"".join(_INSTRUCTION.pack(*instruction) for instruction in sampling_program(ssrc, payload_type))
        instructions = ctypes.create_string_buffer(program, len(program))
        fprog = _PROGRAM.pack(len(program) // _INSTRUCTION.size, ctypes.addressof(instructions))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        dropped = self._dropped()
        self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)
        self._begin, self._end = dropped, -1

    def open(self) -> None:
        """Drop nothing any more; only when it was closed."""
        self._socket.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        self._end = self._dropped()

    def dropped_before(self, ancillary: list[tuple[int, int, bytes]]) -> int:
        """How many packets were dropped before the one that came with `ancillary`, and were not told of before.

        What a full buffer costs while the sieve is open is not among them: those packets are lost.
        """
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL:
                (dropped,) = _COUNT.unpack(data)
                if self._end >= 0 and _between(self._end, dropped) > 0:
                    dropped = self._end
                since = _between(self._begin, dropped)
                if since > 0:
                    self._begin = dropped
                    return since
        return 0

    def _dropped(self) -> int:
        meminfo = _MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size))
        return int(meminfo[_DROPS])


def _between(older: int, newer: int) -> int:
    """Counts wrap around at 2**32."""
    return ((newer - older + _COUNTS // 2) % _COUNTS) - _COUNTS // 2


def why_not_to_be_used(host: str) -> str:
    """What is wrong with the filters of this system, if anything: tried out with three packets to ourselves."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    packets = [struct.pack("!BBHII", 0x80, 0, sequence, 0, 1) for sequence in (1, 2, 16)]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
            probe.connect(probe.getsockname())
            probe.settimeout(PROBE_SECONDS)
            sieve = Sieve(probe)
            sieve.close(ssrc=1, payload_type=0)
            for packet in packets:
                probe.send(packet)
            until = time.monotonic() + PROBE_SECONDS
            data = ancillary = None
            while time.monotonic() < until and data != packets[-1]:
                data, ancillary, _, _ = probe.recvmsg(2048, socket.CMSG_SPACE(COUNT_BYTES))
                if data in packets[:-1]:
                    return "packets that are to be dropped pass"
    except OSError as error:
        return str(error)
    if data != packets[-1]:
        return "packets that are to pass do not"
    dropped = sieve.dropped_before(ancillary or [])
    return "" if dropped == len(packets) - 1 else f"{dropped} dropped packets are counted, not {len(packets) - 1}"
