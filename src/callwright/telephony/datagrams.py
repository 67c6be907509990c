"""One UDP socket on the event loop, that learns by ICMP which of its peers are not there.

asyncio's datagram transport says *that* a destination refused, not *which*. With IP_RECVERR Linux keeps each ICMP error
in a queue of the socket together with the address that the datagram was for (ip(7), recvmsg(2) MSG_ERRQUEUE), so a dead
peer is known in a millisecond instead of after 64 × T1 (RFC 3261 §17.1.1.2).
"""

import asyncio
import errno
import logging
import os
import socket
import struct
from collections.abc import Callable

log = logging.getLogger(__name__)

Address = tuple[str, int]
"""IP address and UDP port."""

LARGEST_DATAGRAM = 65_535
DATAGRAMS_AT_A_TIME = 64
"""Read at most so many before other callbacks get a turn."""

# linux/in.h, linux/in6.h and linux/errqueue.h; the socket module has no names for them.
IP_RECVERR = 11
IPV6_RECVERR = 25
EXTENDED_ERROR = struct.Struct("=IBBBBII")
GONE = {
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EACCES,
    errno.EPERM,
    errno.EADDRNOTAVAIL,
    errno.EINVAL,
    errno.ENETDOWN,
    errno.EMSGSIZE,
}
"""Errors that say: nothing sent to this address arrives."""


def open_udp_socket(host: str, port: int) -> socket.socket:
    """A bound, non-blocking socket; port 0 picks one. OSError when it cannot be had, OverflowError beyond 65535."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        udp.setblocking(False)  # noqa: FBT003  positional only
        if family is socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            udp.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        else:
            udp.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        udp.bind((host, port))
    except (OSError, OverflowError):
        udp.close()
        raise
    return udp


class Datagrams:
    """A bound socket's two directions. Must be made on the running loop; `close` frees the socket."""

    def __init__(
        self,
        udp: socket.socket,
        receive: Callable[[bytes, Address], None],
        gone: Callable[[Address, str], None],
    ) -> None:
        """`receive` gets each datagram with its source; `gone` each address that cannot be reached, and why."""
        self._socket = udp
        self._receive = receive
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(udp, self._readable)
        self.unsent = 0
        "datagrams that did not leave because the socket's buffer was full; to the peer they are lost on the way"

    def send(self, data: bytes, destination: Address) -> None:
        """Send one datagram now. An address that cannot be reached is told to `gone` from the loop, never from here."""
        # A queued ICMP error of an earlier datagram makes the next call on the socket fail once, whoever that is for.
        for attempt in (1, 2):
            try:
                self._socket.sendto(data, destination)
            except (BlockingIOError, InterruptedError):
                self.unsent += 1
            except OSError as error:
                if self._drain_errors() and attempt == 1:
                    continue
                if error.errno in GONE:
                    self._loop.call_soon(self._gone, destination, os.strerror(error.errno))
                else:
                    self.unsent += 1
                    log.warning("a datagram to %s port %d was not sent: %s", *destination, error)
            return

    def close(self) -> None:
        """Stop reading and close; may be called twice."""
        if self._socket.fileno() != -1:
            self._loop.remove_reader(self._socket)
            self._socket.close()

    def _readable(self) -> None:
        for _ in range(DATAGRAMS_AT_A_TIME):
            if self._socket.fileno() == -1:
                return
            try:
                data, source = self._socket.recvfrom(LARGEST_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                if not self._drain_errors():
                    return
            else:
                self._receive(data, (source[0], source[1]))

    def _drain_errors(self) -> bool:
        """Tell what the error queue holds; False when it was empty."""
        some = False
        while True:
            try:
                _, ancillary, _, address = self._socket.recvmsg(1, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return some
            some = True
            for level, kind, body in ancillary:
                wanted = {(socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)}
                if (level, kind) in wanted and len(body) >= EXTENDED_ERROR.size and address:
                    number = EXTENDED_ERROR.unpack_from(body)[0]
                    if number in GONE:
                        self._loop.call_soon(self._gone, (address[0], address[1]), os.strerror(number))
