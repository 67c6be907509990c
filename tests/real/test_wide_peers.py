"""SRTP, G.722, Opus and other packet times with PJSIP and baresip, heard at both ends."""

import asyncio
import importlib.util
import json
import os
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.real.test_softphones import NUMBER, baresip
from tests.telephony.media.voices import prompt_of

from callwright.audio import tones, wav
from callwright.audio.compare import find_tones
from callwright.audio.levels import rms_dbfs
from callwright.callflow.events import Answered, DigitPressed, HungUp, NotAnswered, PlaybackFinished
from callwright.simulator.loopback import LoopbackLine, unused_ports
from callwright.sip.negotiation import Srtp
from callwright.telemetry.clock import platform_clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.trunk import Trunk

if TYPE_CHECKING:
    from tests.programs import Shell

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.real]

HOST = "127.0.0.1"
CALLEE = Path(__file__).parent / "pjsip_srtp_callee.py"
OURS, THEIRS = 700.0, 1_150.0


@asynccontextmanager
async def line_to(
    port: int, codecs: tuple[str, ...], srtp: Srtp, *, symmetric: bool = False
) -> AsyncIterator[LoopbackLine]:
    trunk = Trunk("peer", HOST, port, codecs=codecs, srtp=srtp, symmetric_rtp=symmetric)
    line = LoopbackLine(TelephonySettings(HOST, 0, unused_ports(20, HOST), (trunk,)), platform_clock())
    await line.telephony.start()
    try:
        yield line
    finally:
        await line.telephony.stop()


async def conversation(line: LoopbackLine, folder: Path, keys: int = 0) -> tuple[str, Path]:
    """Call, record, say a tone of 1.5 s, wait for keys, hang up; the leg and its recording."""

    def write(name: str, data: bytes) -> str:
        path = folder / name
        path.write_bytes(data)
        return str(path)

    prompt = prompt_of(write, "ours", tones.sine(OURS, 1.5))
    recording = folder / "call.wav"
    leg_id = line.dial(NUMBER)
    await line.until(leg_id, Answered)
    line.telephony.record(leg_id, "r", recording)
    line.telephony.play(leg_id, "p", prompt, 1)
    await line.until(leg_id, PlaybackFinished)
    if keys:
        await line.several(leg_id, DigitPressed, keys)
    await asyncio.sleep(0.5)
    line.telephony.hang_up(leg_id)
    await line.until(leg_id, HungUp)
    await line.recordings.get()
    return leg_id, recording


def pitch(sound: NDArray[np.int16], rate: int = 8_000) -> float:
    """Of what is loud in it."""
    step = rate // 50
    loud = [sound[at : at + step] for at in range(0, len(sound) - step, step) if rms_dbfs(sound[at : at + step]) > -35]
    assert len(loud) >= 25, "half a second of sound"
    return find_tones(np.concatenate(loud), most=1)[0] * rate / 8_000


def heard_by_us(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
    return samples[:, 0].copy()


def need_pjsip() -> None:
    if importlib.util.find_spec("pjsua2") is None:
        if os.environ.get("CI"):
            pytest.fail("PJSIP is missing: requirements-dev.lock has pjsua2-python")
        pytest.skip("PJSIP is not installed (pjsua2-python)")


@pytest.mark.parametrize(
    ("codec", "ours", "theirs", "is_encrypted"),
    [
        ("PCMU", "required", "mandatory", True),
        ("PCMA", "required", "optional", True),
        ("PCMU", "optional", "optional", True),
        ("PCMU", "optional", "off", False),
        ("PCMU", "off", "optional", False),
        ("G722", "required", "mandatory", True),
        ("G722", "off", "off", False),
    ],
)
async def test_pjsip_is_heard_and_hears(
    shell: "Shell", codec: str, ours: Srtp, theirs: str, is_encrypted: bool
) -> None:
    need_pjsip()
    path, tone = shell.folder / "heard.wav", shell.folder / "tone.wav"
    tone.write_bytes(wav.serialize(tones.sine(THEIRS, 20.0)))
    telephone = await shell.start(sys.executable, str(CALLEE), str(path), codec, theirs, str(tone), "42")
    port = int((await telephone.says(r"listening (\d+)"))[1])
    async with line_to(port, (codec,), ours) as line:
        leg_id, recording = await conversation(line, shell.folder, keys=2)
        digits = [event.digit for event in line.events[leg_id] if isinstance(event, DigitPressed)]
        (media,) = line.entries(leg_id, "telephony.media")
        (figures,) = line.entries(leg_id, "rtp.report")
    ended = await telephone.end()
    report = json.loads(ended.out.splitlines()[-1])
    assert digits == ["4", "2"]
    assert media.fields["srtp"] == ("AES_CM_128_HMAC_SHA1_80" if is_encrypted else None)
    assert report["codec"] == codec
    assert int(str(figures.fields["sent"])) - 3 <= report["packets"] + report["lost"]
    assert (figures.fields["unauthentic"], figures.fields["replayed"]) == (None, None)
    assert pitch(heard_by_us(recording)) == pytest.approx(THEIRS, abs=20)
    heard = wav.parse(path.read_bytes())
    assert pitch(heard.samples, heard.sample_rate) == pytest.approx(OURS, abs=20)


@pytest.mark.parametrize(("ours", "theirs"), [("required", "off"), ("off", "mandatory")])
async def test_pjsip_and_we_do_not_speak_when_one_wants_srtp_and_the_other_none(
    shell: "Shell", ours: Srtp, theirs: str
) -> None:
    need_pjsip()
    path, tone = shell.folder / "heard.wav", shell.folder / "tone.wav"
    tone.write_bytes(wav.serialize(tones.sine(THEIRS, 1.0)))
    telephone = await shell.start(sys.executable, str(CALLEE), str(path), "PCMU", theirs, str(tone), "")
    port = int((await telephone.says(r"listening (\d+)"))[1])
    async with line_to(port, ("PCMU",), ours) as line:
        leg_id = line.dial(NUMBER)
        ending = await line.ending(leg_id)
    assert isinstance(ending, NotAnswered)
    assert ending.sip_code in (406, 488)


@pytest.mark.parametrize(
    ("codec", "ours", "account", "is_encrypted"),
    [
        ("OPUS", "off", "audio_codecs=opus/48000/2", False),
        ("OPUS", "required", "audio_codecs=opus/48000/2;mediaenc=srtp-mand", True),
        ("G722", "optional", "audio_codecs=g722/16000/1;mediaenc=srtp", True),
        ("PCMU", "required", "audio_codecs=pcmu/8000/1;mediaenc=srtp-mand", True),
        ("PCMU", "off", "audio_codecs=pcmu/8000/1;ptime=40", False),
    ],
)
async def test_baresip_is_heard_and_hears(
    shell: "Shell", own_port: int, codec: str, ours: Srtp, account: str, is_encrypted: bool
) -> None:
    """It says again whatever it hears, from another address than it names: it describes itself by the machine's own."""
    telephone = await baresip(shell, own_port, account)
    async with line_to(own_port, (codec,), ours, symmetric=True) as line:
        leg_id, recording = await conversation(line, shell.folder)
        (media,) = line.entries(leg_id, "telephony.media")
        (figures,) = line.entries(leg_id, "rtp.report")
    await telephone.says("terminated")
    assert (media.fields["codec"], media.fields["srtp"] is not None) == (codec, is_encrypted)
    assert (figures.fields["unauthentic"], figures.fields["replayed"]) == (None, None)
    assert pitch(heard_by_us(recording)) == pytest.approx(OURS, abs=20)
    heard = wav.parse(next(shell.folder.glob("dump-*-dec.wav")).read_bytes())
    assert pitch(heard.samples, heard.sample_rate) == pytest.approx(OURS, abs=20)
