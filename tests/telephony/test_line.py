"""Whole legs on real sockets: the user agent, the media process and the built-in carrier."""

import asyncio
import os
import random
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from callwright.audio import tones, wav
from callwright.audio.compare import find_tones, likeness
from callwright.callflow.events import (
    Answered,
    HungUp,
    NotAnswered,
    PlaybackFinished,
    PlaybackStarted,
    Ringing,
)
from callwright.callflow.outcome import CallStatus, HungUpBy
from callwright.errors import ErrorCode, TelephonyError
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier, Heard, Login
from callwright.simulator.loopback import LoopbackLine, own_host, prompt_of, unused_port, unused_ports
from callwright.sip.transactions.timers import Timers
from callwright.telemetry.clock import platform_clock
from callwright.telemetry.trace import Trace
from callwright.telephony.line import Route, TelephonySettings, reachable_host
from callwright.telephony.resolver import Known, key_of
from callwright.telephony.trunk import Trunk

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOST = own_host()

SOUND = tones.mixed((440.0, 950.0), 0.6)
USUAL = Behaviour(answer_after_seconds=0.02)
FOR_EVER = "+6512340408"


@dataclass
class Exchange:
    """One line, the carrier behind it, and what its callees heard."""

    line: LoopbackLine
    carrier: Carrier
    heard: "asyncio.Queue[Heard]"
    folder: Path

    def number(self, behaviour: Behaviour) -> str:
        """A number of its own for a callee that behaves like this."""
        number = f"+6591{random.randrange(10**6):06}"
        self.carrier.behave(number, behaviour)
        return number


@asynccontextmanager
async def exchange_with(
    folder: Path, *, login: Login | None = None, username: str = "", password: str = "", pairs: int = 64
) -> AsyncIterator[Exchange]:
    clock = platform_clock()
    heard: asyncio.Queue[Heard] = asyncio.Queue()
    carrier = Carrier(HOST, 0, clock, heard_folder=folder, heard=heard.put_nowait, usual=USUAL, login=login)
    async with AsyncExitStack() as cleanup:
        await carrier.start()
        cleanup.push_async_callback(carrier.stop)
        trunk = Trunk("loop", *carrier.address, username=username, password=password, built_in=True)
        line = LoopbackLine(TelephonySettings(HOST, 0, unused_ports(pairs, HOST), (trunk,)), clock)
        await line.telephony.start()
        cleanup.push_async_callback(line.telephony.stop)
        yield Exchange(line, carrier, heard, folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exchange(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Exchange]:
    async with exchange_with(tmp_path_factory.mktemp("heard")) as made:
        yield made


# --- calls that are answered -----------------------------------------------------------------------------------------


async def test_the_callee_hears_the_prompt(exchange: Exchange) -> None:
    line, number = exchange.line, exchange.number(USUAL)
    leg = line.dial(number, session_id="story-of-one-call")
    assert (await line.until(leg, Answered)).codec == "PCMU"
    line.telephony.play(leg, "p1", prompt_of(SOUND, "sound", exchange.folder), 2)
    await line.until(leg, PlaybackStarted)
    assert (await line.until(leg, PlaybackFinished)).completed
    line.telephony.hang_up(leg)
    end = await line.until(leg, HungUp)
    assert end.by is HungUpBy.US
    assert end.quality is not None
    assert end.quality.mos > 4.0

    while (heard := await exchange.heard.get()).session_id != "story-of-one-call":
        pass
    assert heard.path == exchange.folder / "story-of-one-call.wav"
    sound = wav.parse(heard.path.read_bytes()).samples
    assert sorted(find_tones(sound, most=2)) == [pytest.approx(440, abs=2), pytest.approx(950, abs=2)]
    for repetition in range(2):
        like = likeness(sound[repetition * len(SOUND) :], SOUND)
        assert like.correlation > 0.99
        assert like.missing_ms == 0

    assert line.ladder(leg) == [
        "→ INVITE",
        "← 100 INVITE",
        "← 180 INVITE",
        "← 200 INVITE",
        "→ ACK",
        "→ BYE",
        "← 200 BYE",
    ]
    [trunk] = line.entries(leg, "telephony.trunk")
    assert (trunk.fields["trunk"], trunk.fields["codecs"]) == ("loop", "PCMU PCMA")
    [media] = line.entries(leg, "telephony.media")
    assert (media.fields["codec"], media.fields["direction"]) == ("PCMU", "sendrecv")
    [report] = line.entries(leg, "rtp.report")
    sent, received = report.fields["sent"], report.fields["received"]
    assert isinstance(sent, int)
    assert isinstance(received, int)
    assert sent > 30  # of 60 frames at least: a busy machine skips some
    assert received > 20
    invite = str(line.entries(leg, "sip.sent")[0].fields["text"])
    assert "\r\nX-Callwright-Session-Id: story-of-one-call\r\n" in invite
    assert "m=audio" in invite


async def test_the_callee_chooses_the_codec(exchange: Exchange) -> None:
    line = exchange.line
    leg = line.dial(exchange.number(Behaviour(answer_after_seconds=0.0, codecs=("PCMA",))))
    assert (await line.until(leg, Answered)).codec == "PCMA"
    line.telephony.hang_up(leg)
    await line.until(leg, HungUp)


async def test_early_media_is_ringing_that_can_be_heard(exchange: Exchange) -> None:
    line = exchange.line
    leg = line.dial(exchange.number(Behaviour(answer_after_seconds=0.3, early_media=True)))
    assert (await line.until(leg, Ringing)).early_media
    await line.until(leg, Answered)
    line.telephony.hang_up(leg)
    await line.until(leg, HungUp)
    assert "← 183 INVITE" in line.ladder(leg)
    assert len(line.entries(leg, "telephony.media")) == 1  # the answer said what the 183 had said


async def test_a_callee_that_does_not_ring_answers_all_the_same(exchange: Exchange) -> None:
    line = exchange.line
    leg = line.dial(exchange.number(Behaviour(ring_after_seconds=None, answer_after_seconds=0.0)))
    await line.until(leg, Answered)
    line.telephony.hang_up(leg)
    await line.until(leg, HungUp)
    assert not any(isinstance(event, Ringing) for event in line.events[leg])


async def test_the_callee_may_hang_up_in_the_middle_of_the_message(exchange: Exchange) -> None:
    line = exchange.line
    leg = line.dial(exchange.number(Behaviour(answer_after_seconds=0.0, hang_up_after_answer_seconds=0.3)))
    await line.until(leg, Answered)
    line.telephony.play(leg, "long", prompt_of(tones.sine(440.0, 30.0), "long", exchange.folder), 1)
    assert (await line.until(leg, HungUp)).by is HungUpBy.THEM
    assert "← BYE" in line.ladder(leg)
    assert not any(isinstance(event, PlaybackFinished) and event.completed for event in line.events[leg])


async def test_a_playback_can_be_cut_short(exchange: Exchange) -> None:
    line = exchange.line
    leg = line.dial(exchange.number(USUAL))
    await line.until(leg, Answered)
    line.telephony.play(leg, "long", prompt_of(tones.sine(440.0, 30.0), "cut", exchange.folder), 1)
    await line.until(leg, PlaybackStarted)
    line.telephony.stop_playback(leg, "long")
    line.telephony.stop_playback(leg, "unknown")
    assert not (await line.until(leg, PlaybackFinished)).completed
    line.telephony.hang_up(leg)
    await line.until(leg, HungUp)


async def test_a_prompt_without_the_codec_is_not_played_and_says_so(exchange: Exchange) -> None:
    line = exchange.line
    leg = line.dial(exchange.number(USUAL))
    await line.until(leg, Answered)
    prompt = prompt_of(SOUND, "lame", exchange.folder)
    line.telephony.play(leg, "p", type(prompt)(prompt.key, 0.6, {"PCMA": prompt.paths["PCMA"]}), 1)
    assert not (await line.until(leg, PlaybackFinished)).completed
    assert "PCMU" in str(line.entries(leg, "rtp.playback_cut")[0].fields["reason"])
    line.telephony.hang_up(leg)
    await line.until(leg, HungUp)


async def test_lost_packets_cost_the_callee_sound_and_show_in_the_report(exchange: Exchange) -> None:
    line = exchange.line
    leg = line.dial(exchange.number(Behaviour(answer_after_seconds=0.0, drop_rate=0.3, seed=1)), "lossy-call")
    await line.until(leg, Answered)
    line.telephony.play(leg, "p", prompt_of(tones.sine(440.0, 1.2), "lossy", exchange.folder), 1)
    await line.until(leg, PlaybackFinished)
    line.telephony.hang_up(leg)
    await line.until(leg, HungUp)
    while (heard := await exchange.heard.get()).session_id != "lossy-call":
        pass
    assert 30 < heard.packets < 55  # of 60
    loss_rate = line.entries(leg, "rtp.report")[0].fields["remote_loss_rate"]
    assert isinstance(loss_rate, float)
    assert 0.1 < loss_rate < 0.6


# --- calls that are not ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sip_code", "status"),
    [
        (486, CallStatus.BUSY),
        (600, CallStatus.BUSY),
        (480, CallStatus.NO_ANSWER),
        (408, CallStatus.NO_ANSWER),
        (404, CallStatus.FAILED),
        (484, CallStatus.FAILED),
        (503, CallStatus.FAILED),
        (603, CallStatus.FAILED),
    ],
)
async def test_a_refusal_becomes_its_status(exchange: Exchange, sip_code: int, status: CallStatus) -> None:
    line = exchange.line
    leg = line.dial(exchange.number(Behaviour(answer_after_seconds=0.0, reject_status=sip_code)))
    end = await line.until(leg, NotAnswered)
    assert (end.status, end.sip_code, end.error) == (status, sip_code, None)
    assert end.reason
    assert line.ladder(leg)[-2:] == [f"← {sip_code} INVITE", "→ ACK"]
    assert not line.entries(leg, "rtp.report")


async def test_nobody_answers_and_we_give_up(exchange: Exchange) -> None:
    line = exchange.line
    leg = line.dial(FOR_EVER)
    await line.until(leg, Ringing)
    for _ in range(3):
        line.telephony.hang_up(leg)
    end = await line.until(leg, NotAnswered)
    assert (end.status, end.sip_code) == (CallStatus.CANCELED, 487)
    assert line.ladder(leg).count("→ CANCEL") == 1
    assert line.ladder(leg)[-2:] == ["← 487 INVITE", "→ ACK"]


async def test_a_leg_that_is_hung_up_at_once_is_never_dialled(exchange: Exchange) -> None:
    line, before = exchange.line, exchange.carrier.calls_taken
    leg = line.dial(FOR_EVER)
    line.telephony.hang_up(leg)
    end = await line.until(leg, NotAnswered)
    assert (end.status, end.sip_code) == (CallStatus.CANCELED, None)
    assert line.ladder(leg) == []
    assert exchange.carrier.calls_taken == before


async def test_hanging_up_what_is_over_or_unknown_is_nothing(exchange: Exchange) -> None:
    line = exchange.line
    leg = line.dial(exchange.number(Behaviour(answer_after_seconds=0.0, reject_status=486)))
    await line.until(leg, NotAnswered)
    before = list(line.events[leg])
    line.telephony.hang_up(leg)
    line.telephony.hang_up("nobody")
    line.telephony.play(leg, "p", prompt_of(SOUND, "nobody", exchange.folder), 1)
    line.telephony.stop_playback(leg, "p")
    await asyncio.sleep(0)
    assert line.events[leg] == before


async def test_a_leg_is_dialled_once(exchange: Exchange) -> None:
    line = exchange.line
    leg = line.dial(FOR_EVER)
    with pytest.raises(ValueError, match="dialled already"):
        line.telephony.dial(leg, "+6531350000", FOR_EVER, line.telephony.route(FOR_EVER, "+6531350000"), Trace("other"))
    line.telephony.hang_up(leg)
    await line.until(leg, NotAnswered)


async def test_every_leg_ends_exactly_once_whatever_happens_to_it(exchange: Exchange) -> None:
    line, chance = exchange.line, random.Random(5)
    behaviours = [
        USUAL,
        Behaviour(answer_after_seconds=None),
        Behaviour(answer_after_seconds=0.1, hang_up_after_answer_seconds=0.05),
        Behaviour(answer_after_seconds=0.05, reject_status=486),
        Behaviour(ring_after_seconds=None, answer_after_seconds=0.0),
    ]
    legs = [line.dial(exchange.number(behaviour)) for behaviour in behaviours * 8]
    loop = asyncio.get_running_loop()
    for leg in legs:
        for _ in range(2):
            loop.call_later(chance.uniform(0.0, 0.3), line.telephony.hang_up, leg)
    for leg in legs:
        await line.ending(leg)
    await asyncio.sleep(0.05)  # a second ending would be here soon
    for leg in legs:
        kinds = [type(event) for event in line.events[leg]]
        assert kinds[-1] in (HungUp, NotAnswered)
        assert kinds.count(HungUp) + kinds.count(NotAnswered) == 1
        assert (HungUp in kinds) == (Answered in kinds)
    assert line.telephony.legs == 0


# --- trunks ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def line_over(
    *trunks: Trunk, timers: Timers | None = None, stop_limit: float = 4.0
) -> AsyncIterator[LoopbackLine]:
    settings = TelephonySettings(
        HOST, 0, unused_ports(4, HOST), trunks, timers=timers or Timers(), stop_limit_seconds=stop_limit
    )
    line = LoopbackLine(settings, platform_clock())
    await line.telephony.start()
    try:
        yield line
    finally:
        await line.telephony.stop()


async def test_a_trunk_where_nobody_listens_fails_at_once_and_is_named() -> None:
    async with line_over(Trunk("dead", HOST, unused_port(HOST))) as line:
        leg = line.dial("+6512345678")
        end = await line.until(leg, NotAnswered)
    assert (end.status, end.sip_code) == (CallStatus.FAILED, 503)
    assert "trunk dead does not answer" in end.reason
    assert line.ladder(leg) == ["→ INVITE"]  # not repeated: the error came before T1


async def test_a_trunk_that_says_nothing_is_a_failure_and_not_a_phone_that_rings() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind((HOST, 0))
        async with line_over(Trunk("mute", *mute.getsockname()), timers=Timers(t1=0.004)) as line:
            end = await line.until(line.dial("+6512345678"), NotAnswered)
    assert (end.status, end.sip_code) == (CallStatus.FAILED, 408)
    assert "trunk mute does not answer" in end.reason


async def test_a_dead_address_of_a_trunk_is_passed_over(exchange: Exchange) -> None:
    trunk = Trunk("two", HOST, exchange.carrier.address[1])
    async with line_over(trunk) as line:
        dead = (HOST, unused_port(HOST))
        addresses = (dead, exchange.carrier.address)
        line.telephony._trunking._resolver._known[key_of(trunk)] = Known(addresses, platform_clock()() + 60)
        leg = line.dial(exchange.number(USUAL))
        await line.until(leg, Answered)
        peers = [str(entry.fields["peer"]) for entry in line.entries(leg, "sip.sent")]
        assert peers[0] == f"{HOST}:{dead[1]}"
        assert len(line.entries(leg, "telephony.trunk")) == 2


async def test_a_trunk_whose_name_is_not_resolved_is_an_error_of_ours() -> None:
    async with line_over(Trunk("nameless", "x" * 64 + ".invalid")) as line:
        assert line.telephony.ready  # the name may be there later
        end = await line.until(line.dial("+6512345678"), NotAnswered)
    assert (end.status, end.sip_code, end.error) == (CallStatus.ERROR, None, ErrorCode.CONNECTIVITY)
    assert "nameless" in end.reason


async def test_without_a_trunk_there_is_no_route() -> None:
    async with line_over() as line:
        with pytest.raises(TelephonyError, match="--trunk"):
            line.telephony.route("+6512345678", "+6531350000")


async def test_without_a_free_port_a_leg_is_an_error_of_ours(tmp_path: Path) -> None:
    async with exchange_with(tmp_path, pairs=1) as exchange:
        first = exchange.line.dial(FOR_EVER)
        await exchange.line.until(first, Ringing)
        end = await exchange.line.until(exchange.line.dial(FOR_EVER), NotAnswered)
        assert (end.status, end.error) == (CallStatus.ERROR, ErrorCode.TRUNK_CAPACITY)
        exchange.line.telephony.hang_up(first)
        await exchange.line.until(first, NotAnswered)


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_a_trunk_that_wants_a_password_gets_proof_of_it(tmp_path: Path, algorithm: str) -> None:
    login = Login("example.com", "us", "s3cret-of-ours", algorithm)
    async with exchange_with(tmp_path, login=login, username="us", password="s3cret-of-ours") as exchange:
        line = exchange.line
        leg = line.dial(exchange.number(USUAL))
        await line.until(leg, Answered)
        line.telephony.hang_up(leg)
        await line.until(leg, HungUp)
    assert line.ladder(leg)[:4] == ["→ INVITE", "← 100 INVITE", "← 407 INVITE", "→ ACK"]
    proof = str(line.entries(leg, "sip.sent")[2].fields["text"])
    assert "Proxy-Authorization: (not recorded)" in proof
    assert "s3cret" not in str(line.traces[leg].entries)
    assert "response=" not in str(line.traces[leg].entries)


@pytest.mark.parametrize(("username", "password"), [("us", "wrong"), ("", "")])
async def test_a_wrong_password_is_a_failure(tmp_path: Path, username: str, password: str) -> None:
    login = Login("example.com", "us", "right")
    async with exchange_with(tmp_path, login=login, username=username, password=password) as exchange:
        end = await exchange.line.until(exchange.line.dial(exchange.number(USUAL)), NotAnswered)
        assert (end.status, end.sip_code) == (CallStatus.FAILED, 407)
        assert exchange.carrier.calls_taken == 0


# --- the platform's own bad days -------------------------------------------------------------------------------------


async def test_a_killed_media_process_ends_its_legs_and_comes_back(tmp_path: Path) -> None:
    async with exchange_with(tmp_path) as exchange:
        line = exchange.line
        up, ringing = line.dial(exchange.number(USUAL)), line.dial(FOR_EVER)
        await line.until(up, Answered)
        await line.until(ringing, Ringing)
        pid = line.telephony._media.pids[0]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        end = await line.until(up, HungUp)
        assert end.by is HungUpBy.NETWORK
        assert "SIGKILL" in end.reason
        assert (await line.until(ringing, NotAnswered)).status is CallStatus.FAILED
        assert "→ BYE" in line.ladder(up)
        assert "→ CANCEL" in line.ladder(ringing)
        while not line.telephony.ready:  # noqa: ASYNC110  readiness is a property that probes ask for
            await asyncio.sleep(0.01)
        after = line.dial(exchange.number(USUAL))
        await line.until(after, Answered)


async def test_stopping_hangs_up_what_is_left(tmp_path: Path) -> None:
    async with exchange_with(tmp_path) as exchange:
        line = exchange.line
        up, ringing, new = line.dial(exchange.number(USUAL)), line.dial(FOR_EVER), line.dial(FOR_EVER)
        await line.until(up, Answered)
        await line.until(ringing, Ringing)
        await line.until(new, Ringing)
        await line.telephony.stop()
        assert (await line.until(up, HungUp)).by is HungUpBy.US
        assert (await line.until(ringing, NotAnswered)).status is CallStatus.CANCELED
        assert line.telephony.legs == 0
        assert not line.telephony.ready
        await line.telephony.stop()


async def test_stopping_does_not_wait_for_ever_for_a_peer_that_went_silent(tmp_path: Path) -> None:
    carrier = Carrier(HOST, 0, platform_clock(), heard_folder=tmp_path, usual=USUAL, stop_limit_seconds=0)
    await carrier.start()
    async with line_over(Trunk("mute", *carrier.address), stop_limit=0.1) as line:
        leg = line.dial("+6512345678")
        await line.until(leg, Answered)
        port = carrier.address[1]
        assert carrier._signalling is not None
        carrier._signalling.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
            mute.bind((HOST, port))
            await line.telephony.stop()
        assert (await line.until(leg, HungUp)).by is HungUpBy.US
    await carrier.stop()


async def test_a_taken_sip_port_names_the_flag(exchange: Exchange) -> None:
    host, port = exchange.carrier.address
    line = LoopbackLine(TelephonySettings(host, port, unused_ports(1, HOST), ()), platform_clock())
    with pytest.raises(TelephonyError, match=rf"{port}.*--sip, CALLWRIGHT_SIP"):
        await line.telephony.start()
    assert not line.telephony.ready


async def test_rtp_ports_that_hold_no_pair_leave_nothing_open() -> None:
    sip_port = unused_port(HOST)
    line = LoopbackLine(TelephonySettings(HOST, sip_port, range(20_001, 20_002), ()), platform_clock())
    with pytest.raises(TelephonyError, match="--rtp-ports"):
        await line.telephony.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((HOST, sip_port))


async def test_only_trunks_are_answered_and_nobody_gets_through(exchange: Exchange) -> None:
    ours = exchange.line.telephony.address
    refusal, options = await asyncio.gather(
        ask(ours, HOST, "INVITE"),
        ask(ours, HOST, "OPTIONS"),
    )
    assert refusal.startswith("SIP/2.0 403 ")
    assert options.startswith("SIP/2.0 200 ")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.2", 0))
        for method in ("INVITE", "OPTIONS", "REGISTER"):
            stranger.sendto(request_of(method, stranger), ours)
        await ask(ours, HOST, "OPTIONS")  # answered after the stranger's were read
        stranger.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            stranger.recv(2048)


def request_of(method: str, udp: socket.socket) -> bytes:
    host, port = udp.getsockname()
    lines = [
        f"{method} sip:callwright@{HOST} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{method}{port};rport",
        "Max-Forwards: 70",
        "From: <sip:somebody@example.com>;tag=1",
        "To: <sip:callwright@example.com>",
        f"Call-ID: {method}-{port}",
        f"CSeq: 1 {method}",
        f"Contact: <sip:somebody@{host}:{port}>",
        "Content-Length: 0",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def ask(peer: tuple[str, int], source: str, method: str) -> str:
    """The final answer to a request from an address."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.0)
        udp.bind((source, 0))
        await loop.sock_sendto(udp, request_of(method, udp), peer)
        while True:
            answer = (await loop.sock_recv(udp, 4096)).decode()
            if not answer.startswith("SIP/2.0 1"):
                return answer


@pytest.mark.parametrize(
    ("bound", "trunks", "reachable"),
    [
        ("127.0.0.1", (), "127.0.0.1"),
        ("2001:db8::7", (), "2001:db8::7"),
        ("0.0.0.0", (Trunk("t", "127.0.0.1"),), "127.0.0.1"),
        ("::", (Trunk("t", "::1"),), "::1"),
    ],
)
async def test_peers_are_told_an_address_that_leads_to_us(
    bound: str, trunks: tuple[Trunk, ...], reachable: str
) -> None:
    assert reachable_host(bound, trunks) == reachable


async def test_a_call_over_a_trunk_that_went_meanwhile_is_not_dialled(exchange: Exchange) -> None:
    line = exchange.line
    line.traces["leg-x"] = Trace("x")
    line.telephony.dial("leg-x", "+6531350000", "+6512345678", Route("gone", "call-x"), line.traces["leg-x"])
    end = await line.until("leg-x", NotAnswered)
    assert (end.status, end.error) == (CallStatus.ERROR, ErrorCode.CONNECTIVITY)
    assert end.reason == "trunk gone was taken away"
