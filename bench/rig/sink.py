"""A cheap callee: answers every INVITE at once, counts or times what it hears, and keeps nothing of it.

A process of its own (`python -m bench.rig.sink HOST`), so that its cost is not callwright's. It speaks SIP by
callwright's user agent; all its calls share one RTP port. Three ways to listen:

counting   the RTP socket is never read; the kernel drops what does not fit and counts it (processes.udp_arrivals)
talking    as counting, and every callee sends a packet each 20 ms, as telephones do
timing     every datagram is read; the first packet of a call, and the first that is not silence, get a time

Commands are lines on standard input, answers are JSON lines on standard output:

    mode WORD        counting, talking or timing; {}
    listen NUMBER    {"invite", "answered", "rtp", "sound"} once that callee heard something; then it hangs up
    until_up N       the report once N calls are up
    report           {"answered": n, "ended": n, "up": n} since the start
    hang_up          every callee hangs up; the report when all calls are over

Times are the monotonic clock's, which all processes of a machine share.
"""

import asyncio
import contextlib
import json
import secrets
import socket
import struct
import sys
from dataclasses import dataclass, field

from callwright.sip import outputs, sdp
from callwright.sip.address import SipUri
from callwright.sip.agent import UserAgent
from callwright.sip.negotiation import make_answer
from callwright.sip.outputs import Address, Output
from callwright.sip.profile import AgentProfile
from callwright.telemetry.clock import platform_clock
from callwright.telephony.signalling import Gate, Signalling, bind_sip, sip_token

SILENCE = {0: 0xFF, 8: 0xD5}
"""RTP payload type → the code that is silence (G.711)."""
RTP_HEADER = struct.Struct("!BBHII")
HEADER_BYTES = RTP_HEADER.size
FRAME_BYTES = 160
FRAME_SECONDS = 0.020
ROOM_TONE = bytes([0xFE, 0x7E] * (FRAME_BYTES // 2))
LIMIT_SECONDS = 30.0


@dataclass(slots=True)
class Heard:
    """One call, and when things happened to it."""

    call_id: str
    number: str
    rtp_source: Address
    "where the caller's sound comes from and the callee's goes to"
    ssrc: int
    times: dict[str, float] = field(default_factory=dict)


class Sink:
    """All callees."""

    def __init__(self, host: str) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time
        self._host = host
        udp = bind_sip(host, 0)
        self.sip_port: int = udp.getsockname()[1]
        self._rtp, self._rtcp = _port_pair(host)
        self.rtp_port: int = self._rtp.getsockname()[1]
        gate = Gate(lambda _: True, datagrams_per_second=1e6)
        profile = AgentProfile(
            host, self.sip_port, user="sink", may_call=gate.may_call, within_budget=gate.within_budget
        )
        self._agent = UserAgent(profile, sip_token)
        self._clock = platform_clock()
        self._signalling = Signalling(udp, self._agent, self._clock, self)
        self._up: dict[str, Heard] = {}
        self._by_source: dict[Address, Heard] = {}
        self._answered = self._ended = 0
        self._talk_timer: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()
        "a call began or ended, or somebody heard something"

    def told(self, output: Output) -> None:
        """News of a call."""
        match output:
            case outputs.IncomingCall():
                self._answer(output)
            case outputs.CallEnded() | outputs.CallFailed():
                heard = self._up.pop(output.call_id, None)
                if heard is not None:
                    self._ended += 1
                    self._by_source.pop(heard.rtp_source, None)
                    self._news.set()

    def recorded(self, call_id: str, data: bytes, peer: Address, *, sent: bool) -> None:
        """Nothing is kept."""

    def _answer(self, call: outputs.IncomingCall) -> None:
        arrived = self._now()
        offer = sdp.parse(call.sdp or b"")
        answer, agreed = make_answer(offer, self._host, self.rtp_port, session_id=secrets.randbits(62), version=1)
        number = SipUri.parse(call.request.uri).decoded_user
        heard = Heard(call.call_id, number, (agreed.host, agreed.port), secrets.randbits(32), {"invite": arrived})
        self._up[call.call_id] = heard
        self._by_source[heard.rtp_source] = heard
        self._answered += 1
        self._news.set()
        self._signalling.carry(self._agent.answer(self._clock(), call.call_id, sdp.serialize(answer)))
        heard.times["answered"] = self._now()

    def mode(self, word: str) -> dict[str, object]:
        """`counting`, `talking` or `timing`."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._rtp)
        if self._talk_timer is not None:
            self._talk_timer.cancel()
            self._talk_timer = None
        if word == "timing":
            loop.add_reader(self._rtp, self._listen)
        elif word == "talking":
            self._talk(0, self._now())
        return {}

    def _talk(self, frame: int, began: float) -> None:
        """Send frame number `frame` of every callee, and see to the next."""
        for heard in self._up.values():
            header = RTP_HEADER.pack(0x80, 0, frame & 0xFFFF, frame * FRAME_BYTES & 0xFFFF_FFFF, heard.ssrc)
            with contextlib.suppress(OSError):  # the caller has just gone
                self._rtp.sendto(header + ROOM_TONE, heard.rtp_source)
        due = began + (frame + 1) * FRAME_SECONDS
        self._talk_timer = asyncio.get_running_loop().call_at(due, self._talk, frame + 1, began)

    def _listen(self) -> None:
        now = self._now()
        while True:
            try:
                data, source = self._rtp.recvfrom(2048)
            except BlockingIOError:
                return
            heard = self._by_source.get(source)
            if heard is None or len(data) <= HEADER_BYTES:
                continue
            heard.times.setdefault("rtp", now)
            if "sound" not in heard.times:
                silence = SILENCE.get(data[1] & 0x7F, 0)
                if data[HEADER_BYTES:].count(silence) < len(data) - HEADER_BYTES:
                    heard.times["sound"] = now
                    self._news.set()

    async def listen(self, number: str) -> dict[str, object]:
        """Wait until the callee at `number` heard something, hang up; its times."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                heard = next((heard for heard in self._up.values() if heard.number == number), None)
                if heard is not None and "sound" in heard.times:
                    break
                self._news.clear()
                await self._news.wait()
            self._signalling.carry(self._agent.hang_up(self._clock(), heard.call_id))
            while heard.call_id in self._up:
                self._news.clear()
                await self._news.wait()
        return dict(heard.times)

    async def until_up(self, calls: int) -> dict[str, object]:
        """Wait for so many calls at once."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while len(self._up) < calls:
                self._news.clear()
                await self._news.wait()
        return self.report()

    def report(self) -> dict[str, object]:
        """How many calls there were."""
        return {"answered": self._answered, "ended": self._ended, "up": len(self._up)}

    async def hang_up(self) -> dict[str, object]:
        """End all calls, and wait for it."""
        for call_id in tuple(self._up):
            self._signalling.carry(self._agent.hang_up(self._clock(), call_id))
        async with asyncio.timeout(LIMIT_SECONDS):
            while self._up:
                self._news.clear()
                await self._news.wait()
        return self.report()

    async def obey(self, line: str) -> dict[str, object]:
        """One command."""
        command, _, argument = line.partition(" ")
        match command:
            case "mode":
                return self.mode(argument)
            case "listen":
                return await self.listen(argument)
            case "until_up":
                return await self.until_up(int(argument))
            case "report":
                return self.report()
            case "hang_up":
                return await self.hang_up()
            case _:
                raise ValueError(f"the sink knows no command '{command}'")


def _port_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """RTP and RTCP sockets. RTCP is bound so that reports find somebody, and never read."""
    while True:
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        rtp.setblocking(False)  # noqa: FBT003 - the socket's own signature
        try:
            rtp.bind((host, 0))
            port = rtp.getsockname()[1]
            if port % 2 == 0:
                rtcp.bind((host, port + 1))
                return rtp, rtcp
        except OSError:
            pass
        rtp.close()
        rtcp.close()


async def _main(host: str) -> None:
    sink = Sink(host)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps({"sip_port": sink.sip_port, "rtp_port": sink.rtp_port}), flush=True)
    while line := await reader.readline():
        print(json.dumps(await sink.obey(line.decode().strip())), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
