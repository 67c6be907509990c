"""Thousands of callees: every INVITE is answered at once, every stream measured, and sound sent back when wished.

A process of its own (`python -m bench.rig.crowd HOST PROGRAM FRAMES-FILE`), so that its cost is not callwright's, and
cheap, as it has the same cores: SIP is answered from templates, without state but a table of calls; media is the
business of the C program `crowd.c`, which it starts. Each callee has an address of its own in 127.0.0.0/8, as phones
and gateways behind a carrier have; nothing else is special about them.

Commands are lines on standard input, answers are JSON lines on standard output:

    until_up N       {"up": n} once N calls are up, or after three minutes with fewer
    talk 0|1         callees send a packet each 20 ms, or nothing; {}
    begin            forget what was measured; {}
    report           what crowd.c measured since, and {"up": n}
    times NUMBER     {"invited": t, "answered": t, "acknowledged": t} of the call to that number, once it is up
    hang_up          every callee hangs up; {"up": n} when all calls are over, or after a minute with n left

Times are the monotonic clock's, which all processes of a machine share.
"""

import asyncio
import contextlib
import json
import secrets
import socket
import sys
import time
from dataclasses import dataclass, field

from bench.rig.media import Media, address_of

LIMIT_SECONDS = 180.0
HANG_UP_SECONDS = 60.0
BYES_AT_ONCE = 20
BYE_PAUSE_SECONDS = 0.05
BYE_AGAIN_SECONDS = 2.0
BUFFER_BYTES = 1 << 23
MOST_BYTES = 65_536


@dataclass(slots=True)
class Callee:
    """One call."""

    index: int
    number: str
    caller: str
    "From of the INVITE"
    callee: str
    "its To, with our tag"
    target: str
    "the caller's Contact"
    answer: bytes
    "our 200, for an INVITE that comes again"
    times: dict[str, float] = field(default_factory=dict)
    bye_at: float = 0.0


def header(message: str, name: str) -> str:
    """The first value; empty without one."""
    for line in message.split("\r\n"):
        if line[: len(name) + 1].lower() == f"{name}:":
            return line[len(name) + 1 :].strip()
        if not line:
            break
    return ""


def headers(message: str, *names: str) -> str:
    """These lines as they came."""
    wanted = tuple(f"{name}:" for name in names)
    head = message.partition("\r\n\r\n")[0]
    return "".join(f"{line}\r\n" for line in head.split("\r\n") if line.lower().startswith(wanted))


class Crowd:
    """All callees."""

    def __init__(self, host: str, media: Media) -> None:
        self._host = host
        self._media = media
        self._sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._sip.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        self._sip.bind((host, 0))
        self.sip_port = int(self._sip.getsockname()[1])
        self._source: tuple[str, int] = (host, 0)
        "the server, which all calls come from"
        self._up: dict[str, Callee] = {}
        self._by_number: dict[str, Callee] = {}
        self._free: list[int] = []
        self._indices = 0
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._sip, self._receive)

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, self._source = self._sip.recvfrom(MOST_BYTES)
                self._take(data.decode())

    def _take(self, message: str) -> None:
        method = message.partition(" ")[0]
        call_id = header(message, "call-id")
        callee = self._up.get(call_id)
        match method:
            case "INVITE":
                self._invited(message, call_id, callee)
            case "ACK" if callee is not None:
                callee.times.setdefault("acknowledged", time.monotonic())
                self._news.set()
            case "BYE" | "CANCEL" | "OPTIONS":
                self._send(f"SIP/2.0 200 OK\r\n{self._echo(message)}Content-Length: 0\r\n\r\n".encode())
                if method == "BYE":
                    self._over(call_id)
            case "SIP/2.0" if header(message, "cseq").endswith("BYE"):
                self._over(call_id)

    def _invited(self, message: str, call_id: str, callee: Callee | None) -> None:
        is_again = callee is not None and ";tag=" not in header(message, "to")
        if callee is not None and is_again:
            self._send(callee.answer)
            return
        now = time.monotonic()
        if callee is None:
            number = message.split(" ", 2)[1].partition(":")[2].partition("@")[0]
            index = self._free.pop() if self._free else self._indices
            self._indices = max(self._indices, index + 1)
            to = f"{header(message, 'to')};tag={secrets.token_hex(8)}"
            target = header(message, "contact").partition("<")[2].partition(">")[0]
            callee = Callee(index, number, header(message, "from"), to, target, b"", {"invited": now})
            self._up[call_id] = self._by_number[number] = callee
        offer = message.partition("\r\n\r\n")[2]
        host = offer.partition("c=IN IP4 ")[2].partition("\r\n")[0]
        port = offer.partition("m=audio ")[2].partition(" ")[0]
        self._media.tell(f"add {callee.index} {host} {port}")
        callee.answer = self._answer(message, callee)
        self._send(callee.answer)
        callee.times.setdefault("answered", time.monotonic())

    def _answer(self, message: str, callee: Callee) -> bytes:
        address, port = address_of(callee.index), self._media.port_of(callee.index)
        body = (
            f"v=0\r\no=- {callee.index} 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        )
        return (
            f"SIP/2.0 200 OK\r\n{headers(message, 'via', 'from', 'call-id', 'cseq', 'record-route')}"
            f"To: {callee.callee}\r\nContact: <sip:crowd@{self._host}:{self.sip_port}>\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _echo(self, message: str) -> str:
        return headers(message, "via", "from", "to", "call-id", "cseq")

    def _over(self, call_id: str) -> None:
        callee = self._up.pop(call_id, None)
        if callee is not None:
            del self._by_number[callee.number]
            self._free.append(callee.index)
            self._media.tell(f"del {callee.index}")
            self._news.set()

    def _send(self, data: bytes) -> None:
        self._sip.sendto(data, self._source)

    async def _until(self, calls: int) -> dict[str, object]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIMIT_SECONDS):
                while len(self._up) < calls:
                    self._news.clear()
                    await self._news.wait()
        return {"up": len(self._up)}

    async def _report(self) -> dict[str, object]:
        return await self._media.ask("report") | {"up": len(self._up)}

    async def _times(self, number: str) -> dict[str, object]:
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                callee = self._by_number.get(number)
                if callee is not None and "acknowledged" in callee.times:
                    return dict(callee.times)
                self._news.clear()
                await self._news.wait()

    async def _hang_up(self) -> dict[str, object]:
        until = time.monotonic() + HANG_UP_SECONDS
        while self._up and (now := time.monotonic()) < until:
            due = [one for one in self._up.items() if one[1].bye_at + BYE_AGAIN_SECONDS < now]
            for call_id, callee in due[:BYES_AT_ONCE]:
                callee.bye_at = now
                self._send(
                    f"BYE {callee.target} SIP/2.0\r\n"
                    f"Via: SIP/2.0/UDP {self._host}:{self.sip_port};branch=z9hG4bK{secrets.token_hex(8)}\r\n"
                    f"Max-Forwards: 70\r\nFrom: {callee.callee}\r\nTo: {callee.caller}\r\nCall-ID: {call_id}\r\n"
                    f"CSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n".encode()
                )
            await asyncio.sleep(BYE_PAUSE_SECONDS)
        return {"up": len(self._up)}

    async def obey(self, line: str) -> dict[str, object]:
        """One command."""
        command, _, argument = line.partition(" ")
        match command:
            case "until_up":
                return await self._until(int(argument))
            case "talk" | "begin":
                self._media.tell(line)
                return {}
            case "report":
                return await self._report()
            case "times":
                return await self._times(argument)
            case "hang_up":
                return await self._hang_up()
            case _:
                raise ValueError(f"the crowd knows no command '{command}'")


async def _main(host: str, program: str, frames_file: str) -> None:
    media, _process = await Media.start(program, frames_file)
    crowd = Crowd(host, media)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps({"sip_port": crowd.sip_port, "rtp_port": media.port_of(0)}), flush=True)
    while line := await reader.readline():
        print(json.dumps(await crowd.obey(line.decode().strip())), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
