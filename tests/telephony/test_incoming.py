"""Calls that come in, on real sockets: the carrier's phones call us, and odd callers that its phones never are."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
import pytest_asyncio

from callwright.audio import g711, tones, wav
from callwright.audio.compare import find_tones, likeness
from callwright.callflow.events import Answered, DigitPressed, HungUp, NotAnswered, PlaybackFinished, Ringing
from callwright.callflow.outcome import CallStatus, HungUpBy
from callwright.errors import ErrorCode
from callwright.simulator.behaviour import Behaviour, Press
from callwright.simulator.carrier import Carrier, Heard
from callwright.simulator.loopback import LoopbackLine, own_host, prompt_of, unused_ports
from callwright.sip.transactions.timers import Timers
from callwright.telemetry.clock import platform_clock
from callwright.telemetry.trace import Trace
from callwright.telephony.keys import KeyWay
from callwright.telephony.line import Telephony, TelephonySettings
from callwright.telephony.trunk import CallerIdFormat, Trunk

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOST = own_host()

CALLER, OURS = "+6590001111", "+6512345678"


@dataclass
class Exchange:
    """One line, and the carrier whose phones call it."""

    line: LoopbackLine
    carrier: Carrier
    heard: "asyncio.Queue[Heard]"
    folder: Path

    async def heard_by(self, call_id: str) -> Heard:
        while (heard := await self.heard.get()).session_id != call_id:
            pass
        return heard


@asynccontextmanager
async def exchange_with(
    folder: Path, *, pairs: int = 32, decide_seconds: float = 30.0, timers: Timers | None = None
) -> AsyncIterator[Exchange]:
    clock = platform_clock()
    heard: asyncio.Queue[Heard] = asyncio.Queue()
    carrier = Carrier(HOST, 0, clock, heard_folder=folder, heard=heard.put_nowait)
    async with AsyncExitStack() as cleanup:
        await carrier.start()
        cleanup.push_async_callback(carrier.stop)
        trunk = Trunk("loop", *carrier.address, number_format=CallerIdFormat.E164)
        settings = TelephonySettings(
            HOST, 0, unused_ports(pairs, HOST), (trunk,), decide_seconds=decide_seconds, timers=timers or Timers()
        )
        line = LoopbackLine(settings, clock)
        await line.telephony.start()
        cleanup.push_async_callback(line.telephony.stop)
        yield Exchange(line, carrier, heard, folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exchange(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Exchange]:
    async with exchange_with(tmp_path_factory.mktemp("heard")) as made:
        yield made


async def test_a_caller_is_picked_up_hears_a_prompt_and_hangs_up(exchange: Exchange) -> None:
    line, sound = exchange.line, tones.mixed((440.0, 950.0), 0.6)
    placed = exchange.carrier.call(line.telephony.address, CALLER, OURS)
    received = await line.take()
    assert (received.trunk, received.source, received.destination) == ("loop", CALLER, OURS)
    assert received.sip_call_id == placed.call_id
    leg = received.leg_id
    assert await placed.rings()
    assert placed.provisional == [180]
    assert line.events[leg] == []
    line.telephony.pick_up(leg)
    assert await placed.answered()
    assert (await line.until(leg, Answered)).codec == "PCMU"
    line.telephony.play(leg, "p", prompt_of(sound, "welcome", exchange.folder), 1)
    assert (await line.until(leg, PlaybackFinished)).completed
    exchange.carrier.hang_up(placed.call_id)
    end = await line.until(leg, HungUp)
    assert end.by is HungUpBy.THEM
    assert end.quality is not None
    heard = await exchange.heard_by(placed.call_id)
    assert heard.path is not None
    like = likeness(wav.parse(heard.path.read_bytes()).samples, sound)
    assert like.correlation > 0.99
    assert like.missing_ms == 0
    assert line.ladder(leg) == [
        "← INVITE",
        "→ 100 INVITE",
        "→ 180 INVITE",
        "→ 200 INVITE",
        "← ACK",
        "← BYE",
        "→ 200 BYE",
    ]
    assert [entry.fields["trunk"] for entry in line.entries(leg, "telephony.trunk")] == ["loop"]
    assert not any(isinstance(event, Ringing) for event in line.events[leg])


async def test_we_may_hang_up_first(exchange: Exchange) -> None:
    line = exchange.line
    placed = exchange.carrier.call(line.telephony.address, CALLER, OURS, Behaviour(codecs=("PCMA",)))
    leg = (await line.take()).leg_id
    line.telephony.pick_up(leg)
    line.telephony.pick_up(leg)
    assert (await line.until(leg, Answered)).codec == "PCMA"
    line.telephony.hang_up(leg)
    assert (await line.until(leg, HungUp)).by is HungUpBy.US
    assert (await placed.over()).by_peer


async def test_a_refused_caller_gets_the_403_that_everybody_gets(exchange: Exchange) -> None:
    line = exchange.line
    placed = exchange.carrier.call(line.telephony.address, CALLER, OURS)
    received = await line.calls.get()
    line.telephony.refuse(received.leg_id)
    ending = await placed.over()
    assert (ending.status, ending.reason) == (403, "Forbidden")
    assert line.events[received.leg_id] == []
    line.telephony.refuse(received.leg_id)
    line.telephony.pick_up(received.leg_id)


async def test_a_call_to_no_number_is_refused_and_nobody_is_asked(exchange: Exchange) -> None:
    placed = exchange.carrier.call(exchange.line.telephony.address, CALLER, "reception")
    assert (await placed.over()).status == 403
    assert exchange.line.calls.empty()


async def test_a_caller_whose_codecs_are_not_ours_is_refused_before_anybody_is_asked(exchange: Exchange) -> None:
    with RawCaller(exchange.line) as caller:
        caller.send("INVITE", sdp=caller.description().replace("RTP/AVP 0", "RTP/AVP 18"))
        assert (await caller.final()).startswith("SIP/2.0 488 ")
    assert exchange.line.calls.empty()


async def test_a_hidden_caller_has_no_number(exchange: Exchange) -> None:
    placed = exchange.carrier.call(exchange.line.telephony.address, "", OURS)
    received = await exchange.line.calls.get()
    assert received.source == ""
    exchange.line.telephony.refuse(received.leg_id)
    await placed.over()


async def test_a_caller_who_gives_up_ends_the_leg(exchange: Exchange) -> None:
    line = exchange.line
    placed = exchange.carrier.call(line.telephony.address, CALLER, OURS)
    leg = (await line.take()).leg_id
    assert await placed.rings()
    exchange.carrier.hang_up(placed.call_id)
    end = await line.until(leg, NotAnswered)
    assert (end.status, end.sip_code, end.error) == (CallStatus.CANCELED, 487, None)
    assert line.ladder(leg)[-3:] == ["← CANCEL", "→ 200 CANCEL", "→ 487 INVITE"]


async def test_a_caller_who_gave_up_before_it_was_taken_is_told_at_once(exchange: Exchange) -> None:
    line = exchange.line
    placed = exchange.carrier.call(line.telephony.address, CALLER, OURS)
    received = await line.calls.get()
    exchange.carrier.hang_up(placed.call_id)
    await placed.over()
    assert line.events[received.leg_id] == []
    line.telephony.take(received.leg_id, Trace("late"))
    end = await line.until(received.leg_id, NotAnswered)
    assert (end.status, end.sip_code) == (CallStatus.CANCELED, 487)


async def test_hanging_up_before_picking_up_says_unavailable(exchange: Exchange) -> None:
    line = exchange.line
    placed = exchange.carrier.call(line.telephony.address, CALLER, OURS)
    leg = (await line.take()).leg_id
    for _ in range(2):
        line.telephony.hang_up(leg)
    end = await line.until(leg, NotAnswered)
    assert (end.status, end.sip_code) == (CallStatus.CANCELED, 480)
    assert (await placed.over()).status == 480
    line.telephony.pick_up(leg)
    with pytest.raises(AssertionError):
        await line.until(leg, Answered)


async def test_a_leg_is_taken_once(exchange: Exchange) -> None:
    line = exchange.line
    exchange.carrier.call(line.telephony.address, CALLER, OURS)
    leg = (await line.take()).leg_id
    with pytest.raises(ValueError, match="taken"):
        line.telephony.take(leg, Trace("twice"))
    line.telephony.hang_up(leg)
    await line.until(leg, NotAnswered)


async def test_an_undecided_call_is_refused_in_the_end(tmp_path: Path) -> None:
    async with exchange_with(tmp_path, decide_seconds=0.05, pairs=2) as exchange:
        placed = exchange.carrier.call(exchange.line.telephony.address, CALLER, OURS)
        received = await exchange.line.calls.get()
        assert (await placed.over()).status == 480
        assert exchange.line.events[received.leg_id] == []
        assert exchange.line.telephony.legs == 0


async def test_a_call_that_finds_no_rtp_port_is_our_error(tmp_path: Path) -> None:
    async with exchange_with(tmp_path, pairs=1) as exchange:
        line = exchange.line
        exchange.carrier.call(line.telephony.address, CALLER, OURS)
        first = (await line.take()).leg_id
        placed = exchange.carrier.call(line.telephony.address, CALLER, OURS)
        second = (await line.take()).leg_id
        for leg in (first, second):
            line.telephony.pick_up(leg)
        await line.until(first, Answered)
        end = await line.until(second, NotAnswered)
        assert (end.status, end.error) == (CallStatus.ERROR, ErrorCode.TRUNK_CAPACITY)
        assert (await placed.over()).status == 503


async def test_without_somebody_who_wants_calls_they_are_refused(tmp_path: Path) -> None:
    async with exchange_with(tmp_path, pairs=1) as exchange:
        trunk = Trunk("loop", *exchange.carrier.address)
        settings = TelephonySettings(HOST, 0, unused_ports(1, HOST), (trunk,))
        telephony = Telephony(settings, platform_clock(), lambda _leg, _event: None)
        await telephony.start()
        try:
            placed = exchange.carrier.call(telephony.address, CALLER, OURS)
            assert (await placed.over()).status == 403
        finally:
            await telephony.stop()


async def test_stopping_turns_waiting_callers_away(tmp_path: Path) -> None:
    async with exchange_with(tmp_path, pairs=2) as exchange:
        line = exchange.line
        waiting = exchange.carrier.call(line.telephony.address, CALLER, OURS)
        await line.calls.get()
        ringing = exchange.carrier.call(line.telephony.address, CALLER, OURS)
        leg = (await line.take()).leg_id
        await line.telephony.stop()
        assert (await waiting.over()).status == 480
        assert (await ringing.over()).status == 480
        assert (await line.until(leg, NotAnswered)).status is CallStatus.CANCELED


async def test_keys_of_a_caller_are_heard(exchange: Exchange) -> None:
    line = exchange.line
    script = Behaviour(press=(Press(0.05, "1*", (KeyWay.EVENT, KeyWay.INFO)), Press(0.6, "9", (KeyWay.INFO,))))
    exchange.carrier.call(line.telephony.address, CALLER, OURS, script)
    leg = (await line.take()).leg_id
    line.telephony.pick_up(leg)
    await line.until(leg, Answered)
    pressed = [event.digit for event in await line.several(leg, DigitPressed, 3)]
    line.telephony.hang_up(leg)
    await line.until(leg, HungUp)
    assert pressed == ["1", "*", "9"]
    ways = [(entry.fields["way"], entry.fields["counts"]) for entry in line.entries(leg, "telephony.key")]
    assert sorted(ways, key=str) == [
        ("INFO", False),
        ("INFO", False),
        ("INFO", True),
        ("telephone-event", True),
        ("telephone-event", True),
    ]


# --- callers that the carrier's phones never are ---------------------------------------------------------------------


class RawCaller:
    """Writes its messages by hand, from the address of the carrier's machine."""

    def __init__(self, line: LoopbackLine) -> None:
        self._them = line.telephony.address
        self._sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sip.bind((HOST, 0))
        self._sip.settimeout(0.0)
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind((HOST, 0))
        self.rtp.settimeout(0.0)
        self._to = f"<sip:{OURS}@{HOST}>"
        self.call_id = f"raw-{self._port}"

    @property
    def _port(self) -> int:
        return int(self._sip.getsockname()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sip.close()
        self.rtp.close()

    def description(self) -> str:
        port = self.rtp.getsockname()[1]
        return (
            f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0\r\na=sendrecv\r\n"
        )

    def send(self, method: str, sdp: str = "", number: int = 1) -> None:
        lines = [
            f"{method} sip:{OURS}@{HOST} SIP/2.0",
            f"Via: SIP/2.0/UDP {HOST}:{self._port};branch=z9hG4bK{method}{number};rport",
            "Max-Forwards: 70",
            f"From: <sip:{CALLER}@{HOST}>;tag=raw",
            f"To: {self._to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:raw@{HOST}:{self._port}>",
            *(["Content-Type: application/sdp"] if sdp else []),
            f"Content-Length: {len(sdp)}",
        ]
        self._sip.sendto(("\r\n".join(lines) + "\r\n\r\n" + sdp).encode(), self._them)

    def respond_ok(self, request: str) -> None:
        """Say 200 to a request of theirs."""
        wanted = ("via:", "from:", "to:", "call-id:", "cseq:")
        lines = [line for line in request.split("\r\n") if line.lower().startswith(wanted)]
        self._sip.sendto(
            ("\r\n".join(["SIP/2.0 200 OK", *lines, "Content-Length: 0"]) + "\r\n\r\n").encode(), self._them
        )

    async def next(self) -> str:
        return (await asyncio.get_running_loop().sock_recv(self._sip, 4096)).decode()

    async def final(self, of: str = "INVITE") -> str:
        """The final answer; later requests are inside its dialog."""
        while True:
            answer = await self.next()
            if answer.startswith("SIP/2.0 1") or f" {of}\r\n" not in answer:
                continue
            found = re.search(r"\r\nTo: ([^\r]*)", answer)
            assert found is not None
            self._to = found[1]
            return answer


async def test_a_caller_without_an_offer_gets_ours(exchange: Exchange) -> None:
    line = exchange.line
    with RawCaller(line) as caller:
        caller.send("INVITE")
        leg = (await line.take()).leg_id
        line.telephony.pick_up(leg)
        answer = await caller.final()
        assert answer.startswith("SIP/2.0 200 ")
        assert "m=audio" in answer
        assert "PCMA/8000" in answer
        assert line.events[leg] == []  # nobody is heard before the ACK says where
        caller.send("ACK", caller.description())
        assert (await line.until(leg, Answered)).codec == "PCMU"
        line.telephony.play(leg, "p", prompt_of(tones.sine(700.0, 0.3), "late", exchange.folder), 1)
        packets = b""
        while len(packets) < 20 * 160:
            packets += (await asyncio.get_running_loop().sock_recv(caller.rtp, 2048))[12:]
        sound = g711.decode("PCMU", packets)
        assert find_tones(sound)[0] == pytest.approx(700, abs=4)
        caller.send("BYE", number=2)
        assert (await line.until(leg, HungUp)).by is HungUpBy.THEM


async def test_a_caller_without_an_offer_whose_answer_is_of_no_use_is_hung_up_on(exchange: Exchange) -> None:
    line = exchange.line
    with RawCaller(line) as caller:
        caller.send("INVITE")
        leg = (await line.take()).leg_id
        line.telephony.pick_up(leg)
        await caller.final()
        caller.send("ACK", caller.description().replace("RTP/AVP 0", "RTP/AVP 18"))
        while not (message := await caller.next()).startswith("BYE"):
            pass
        assert "SIP;cause=488" in message
        caller.respond_ok(message)
        end = await line.until(leg, NotAnswered)
        assert (end.status, end.sip_code) == (CallStatus.FAILED, 488)


async def test_an_answer_that_is_never_acknowledged_is_no_call(tmp_path: Path) -> None:
    async with exchange_with(tmp_path, pairs=2, timers=Timers(t1=0.004)) as exchange:
        line = exchange.line
        with RawCaller(line) as caller:
            caller.send("INVITE", caller.description())
            leg = (await line.take()).leg_id
            line.telephony.pick_up(leg)
            end = await line.until(leg, NotAnswered)
        assert (end.status, end.sip_code) == (CallStatus.FAILED, 408)
        assert "never acknowledged" in end.reason


async def test_hanging_up_before_the_ack_waits_for_it(exchange: Exchange) -> None:
    line = exchange.line
    with RawCaller(line) as caller:
        caller.send("INVITE", caller.description())
        leg = (await line.take()).leg_id
        line.telephony.pick_up(leg)
        assert (await caller.final()).startswith("SIP/2.0 200 ")
        line.telephony.hang_up(leg)
        caller.send("ACK")
        while not (message := await caller.next()).startswith("BYE"):
            pass
        caller.respond_ok(message)
        end = await line.until(leg, NotAnswered)
        assert (end.status, end.sip_code) == (CallStatus.CANCELED, 487)


async def test_a_re_invite_without_an_offer_is_answered_with_what_we_use(exchange: Exchange) -> None:
    line = exchange.line
    with RawCaller(line) as caller:
        caller.send("INVITE", caller.description())
        leg = (await line.take()).leg_id
        line.telephony.pick_up(leg)
        await caller.final()
        caller.send("ACK")
        await line.until(leg, Answered)
        caller.send("INVITE", number=2)
        assert "m=audio" in await caller.final("2 INVITE")
        caller.send("ACK", caller.description().replace("sendrecv", "sendonly"), number=2)
        while len(line.entries(leg, "telephony.media")) < 2:  # noqa: ASYNC110  a trace has no event for each entry
            await asyncio.sleep(0.01)
        assert line.entries(leg, "telephony.media")[-1].fields["direction"] == "recvonly"
        caller.send("BYE", number=3)
        assert (await line.until(leg, HungUp)).by is HungUpBy.THEM
