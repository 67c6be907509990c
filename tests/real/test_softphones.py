"""baresip and linphone as callees behind a trunk: telephones that nobody here wrote hear the message."""

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.needs import need
from tests.peers import is_bound, until

from callwright.audio import wav
from callwright.audio.compare import likeness
from callwright.audio.levels import rms_dbfs

if TYPE_CHECKING:
    from tests.conftest import OpenSite, Site
    from tests.programs import Program, Shell

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.real]

NUMBER = "+6581234567"
PIECE_SAMPLES = 1_600

BARESIP = """
poll_method epoll
sip_listen 127.0.0.1:{port}
net_af ipv4
audio_source aubridge,echo
audio_player aubridge,echo
audio_alert aubridge,alert
rtp_ports {media}-{last}
snd_path {folder}
module_path /usr/lib/baresip/modules
module g711.so
module g722.so
module opus.so
module aubridge.so
module sndfile.so
module srtp.so
module account.so
module menu.so
"""
"""What comes in goes out again; both directions are written to a file."""

LINPHONE = """
[sip]
sip_port={port}
sip_tcp_port=-1
sip_tls_port=-1
register_only_when_network_is_up=0
bind_address=127.0.0.1
use_ipv6=0
[rtp]
audio_rtp_port={media}-{last}
[sound]
echocancellation=0
[video]
enabled=0
capture=0
display=0
"""


async def baresip(shell: "Shell", port: int, account: str) -> "Program":
    """A baresip that answers every call to NUMBER."""
    need("baresip")
    folder = shell.folder
    (folder / "config").write_text(BARESIP.format(port=port, media=port + 10, last=port + 30, folder=folder))
    (folder / "accounts").write_text(f"<sip:{NUMBER}@127.0.0.1>;regint=0;answermode=auto;{account}\n")
    (folder / "contacts").touch()
    program = await shell.start("baresip", "-f", str(folder), "-t", "90")
    await until(lambda: is_bound(port) or program.is_over)
    return program


@contextlib.asynccontextmanager
async def linphone(shell: "Shell", port: int, heard: Path) -> AsyncIterator["Program"]:
    """A linphone that answers every call and writes what it hears to `heard`."""
    need("linphonec")
    settings = shell.folder / "linphonerc"
    settings.write_text(LINPHONE.format(port=port, media=port + 10, last=port + 30))
    (shell.folder / ".local/share/linphone").mkdir(parents=True)
    orders = shell.folder / "orders"
    os.mkfifo(orders)
    pen = os.open(orders, os.O_RDWR)  # both ends, so that neither waits for the other
    try:
        os.write(pen, f"soundcard use files\nrecord {heard}\n".encode())
        command = f"exec linphonec -a -c {settings} <{orders}"
        program = await shell.start("sh", "-c", command, HOME=str(shell.folder), LANG="C")
        await program.says("Using wav files")
        await until(lambda: is_bound(port) or program.is_over)
        yield program
        os.write(pen, b"quit\n")
        await program.end()
    finally:
        os.close(pen)


def share_heard(heard: NDArray[np.int16], prompt: NDArray[np.int16]) -> float:
    """How much of the prompt is in the recording, piece by piece: jitter buffers stretch and cut a little."""
    pieces = [prompt[at : at + PIECE_SAMPLES] for at in range(0, len(prompt) - PIECE_SAMPLES, PIECE_SAMPLES)]
    audible = [piece for piece in pieces if rms_dbfs(piece) > -40]
    assert len(audible) >= 5
    return sum(likeness(heard, piece).correlation > 0.85 for piece in audible) / len(audible)


def at_8_khz(path: Path) -> NDArray[np.int16]:
    """A recording at the rate of prompts: what lies above 4 kHz is cut out of the spectrum."""
    sound = wav.parse(path.read_bytes())
    factor, rest = divmod(sound.sample_rate, 8000)
    assert not rest
    samples = sound.samples[: len(sound.samples) // factor * factor]
    spectrum = np.fft.rfft(samples)[: len(samples) // factor // 2 + 1] / factor
    return np.clip(np.fft.irfft(spectrum, len(samples) // factor), -32768, 32767).astype(np.int16)


async def message_heard(site: "Site", heard: Callable[[], Path], over: Callable[[], Awaitable[object]]) -> float:
    """Call the telephone and say something; how much of it the telephone heard."""
    async with site.customer() as customer:
        session_id = await customer.say(NUMBER, "Hello, this is a test Voice Message.")
        summary = await customer.summary(session_id)
        assert summary["sessionStatus"] == "COMPLETED"
        story = await customer.story(session_id)
        prompt = site.prompt(story.only("speech.cache")["key"])
    await over()
    return share_heard(at_8_khz(heard()), prompt)


@pytest.mark.parametrize(
    ("trunk", "account"),
    [
        ('codecs = ["PCMU"]', "audio_codecs=pcmu/8000/1"),
        ('codecs = ["PCMA", "PCMU"]', "audio_codecs=pcma/8000/1"),
        ('codecs = ["G722"]\nsrtp = "required"', "audio_codecs=g722/16000/1;mediaenc=srtp-mand"),
        ('codecs = ["OPUS", "PCMU"]', "audio_codecs=opus/48000/2"),
    ],
    ids=["PCMU", "PCMA", "G722-SRTP", "OPUS"],
)
async def test_baresip_hears_the_message(
    shell: "Shell", open_site: "OpenSite", own_port: int, trunk: str, account: str
) -> None:
    telephone = await baresip(shell, own_port, account)
    toml = f'[trunks.peer]\nuri = "sip:127.0.0.1:{own_port}"\n{trunk}\n'
    async with open_site(shell.folder / "data", toml) as site:
        share = await message_heard(
            site, lambda: next(shell.folder.glob("dump-*-dec.wav")), lambda: telephone.says("terminated")
        )
    assert share > 0.6


async def test_linphone_hears_the_message(shell: "Shell", open_site: "OpenSite", own_port: int) -> None:
    path = shell.folder / "heard.wav"
    async with (
        linphone(shell, own_port, path) as telephone,
        open_site(shell.folder / "data", trunk=f"sip:127.0.0.1:{own_port}") as site,
    ):
        share = await message_heard(site, lambda: path, lambda: telephone.says("ended"))
    assert share > 0.6
