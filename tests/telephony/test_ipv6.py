"""Calls over ::1: signalling by UDP, TCP and TLS, sound and keys both ways, calls in and out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from callwright.audio import tones, wav
from callwright.audio.compare import find_tones
from callwright.callflow.events import Answered, DigitPressed, HungUp, PlaybackFinished
from callwright.simulator.behaviour import Behaviour, Press
from callwright.simulator.carrier import Carrier, Heard
from callwright.simulator.loopback import LoopbackLine, prompt_of, unused_port, unused_ports
from callwright.telemetry.clock import platform_clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.signalling import Listening
from callwright.telephony.trunk import Trunk

if TYPE_CHECKING:
    from tests.telephony.conftest import Authority

NUMBER = "+6591234567"


@asynccontextmanager
async def line_over(trunk: Trunk) -> AsyncIterator[LoopbackLine]:
    line = LoopbackLine(TelephonySettings("::1", 0, unused_ports(8, "127.0.0.1"), (trunk,)), platform_clock())
    await line.telephony.start()
    try:
        yield line
    finally:
        await line.telephony.stop()


@pytest.mark.parametrize("transport", ["UDP", "TCP", "TLS"])
async def test_a_call_over_ipv6_is_heard_at_both_ends(tmp_path: Path, authority: "Authority", transport: str) -> None:
    heard: list[Heard] = []
    usual = Behaviour(ring_after_seconds=None, answer_after_seconds=0.0, says_hz=(620.0,), press=(Press(0.2, "5"),))
    tls = Listening("::1", unused_port(), authority.certify(f"six-{transport}", ["localhost", "::1"]))
    carrier = Carrier("::1", 0, platform_clock(), usual=usual, tls=tls, heard_folder=tmp_path, heard=heard.append)
    await carrier.start()
    try:
        port = tls.port if transport == "TLS" else carrier.address[1]
        trunk = Trunk("six", "[::1]", port, transport=transport, ca_file=authority.file if transport == "TLS" else "")
        async with line_over(trunk) as line:
            leg = line.dial(NUMBER)
            await line.until(leg, Answered)
            line.telephony.record(leg, "rec", tmp_path / "said.wav")
            prompt = prompt_of(tones.sine(440.0, 1.0), "tone", tmp_path)
            line.telephony.play(leg, "tone", prompt, 1)
            assert (await line.until(leg, PlaybackFinished)).completed
            assert (await line.until(leg, DigitPressed)).digit == "5"
            line.telephony.hang_up(leg)
            assert (await line.until(leg, HungUp)).quality is not None
            await line.recordings.get()
            invite = str(line.entries(leg, "sip.sent")[0].fields["text"])
            assert f"Via: SIP/2.0/{transport} [::1]:" in invite
            assert "Contact: <sip:callwright@[::1]:" in invite
            assert "c=IN IP6 ::1" in invite
            peer = str(line.entries(leg, "sip.sent")[0].fields["peer"])
            assert peer == ("" if transport == "UDP" else f"{transport} ") + f"[::1]:{port}"
    finally:
        await carrier.stop()
    assert heard[0].path is not None
    told = find_tones(wav.parse(heard[0].path.read_bytes()).samples)
    assert any(abs(tone - 440.0) < 5 for tone in told)
    said = find_tones(wav.parse((tmp_path / "said.wav").read_bytes()).samples)
    assert any(abs(tone - 620.0) < 5 for tone in said)


async def test_a_caller_over_ipv6_is_picked_up() -> None:
    carrier = Carrier("::1", 0, platform_clock())
    await carrier.start()
    try:
        async with line_over(Trunk("six", "::1", carrier.address[1])) as line:
            call = carrier.call(line.telephony.address, "+6598765432", "+6531580000", Behaviour())
            received = await line.take()
            assert (received.source, received.destination) == ("+6598765432", "+6531580000")
            line.telephony.pick_up(received.leg_id)
            await line.until(received.leg_id, Answered)
            assert await call.answered()
            line.telephony.hang_up(received.leg_id)
            await line.until(received.leg_id, HungUp)
            async with asyncio.timeout(60):
                await call.over()
    finally:
        await carrier.stop()
