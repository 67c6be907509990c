"""UDP sockets as media needs them: bound to a port of ours, marked for routers, stamping what arrives."""

import socket
import struct
from typing import Final, NamedTuple

from callwright.telephony.media.sieve import COUNT_BYTES

SO_TIMESTAMPNS: Final = 35
"""From Linux's asm-generic/socket.h; Python has no name for it. Alpha, MIPS, PA-RISC and SPARC differ."""
LARGEST_DATAGRAM: Final = 2048
RECEIVE_BUFFER_BYTES: Final = 65_536
"""A second and more of audio; a flood beyond it is dropped by the kernel."""
MOST_WAITING_DATAGRAMS: Final = 512
"""Read at most from a socket that is to be emptied; more than its buffer holds."""
EXPEDITED_FORWARDING: Final = 46 << 2
"""DSCP EF in the traffic class byte (RFC 4594 §4.1)."""
ANCILLARY_SPACE: Final = socket.CMSG_SPACE(16) + socket.CMSG_SPACE(COUNT_BYTES)
_TIMESPEC: Final = struct.Struct("@qq")


class Datagram(NamedTuple):
    """One that waited."""

    data: bytes
    arrival: float
    "unix seconds; 0 when it is not known"
    source: tuple[str, int]


def bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket at a port of ours; `OSError` when it is taken.

    A `shared` one lets others of this process at the same port. Of those that are connected each gets what its own
    peer sends, and nothing else; what others send goes to one that is not.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, EXPEDITED_FORWARDING)
        else:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED_FORWARDING)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


def emptied(emptying: socket.socket) -> list[Datagram]:
    """Whatever waits in a socket."""
    waiting: list[Datagram] = []
    for _ in range(MOST_WAITING_DATAGRAMS):
        try:
            data, ancillary, flags, source = emptying.recvmsg(LARGEST_DATAGRAM, ANCILLARY_SPACE)
        except BlockingIOError:
            break
        except OSError:  # ICMP; the next one may be a datagram
            continue
        if not flags & socket.MSG_TRUNC:
            waiting.append(Datagram(data, arrival(ancillary, 0.0), source[:2]))
    return waiting


def arrival(ancillary: list[tuple[int, int, bytes]], otherwise: float) -> float:
    """When the kernel took a datagram in: we look every few milliseconds, which would pass for jitter."""
    for level, kind, stamp in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(stamp)
            return float(seconds + nanoseconds * 1e-9)
    return otherwise
