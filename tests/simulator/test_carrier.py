"""The built-in carrier as a caller sees it: a plain user agent on real sockets dials into it."""

import asyncio
import itertools
import socket
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.hearing import tone_ms

from callwright.audio import g711, tones
from callwright.audio.compare import find_tones
from callwright.errors import TelephonyError
from callwright.rtp import packet as rtp
from callwright.simulator.behaviour import Behaviour, Press
from callwright.simulator.carrier import Carrier, Heard, Login
from callwright.sip import outputs, sdp
from callwright.sip.address import NameAddr, SipUri
from callwright.sip.agent import UserAgent
from callwright.sip.digest import Credentials
from callwright.sip.negotiation import make_offer, read_answer
from callwright.sip.outputs import Address, Output
from callwright.sip.profile import AgentProfile
from callwright.telemetry.clock import platform_clock
from callwright.telephony.signalling import Signalling, bind_sip, sip_token
from callwright.telephony.trunk import SESSION_HEADER

AT_ONCE = Behaviour(answer_after_seconds=0.0)


class Caller:
    """Dials, and keeps what became of it."""

    def __init__(self, carrier: Address) -> None:
        udp = bind_sip("127.0.0.1", 0)
        self.rtp_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp_socket.bind(("127.0.0.1", 0))
        self.rtp_socket.settimeout(0.0)
        self.clock = platform_clock()
        self.agent = UserAgent(AgentProfile("127.0.0.1", udp.getsockname()[1]), sip_token)
        self.signalling = Signalling(udp, self.agent, self.clock, self)
        self.told_so_far: list[Output] = []
        self._carrier = carrier
        self._news = asyncio.Event()
        self._calls = itertools.count(1)
        self.offer = make_offer("127.0.0.1", self.rtp_socket.getsockname()[1], session_id=1, version=1)

    def close(self) -> None:
        self.signalling.close()
        self.rtp_socket.close()

    def told(self, output: Output) -> None:
        self.told_so_far.append(output)
        self._news.set()

    def recorded(self, call_id: str, data: bytes, peer: Address, *, sent: bool) -> None:
        pass

    def dial(
        self, number: str, session_id: str = "", offer: bytes | None = None, credentials: Credentials | None = None
    ) -> str:
        call_id = f"call-{next(self._calls)}"
        callee = SipUri("127.0.0.1", number, self._carrier[1])
        wishes = self.agent.invite(
            self.clock(),
            call_id,
            target=callee,
            next_hop=self._carrier,
            from_=NameAddr("sip:caller@127.0.0.1"),
            to=NameAddr(str(callee)),
            offer=sdp.serialize(self.offer) if offer is None else offer,
            extra_headers=[(SESSION_HEADER, session_id)] if session_id else [],
            credentials=credentials,
        )
        self.signalling.carry(wishes)
        return call_id

    def hang_up(self, call_id: str) -> None:
        self.signalling.carry(self.agent.hang_up(self.clock(), call_id))

    async def answered(self, call_id: str) -> Address:
        """Where the callee listens."""
        output = await self.until(call_id, outputs.CallAnswered)
        assert isinstance(output, outputs.CallAnswered)
        agreed = read_answer(self.offer, sdp.parse(output.sdp))
        return agreed.host, agreed.port

    async def until(self, call_id: str, *kinds: type[Output]) -> Output:
        while True:
            for output in self.told_so_far:
                if isinstance(output, kinds) and output.call_id == call_id:
                    return output
            self._news.clear()
            await self._news.wait()

    def say(self, samples: g711.Samples, to: Address) -> None:
        for index in range(len(samples) // 160):
            codes = g711.encode("PCMU", samples[160 * index : 160 * index + 160])
            self.rtp_socket.sendto(rtp.serialize(rtp.RtpPacket(0, index, 160 * index, 5, codes)), to)


@asynccontextmanager
async def carrier_and_caller(
    folder: Path | None = None, usual: Behaviour = AT_ONCE, login: Login | None = None
) -> AsyncIterator[tuple[Carrier, Caller, "asyncio.Queue[Heard]"]]:
    heard: asyncio.Queue[Heard] = asyncio.Queue()
    carrier = Carrier(
        "127.0.0.1", 0, platform_clock(), heard_folder=folder, heard=heard.put_nowait, usual=usual, login=login
    )
    async with AsyncExitStack() as cleanup:
        await carrier.start()
        cleanup.push_async_callback(carrier.stop)
        caller = Caller(carrier.address)
        cleanup.callback(caller.close)
        yield carrier, caller, heard


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  the carrier has no event for each packet, and needs none
        await asyncio.sleep(0.005)


def packets_heard(carrier: Carrier, call_id: str) -> int:
    return carrier._phones[call_id].handset.packets_heard


async def test_what_a_callee_hears_is_written_under_the_session(tmp_path: Path) -> None:
    async with carrier_and_caller(tmp_path / "heard") as (carrier, caller, heard):
        call = caller.dial("+6512345678", session_id="3c0e2d9e-8d5e-4b59-9f3b-0a8f54a7f6cb")
        caller.say(tones.sine(440.0, 0.5), await caller.answered(call))
        await until(lambda: packets_heard(carrier, call) == 25)
        caller.hang_up(call)
        told = await heard.get()
    assert told.session_id == "3c0e2d9e-8d5e-4b59-9f3b-0a8f54a7f6cb"
    assert told.path == tmp_path / "heard" / "3c0e2d9e-8d5e-4b59-9f3b-0a8f54a7f6cb.wav"
    assert (told.number, told.packets, told.seconds) == ("+6512345678", 25, 0.5)
    with wave.open(str(told.path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    assert find_tones(samples, most=1) == [pytest.approx(440.0, abs=2.0)]


@pytest.mark.parametrize("session_id", ["../../outside", "/etc/outside", ".hidden", "a\x00b", "x" * 65, ""])
async def test_a_session_id_cannot_leave_the_folder(tmp_path: Path, session_id: str) -> None:
    folder = tmp_path / "heard"
    async with carrier_and_caller(folder) as (_, caller, heard):
        call = caller.dial("+6512345678", session_id=session_id)
        await caller.answered(call)
        caller.hang_up(call)
        told = await heard.get()
    assert told.path is not None
    assert told.path.parent == folder
    assert {path.relative_to(tmp_path).parts for path in tmp_path.rglob("*")} == {("heard",), ("heard", told.path.name)}  # noqa: ASYNC240  nothing else runs here


async def test_a_file_that_cannot_be_written_is_told_without_a_path(tmp_path: Path) -> None:
    (tmp_path / "heard").write_text("a file where the folder should be")
    async with carrier_and_caller(tmp_path / "heard") as (_, caller, heard):
        call = caller.dial("+6512345678")
        await caller.answered(call)
        caller.hang_up(call)
        assert (await heard.get()).path is None


@pytest.mark.parametrize(
    ("number", "status"), [("+6591230486", 486), ("+6591230480", 480), ("+6591230404", 404), ("+6591230603", 603)]
)
async def test_a_number_chooses_its_ending(number: str, status: int) -> None:
    async with carrier_and_caller() as (carrier, caller, heard):
        call = caller.dial(number)
        failed = await caller.until(call, outputs.CallFailed)
        assert isinstance(failed, outputs.CallFailed)
        assert (failed.status, failed.locally_generated) == (status, False)
        assert carrier.calls == ()
        assert heard.empty()


async def test_a_number_may_ring_for_ever() -> None:
    async with carrier_and_caller() as (carrier, caller, heard):
        call = caller.dial("+6591230408")
        await caller.until(call, outputs.CallRinging)
        caller.hang_up(call)
        failed = await caller.until(call, outputs.CallFailed)
        assert isinstance(failed, outputs.CallFailed)
        assert failed.status == 487
        await until(lambda: carrier.calls == ())
        assert heard.empty()


async def test_a_test_says_what_a_number_does() -> None:
    async with carrier_and_caller() as (carrier, caller, _):
        carrier.behave("+6512345678", Behaviour(answer_after_seconds=0.0, reject_status=418))
        call = caller.dial("+6512345678")
        failed = await caller.until(call, outputs.CallFailed)
        assert isinstance(failed, outputs.CallFailed)
        assert failed.status == 418


async def test_before_the_answer_the_network_plays_a_ringing_tone() -> None:
    async with carrier_and_caller(usual=Behaviour(answer_after_seconds=None, early_media=True)) as (_, caller, _):
        call = caller.dial("+6512345678")
        ringing = await caller.until(call, outputs.CallRinging)
        assert isinstance(ringing, outputs.CallRinging)
        assert ringing.status == 183
        assert ringing.sdp is not None
        loop = asyncio.get_running_loop()
        codes = [rtp.parse(await loop.sock_recv(caller.rtp_socket, 2048)).payload for _ in range(15)]
        tone = g711.decode("PCMU", b"".join(codes))
        assert tone_ms(tone, 425.0) == 300  # frame by frame: a busy machine leaves some out


async def test_a_callee_hangs_up_by_script_and_by_hand() -> None:
    async with carrier_and_caller() as (carrier, caller, heard):
        carrier.behave("+651", Behaviour(answer_after_seconds=0.0, hang_up_after_answer_seconds=0.02))
        by_script, by_hand = caller.dial("+651"), caller.dial("+652")
        await caller.answered(by_hand)
        carrier.hang_up(by_hand)
        for call in (by_script, by_hand):
            ended = await caller.until(call, outputs.CallEnded)
            assert isinstance(ended, outputs.CallEnded)
            assert ended.by_peer
            await heard.get()
        carrier.hang_up(by_hand)  # once more is nothing


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_a_caller_proves_its_password(algorithm: str) -> None:
    async with carrier_and_caller(login=Login("example.com", "us", "right", algorithm)) as (carrier, caller, _):
        wrong = caller.dial("+6512345678", credentials=Credentials("us", "wrong"))
        nobody = caller.dial("+6512345678")
        right = caller.dial("+6512345678", credentials=Credentials("us", "right"))
        await caller.answered(right)
        for call in (wrong, nobody):
            failed = await caller.until(call, outputs.CallFailed)
            assert isinstance(failed, outputs.CallFailed)
            assert failed.status == 407
        assert carrier.calls_taken == 1


async def test_an_offer_without_a_codec_in_common_is_refused() -> None:
    video = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 4000 RTP/AVP 99\r\n"
    async with carrier_and_caller() as (carrier, caller, _):
        for offer in (video, b"nothing of the kind"):
            call = caller.dial("+6512345678", offer=offer)
            failed = await caller.until(call, outputs.CallFailed)
            assert isinstance(failed, outputs.CallFailed)
            assert failed.status == 488
            assert failed.headers is not None
            assert str(failed.headers.get("Warning")).startswith("399 callwright ")
        assert carrier.calls == ()


async def test_a_caller_may_change_the_call() -> None:
    async with carrier_and_caller() as (_, caller, _):
        call = caller.dial("+6512345678")
        await caller.answered(call)
        held = make_offer(
            "127.0.0.1", caller.rtp_socket.getsockname()[1], session_id=1, version=2, direction="sendonly"
        )
        caller.signalling.carry(caller.agent.change(caller.clock(), call, sdp.serialize(held)))
        confirmed = await caller.until(call, outputs.ChangeConfirmed)
        assert isinstance(confirmed, outputs.ChangeConfirmed)
        assert b"a=recvonly" in confirmed.sdp


async def test_stopping_hangs_up_and_writes_what_was_heard(tmp_path: Path) -> None:
    async with carrier_and_caller(tmp_path) as (carrier, caller, heard):
        up, ringing = caller.dial("+651", session_id="up"), caller.dial("+6591230408")
        await caller.answered(up)
        await caller.until(ringing, outputs.CallRinging)
        await carrier.stop()
        assert heard.get_nowait().path == tmp_path / "up.wav"
        assert isinstance(await caller.until(up, outputs.CallEnded), outputs.CallEnded)
        failed = await caller.until(ringing, outputs.CallFailed)
        assert isinstance(failed, outputs.CallFailed)
        assert failed.status == 603
        await carrier.stop()


async def test_a_hundred_callees_at_a_time(tmp_path: Path) -> None:
    async with carrier_and_caller(tmp_path) as (carrier, caller, heard):
        calls = [caller.dial(f"+65{number:04}5678", session_id=f"call-{number}") for number in range(100)]
        for call in calls:
            caller.say(tones.sine(440.0, 0.04), await caller.answered(call))
        assert len(carrier.calls) == 100
        await until(lambda: all(packets_heard(carrier, call) == 2 for call in calls))
        for call in calls:
            caller.hang_up(call)
        told = [await heard.get() for _ in calls]
        assert {each.session_id for each in told} == {f"call-{number}" for number in range(100)}
        assert all(each.seconds == 0.04 for each in told)
        assert carrier.calls == ()


async def test_a_taken_port_names_the_setting() -> None:
    async with carrier_and_caller() as (carrier, _, _):
        second = Carrier(*carrier.address, platform_clock(), setting="--carrier")
        with pytest.raises(TelephonyError, match="--carrier"):
            await second.start()
        await second.stop()


# --- calls that its phones place -------------------------------------------------------------------------------------


@asynccontextmanager
async def two_carriers(heard: list[Heard]) -> AsyncIterator[tuple[Carrier, Carrier]]:
    """One that calls, and one that is called."""
    async with AsyncExitStack() as cleanup:
        carriers = [Carrier("127.0.0.1", 0, platform_clock(), heard=heard.append) for _ in range(2)]
        for carrier in carriers:
            await carrier.start()
            cleanup.push_async_callback(carrier.stop)
        yield carriers[0], carriers[1]


async def test_a_phone_calls_another_and_each_hears_the_other() -> None:
    heard: list[Heard] = []
    async with two_carriers(heard) as (here, there):
        there.behave("200", Behaviour(answer_after_seconds=0.05, hang_up_after_answer_seconds=0.4))
        placed = here.call(there.address, "100", "200", Behaviour(says_hz=(700.0,)))
        assert await placed.rings()
        assert await placed.answered()
        assert placed.provisional == [180]
        ending = await placed.over()
        assert (ending.status, ending.by_peer) == (None, True)
        await until(lambda: len(heard) == 2)
    by_number = {one.number: one for one in heard}
    assert by_number.keys() == {"100", "200"}
    for one, other in (("100", "200"), ("200", "100")):
        assert by_number[one].packets >= by_number[other].packets_sent - 2 > 5


@pytest.mark.parametrize(("number", "status"), [("0486", 486), ("0503", 503)])
async def test_a_call_that_is_refused_says_with_what(number: str, status: int) -> None:
    heard: list[Heard] = []
    async with two_carriers(heard) as (here, there):
        placed = here.call(there.address, "", number)
        ending = await placed.over()
        assert (ending.status, ending.by_peer) == (status, True)
        assert not await placed.answered()
        assert heard == []


async def test_a_phone_gives_up_calling() -> None:
    async with two_carriers([]) as (here, there):
        placed = here.call(there.address, "100", "0408")
        assert await placed.rings()
        here.hang_up(placed.call_id)
        assert (await placed.over()).status == 487
        assert here.calls == ()


async def test_keys_by_hand_are_pressed_while_the_call_is_up() -> None:
    heard: list[Heard] = []
    async with two_carriers(heard) as (here, there):
        there.behave("200", AT_ONCE)
        placed = here.call(there.address, "100", "200", Behaviour(talks=False))
        assert await placed.answered()
        here.press(placed.call_id, Press(0.0, "1", hold_seconds=0.04))
        await until(lambda: packets_heard(there, there.calls[0]) == 4)
        here.press("nobody", Press(0.0, "1"))
        here.hang_up(placed.call_id)
        assert not (await placed.over()).by_peer
