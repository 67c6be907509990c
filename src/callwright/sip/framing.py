"""Bytes of a connection → SIP messages and keep-alives (RFC 3261 §18.3, §7.5; RFC 5626 §3.5.1, §4.4.1).

On a stream Content-Length says where a message ends. Whoever says it wrongly cannot be understood any further: what
could be read of that message is handed out, so that it can be refused, and then the connection must be closed.
"""

import re
from dataclasses import dataclass

from callwright.sip.lexis import decimal
from callwright.sip.parse import MOST_MESSAGE_BYTES

PING = b"\r\n\r\n"
"""What a client sends between messages to keep a connection alive; the answer is `PONG`."""
PONG = b"\r\n"
MOST_HEAD_BYTES = 32_768
"""Start line and headers; a head that does not end within is none."""

_HEAD_END = b"\r\n\r\n"
_CONTENT_LENGTH = re.compile(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$")


@dataclass(frozen=True, slots=True)
class Framed:
    """What some bytes completed."""

    messages: tuple[bytes, ...] = ()
    pings: int = 0
    "double CRLF between messages: answer each with `PONG`"
    fault: str = ""
    "why the connection must be closed; empty while all is well"


class Framer:
    """One direction of one connection. `receive` all bytes in order; keeps no more than one message."""

    __slots__ = ("_buffer", "_needed", "_searched", "fault")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # no end of a head begins before this
        self._needed = 0  # the whole length of the message at the front, once its head was read
        self.fault = ""

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their message."""
        return len(self._buffer)

    def is_broken(self) -> bool:
        """Nothing more will be understood."""
        return self.fault != ""

    def receive(self, data: bytes) -> Framed:
        """What these bytes complete. After a fault nothing is read any more."""
        if self.is_broken():
            return Framed(fault=self.fault)
        self._buffer += data
        messages: list[bytes] = []
        pings = 0
        while not self.is_broken():
            if not self._needed:
                pings += self._skip_line_ends()
                if not self._read_head(messages):
                    break
            if len(self._buffer) < self._needed:
                break
            messages.append(bytes(self._buffer[: self._needed]))
            self._drop(self._needed)
        if self.is_broken():
            self._buffer.clear()
        return Framed(tuple(messages), pings, self.fault)

    def _skip_line_ends(self) -> int:
        """Take line ends off the front; how many pings they were. A lone CRLF is a pong or an idle line end."""
        pings = 0
        while self._buffer[:2] == PONG:
            if self._buffer[:4] == PING:
                pings += 1
                self._drop(4)
            elif len(self._buffer) in (2, 3) and bytes(self._buffer[2:3]) in (b"", b"\r"):
                break  # perhaps the first half of a ping
            else:
                self._drop(2)
        return pings

    def _read_head(self, messages: list[bytes]) -> bool:
        """Learn how long the message at the front is; False when more bytes are needed or nothing can be learnt."""
        buffer = self._buffer
        if not buffer or buffer[:2] == PONG or bytes(buffer[:2]) == b"\r":
            return False
        if buffer[0] < 0x21 or buffer[0] > 0x7E:
            self.fault = "bytes that begin no message"
            return False
        end = buffer.find(_HEAD_END, self._searched)
        if end > MOST_HEAD_BYTES or (end < 0 and len(buffer) > MOST_HEAD_BYTES):
            self.fault = f"a head of more than {MOST_HEAD_BYTES} bytes"
            return False
        if end < 0:
            self._searched = max(0, len(buffer) - len(_HEAD_END) + 1)
            return False
        head = bytes(buffer[: end + 2])
        # RFC 3261 §7.3.1: a folded value goes on in the next line.
        lengths = [found.group(1) for found in _CONTENT_LENGTH.finditer(re.sub(rb"\r\n[ \t]+", b" ", head))]
        length = 0 if not lengths else decimal(lengths[0].decode("ascii", "replace"), MOST_MESSAGE_BYTES)
        whole = end + len(_HEAD_END) + (length or 0)
        if length is None or len(lengths) > 1 or whole > MOST_MESSAGE_BYTES:
            messages.append(bytes(buffer[: end + len(_HEAD_END)]))
            self.fault = "a Content-Length that cannot be followed"
            return False
        self._needed = whole
        return True

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._searched = 0
        self._needed = 0
