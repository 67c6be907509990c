"""`sendmmsg` (Linux): packets of many calls in one system call, from arrays that change only when calls come and go.

Layouts are those of 64-bit Linux: `struct iovec` is two words, `struct mmsghdr` eight (name, its length, vectors, how
many, control, its length, flags, bytes sent).
"""

import ctypes
import errno
import socket
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callwright.telephony.media.addresses import ip_address

NAME_BYTES: Final = 28
"""`struct sockaddr_in6`; one of IPv4 is shorter."""
VECTOR_BYTES: Final = 32
"""Header and payload of one packet: two `struct iovec`."""
_MESSAGE_WORDS: Final = 8
_MESSAGE_BYTES: Final = 8 * _MESSAGE_WORDS
_NAME, _NAME_LENGTH, _VECTORS, _VECTOR_COUNT = 0, 1, 2, 3
_FIRST_MESSAGES: Final = 4
_MOST_AT_ONCE: Final = 1024
"""UIO_MAXIOV: what the kernel takes in one call."""
_FULL: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})
"""No room for any packet of this socket, whoever it is for."""

_sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_sendmmsg.restype = ctypes.c_int


def socket_name(address: str, port: int) -> bytes:
    """`struct sockaddr_in` or `sockaddr_in6` of an address literal."""
    ip = ip_address(address)
    if ip.version == 4:
        return struct.pack("=H2s4s8x", socket.AF_INET, port.to_bytes(2, "big"), ip.packed)
    return struct.pack("=H2s4x16s4x", socket.AF_INET6, port.to_bytes(2, "big"), ip.packed)


class Batch:
    """Messages that leave through one socket together, in no particular order; each is a row of its slot's arrays."""

    __slots__ = ("_at", "_messages", "descriptor", "rows")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        "of the socket"
        self._messages: NDArray[np.uint64] = np.zeros((_FIRST_MESSAGES, _MESSAGE_WORDS), dtype=np.uint64)
        self._at = self._messages.ctypes.data
        self.rows: list[int] = []
        "whose message stands where"

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, row: int, vectors_at: int, name_at: int, name_bytes: int) -> None:
        """From now on send what the two vectors at `vectors_at` point to; no name is for a socket that is connected."""
        index = len(self.rows)
        if index == len(self._messages):
            grown = np.zeros((2 * index, _MESSAGE_WORDS), dtype=np.uint64)
            grown[:index] = self._messages
            self._messages = grown
            self._at = grown.ctypes.data
        message = self._messages[index]
        message[_NAME], message[_NAME_LENGTH] = (name_at, name_bytes) if name_bytes else (0, 0)
        message[_VECTORS], message[_VECTOR_COUNT] = vectors_at, 2
        self.rows.append(row)

    def remove(self, row: int) -> None:
        """Send it no longer; ValueError when it was not."""
        index = self.rows.index(row)
        last = self.rows.pop()
        if last != row:
            self.rows[index] = last
            self._messages[index] = self._messages[len(self.rows)]

    def send(self) -> list[int]:
        """Send them all, each once; the rows of those that the system refused."""
        count = len(self.rows)
        sent = _sendmmsg(self.descriptor, self._at, count, 0)
        return [] if sent == count else self._send_rest(max(0, sent), refused_first=sent < 0)

    def _send_rest(self, done: int, *, refused_first: bool) -> list[int]:
        """After `done` messages the system stopped: it tells why when it is asked for the next one."""
        refused: list[int] = []
        count = len(self.rows)
        while done < count:
            if not refused_first:
                sent = _sendmmsg(self.descriptor, self._at + done * _MESSAGE_BYTES, min(count - done, _MOST_AT_ONCE), 0)
                if sent > 0:
                    done += sent
                    continue
            refused_first = False
            if ctypes.get_errno() in _FULL:
                return refused + self.rows[done:]
            refused.append(self.rows[done])
            done += 1
        return refused
