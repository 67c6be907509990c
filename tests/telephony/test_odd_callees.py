"""Callees that do what the built-in carrier never does: bad answers, hold, keys, changes in the middle of a call."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from callwright.callflow.events import Answered, DigitPressed, HungUp, NotAnswered
from callwright.callflow.outcome import CallStatus, HungUpBy
from callwright.rtp import packet as rtp
from callwright.simulator.loopback import LoopbackLine, own_host, unused_ports
from callwright.sip import outputs, sdp
from callwright.sip.agent import UserAgent
from callwright.sip.outputs import Address, Output
from callwright.sip.profile import AgentProfile
from callwright.telemetry.clock import platform_clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.media.process import SILENCE_CHECK_SECONDS
from callwright.telephony.signalling import Signalling, bind_sip, sip_token
from callwright.telephony.trunk import Trunk

HOST = own_host()
ANSWER = """v=0
o=- 1 {version} IN IP4 127.0.0.1
s=-
c=IN IP4 {host}
t=0 0
m=audio {port} RTP/AVP {formats}
a={direction}
"""


class OddCallee:
    """Answers each call with whatever it was told to, and tells what became of it."""

    def __init__(self, answer: bytes | None = None) -> None:
        udp = bind_sip(HOST, 0)
        self.address: Address = udp.getsockname()
        self.rtp_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp_socket.bind((HOST, 0))
        self.clock = platform_clock()
        profile = AgentProfile(HOST, self.address[1], may_call=lambda _source, _request: True)
        self.agent = UserAgent(profile, sip_token)
        self.signalling = Signalling(udp, self.agent, self.clock, self)
        self.answer = self.description() if answer is None else answer
        self.told_so_far: list[Output] = []
        self.call_id = ""
        self.caller: Address = ("", 0)
        self.is_confirmed = False
        self.event_payload_type = 101
        self._news = asyncio.Event()

    def description(self, version: int = 1, **changed: object) -> bytes:
        parts: dict[str, object] = {"host": HOST, "formats": "0 101", "direction": "sendrecv"}
        parts |= {"port": self.rtp_socket.getsockname()[1], "version": version} | changed
        text = ANSWER.format(**parts)
        if "101" in str(parts["formats"]):
            text += "a=rtpmap:101 telephone-event/8000\n"
        return text.replace("\n", "\r\n").encode()

    def close(self) -> None:
        self.signalling.close()
        self.rtp_socket.close()

    def told(self, output: Output) -> None:
        self.told_so_far.append(output)
        self._news.set()
        if isinstance(output, outputs.IncomingCall):
            self.call_id = output.call_id
            assert output.sdp is not None
            offer = sdp.parse(output.sdp)
            self.caller = (HOST, offer.media[0].port)
            self.signalling.carry(self.agent.answer(self.clock(), output.call_id, self.answer))

    def recorded(self, call_id: str, data: bytes, peer: Address, *, sent: bool) -> None:
        pass

    async def change(self, description: bytes) -> None:
        """Offer something else, once the call is confirmed (before that it would be glare)."""
        if not self.is_confirmed:
            await self.until(lambda output: isinstance(output, outputs.CallConfirmed))
            self.is_confirmed = True
        self.signalling.carry(self.agent.change(self.clock(), self.call_id, description))

    async def until(self, true: Callable[[Output], bool]) -> Output:
        while True:
            for output in self.told_so_far:
                if true(output):
                    return output
            self._news.clear()
            await self._news.wait()

    def press(self, digit: int, sequence: int, *, end: bool) -> None:
        """One telephone-event packet (RFC 4733 §2.3)."""
        payload = bytes([digit, 0x8A if end else 0x0A, 0x01, 0x40])
        packet = rtp.RtpPacket(self.event_payload_type, sequence, 8_000, 99, payload, marker=not end)
        self.rtp_socket.sendto(rtp.serialize(packet), self.caller)


@asynccontextmanager
async def line_to(callee: OddCallee, **settings_of_line: float) -> AsyncIterator[LoopbackLine]:
    async with AsyncExitStack() as cleanup:
        cleanup.callback(callee.close)
        trunks = (Trunk("odd", *callee.address),)
        settings = TelephonySettings(HOST, 0, unused_ports(4, HOST), trunks, **settings_of_line)  # type: ignore[arg-type]  # the names are theirs
        line = LoopbackLine(settings, platform_clock())
        await line.telephony.start()
        cleanup.push_async_callback(line.telephony.stop)
        yield line


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"this is no session description", "does not begin with v=0"),
        ({"port": 0}, "refused"),
        ({"formats": "18"}, "none of our codecs"),
        ({"host": "media.example.com"}, "an address is needed"),
        ({"host": "0.0.0.0"}, "0.0.0.0"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_hung_up_on(answer: bytes | dict[str, object], why: str) -> None:
    callee = OddCallee()
    callee.answer = answer if isinstance(answer, bytes) else callee.description(**answer)  # type: ignore[arg-type]  # the dict's keys are the description's
    async with line_to(callee) as line:
        leg = line.dial("+6512345678")
        end = await line.until(leg, NotAnswered)
        assert (end.status, end.sip_code) == (CallStatus.FAILED, 488)
        assert why in end.reason
        ended = await callee.until(lambda output: isinstance(output, outputs.CallEnded))
        assert ended == outputs.CallEnded(callee.call_id, by_peer=True, reason="SIP;cause=488")
        assert line.ladder(leg)[-3:] == ["→ ACK", "→ BYE", "← 200 BYE"]


async def test_hold_and_its_end_are_followed() -> None:
    callee = OddCallee()
    async with line_to(callee) as line:
        leg = line.dial("+6512345678")
        await line.until(leg, Answered)
        for version, (changed, direction) in enumerate(
            [
                ({"direction": "sendonly"}, "recvonly"),
                ({"direction": "inactive"}, "inactive"),
                ({"host": "0.0.0.0"}, "recvonly"),
                ({"direction": "sendrecv"}, "sendrecv"),
            ],
            start=2,
        ):
            await callee.change(callee.description(version, **changed))
            confirmed = await callee.until(lambda output: isinstance(output, outputs.ChangeConfirmed))
            callee.told_so_far.remove(confirmed)
            assert isinstance(confirmed, outputs.ChangeConfirmed)
            assert f"a={direction}\r\n".encode() in confirmed.sdp
            assert line.entries(leg, "telephony.media")[-1].fields["direction"] == direction
        assert len(line.entries(leg, "telephony.media")) == 5


async def test_a_change_to_nothing_we_can_play_is_refused_and_the_call_goes_on() -> None:
    callee = OddCallee()
    async with line_to(callee) as line:
        leg = line.dial("+6512345678")
        await line.until(leg, Answered)
        await callee.change(callee.description(2, formats="18"))
        refused = await callee.until(lambda output: isinstance(output, outputs.ChangeRefused))
        assert isinstance(refused, outputs.ChangeRefused)
        assert refused.status == 488
        line.telephony.hang_up(leg)
        assert (await line.until(leg, HungUp)).by is HungUpBy.US


async def test_a_key_pressed_on_the_phone_arrives_once() -> None:
    callee = OddCallee()
    async with line_to(callee) as line:
        leg = line.dial("+6512345678")
        await line.until(leg, Answered)
        pressed = asyncio.create_task(line.until(leg, DigitPressed))
        for sequence in itertools.count():  # a phone repeats its press every 20 ms or so, while the key is down
            callee.press(7, sequence, end=False)
            if (await asyncio.wait({pressed}, timeout=0.005))[0]:
                break
        for _ in range(3):
            callee.press(7, sequence + 1, end=True)
        assert (await pressed).digit == "7"
        callee.signalling.carry(callee.agent.hang_up(callee.clock(), callee.call_id, 'Q.850;cause=16;text="bye"'))
        end = await line.until(leg, HungUp)
        assert end.by is HungUpBy.THEM
        assert end.reason == 'Q.850;cause=16;text="bye"'
        assert [type(event) for event in line.events[leg]].count(DigitPressed) == 1


# --- peers that are gone ----------------------------------------------------------------------------------------------


async def test_a_peer_that_is_gone_is_noticed_by_its_silence() -> None:
    callee = OddCallee()
    async with line_to(callee, silence_seconds=0.3, probe_seconds=0.4, stop_limit_seconds=0.2) as line:
        leg = line.dial("+6512345678")
        await line.until(leg, Answered)
        await callee.until(lambda output: isinstance(output, outputs.CallConfirmed))
        callee.signalling.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
            mute.bind(callee.address)  # it is there, so nobody says "unreachable", and it says nothing
            end = await line.until(leg, HungUp)
            assert end.by is HungUpBy.NETWORK
            assert line.ladder(leg)[-1] == "→ BYE"  # whose answer is not waited for


async def test_a_peer_that_only_listens_is_asked_and_stays() -> None:
    callee = OddCallee()
    async with line_to(callee, silence_seconds=0.3, probe_seconds=5.0) as line:
        leg = line.dial("+6512345678")
        await line.until(leg, Answered)
        async with asyncio.timeout(60):
            while line.ladder(leg).count("← 200 OPTIONS") < 2:  # noqa: ASYNC110 - nobody is told of an answer that is good
                await asyncio.sleep(0.01)
        assert line.telephony.legs == 1
        line.telephony.hang_up(leg)
        assert (await line.until(leg, HungUp)).by is HungUpBy.US


def test_a_peer_that_is_gone_is_noticed_within_thirty_seconds() -> None:
    usual = TelephonySettings(HOST, 0, range(2), ())
    assert usual.silence_seconds + SILENCE_CHECK_SECONDS + usual.probe_seconds <= 30.0
