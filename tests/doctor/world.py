"""A trunk with one thing wrong: real sockets that answer SIP and RTP as a test wants it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from callwright.sip.address import parse_vias
from callwright.sip.message import Request
from callwright.sip.parse import parse, serialize
from callwright.sip.responses import response_to

Place = tuple[str, int]


@dataclass
class World:
    """What the trunk does."""

    statuses: dict[str, int] = field(default_factory=dict)
    "by method; 0: no answer; 200 where none is given"
    challenge: bool = False
    "everything is asked for a login, again and again"
    seen: Place | None = None
    "where it sees us, as its Via says"
    media_host: str = "127.0.0.1"
    "in its session description"
    media_port: int | None = None
    "in its session description; its own where none is given"
    events: bool = True
    "telephone-events are agreed upon"
    codec: str = "0 PCMU"
    sounds: str = "echo"
    "echo, silent, or elsewhere: echo from a port that was not agreed upon"
    requests: list[Request] = field(default_factory=list)

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1") -> AsyncIterator["World"]:
        loop = asyncio.get_running_loop()
        self._sip, self._rtp, self._other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3))
        sockets = ((self._sip, self._answer), (self._rtp, self._sound), (self._other, None))
        for udp, read in sockets:
            udp.bind((host, 0))
            udp.setblocking(False)  # noqa: FBT003  positional only
            if read is not None:
                loop.add_reader(udp, read)
        self.address: Place = self._sip.getsockname()
        try:
            yield self
        finally:
            for udp, read in sockets:
                if read is not None:
                    loop.remove_reader(udp)
                udp.close()

    def _sound(self) -> None:
        data, source = self._rtp.recvfrom(4096)
        if self.sounds == "echo":
            self._rtp.sendto(data, source)
        elif self.sounds == "elsewhere":
            self._other.sendto(data, source)

    def _answer(self) -> None:
        data, source = self._sip.recvfrom(65_535)
        request = parse(data)
        if not isinstance(request, Request) or request.method == "ACK":
            return
        self.requests.append(request)
        status = self.statuses.get(request.method, 200)
        if not status:
            return
        extra = [("Contact", f"<sip:them@{self.address[0]}:{self.address[1]}>")]
        if self.challenge:
            status = 401
            extra.append(("WWW-Authenticate", 'Digest realm="example.com", nonce="n", qop="auth"'))
        body = b""
        if request.method == "INVITE" and status == 200:
            extra.append(("Content-Type", "application/sdp"))
            body = self._description()
        self._mark(request, source)
        tag = "" if "tag=" in (request.headers.get("To") or "") else "them"
        self._sip.sendto(serialize(response_to(request, status, to_tag=tag, extra=extra, body=body)), source)

    def _mark(self, request: Request, source: Place) -> None:
        (via, *_) = parse_vias(request.headers.all("Via"))
        host, port = self.seen or source
        marked = replace(via, params={**via.params, "received": host, "rport": str(port)})
        request.headers.set("Via", str(marked))

    def _description(self) -> bytes:
        number, name = self.codec.split()
        port = self.media_port or self._rtp.getsockname()[1]
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", f"c=IN IP4 {self.media_host}", "t=0 0"]
        lines += [
            f"m=audio {port} RTP/AVP {number}" + (" 101" if self.events else ""),
            f"a=rtpmap:{number} {name}/8000",
        ]
        lines += ["a=rtpmap:101 telephone-event/8000"] if self.events else []
        return ("\r\n".join(lines) + "\r\n").encode()
