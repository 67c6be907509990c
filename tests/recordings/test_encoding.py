"""Files made of recordings, heard again; recordings that a crash cut off; processes that die."""

import asyncio
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from callwright.audio.compare import find_tones
from callwright.recordings.encoding import Encoded, Encoders, NotEncoded, Unusable
from callwright.speech.decode import decode

Make = Callable[..., bytes]


async def made(recording: bytes, folder: Path, kind: str = "mp3") -> tuple[object, Path]:
    source, target = folder / "recorded.wav", folder / f"recorded.upload.{kind}"
    source.write_bytes(recording)
    return await Encoders().make(source, target, kind), target


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def tones_of(pcm: bytes) -> list[int]:
    return sorted(round(tone, -1) for tone in map(int, find_tones(np.frombuffer(pcm, "<i2"))))


async def test_an_mp3_has_both_sides_in_one_channel(tmp_path: Path, two_tones: Make) -> None:
    result, target = await made(two_tones(3.0), tmp_path)
    assert result == Encoded(3.0)
    heard = decode(target.read_bytes())
    assert (heard.codec, heard.sample_rate_hz, heard.channels) == ("mp3float", 8000, 1)
    assert tones_of(heard.pcm) == [440, 1000]
    assert 3.0 <= len(heard.pcm) / 16_000 < 3.2
    assert len(target.read_bytes()) < 3 * 4000 + 2000


async def test_a_wav_keeps_the_sides_apart(tmp_path: Path, two_tones: Make) -> None:
    recording = two_tones()
    result, target = await made(recording, tmp_path, "wav")
    assert result == Encoded(2.0)
    assert target.read_bytes() == recording
    sides = np.frombuffer(target.read_bytes()[44:], "<i2").reshape(-1, 2)
    assert tones_of(sides[:, 0].tobytes()) == [440]
    assert tones_of(sides[:, 1].tobytes()) == [1000]


@pytest.mark.parametrize("lengths", [0, 0xFFFF_FFFF, 8_000], ids=["zero", "unknown", "too small"])
@pytest.mark.parametrize("kind", ["mp3", "wav"])
async def test_a_crash_loses_neither_the_sound_nor_its_header(
    tmp_path: Path, two_tones: Make, lengths: int, kind: str
) -> None:
    result, target = await made(two_tones(2.0, lengths) + b"\x01\x02\x03", tmp_path, kind)
    assert result == Encoded(2.0)
    assert tones_of(decode(target.read_bytes()).pcm) == [440, 1000]


def head(channels: int = 2, rate: int = 8000, bits: int = 16, tag: int = 1) -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * channels * 2, channels * 2, bits)
    return b"RIFF\0\0\0\0WAVE" + form + b"data\0\0\0\0"


@pytest.mark.parametrize(
    ("recording", "reason"),
    [
        (b"", "nothing was recorded"),
        (b"RIFF", "nothing was recorded"),
        (head(), "nothing was recorded"),
        (head() + b"abc", "nothing was recorded"),
        (head()[:30], "its header is cut off"),
        (head()[:20], "its header is cut off"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0" + bytes(100), "its header is cut off"),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff" + bytes(100), "its header is cut off"),
        (head(rate=1) + bytes(100), "it has a format that is not ours (1, 16 bits, 2 channels, 1 Hz)"),
        (head(channels=99) + bytes(100), "it has a format that is not ours (1, 16 bits, 99 channels, 8000 Hz)"),
        (head(tag=7) + bytes(100), "it has a format that is not ours (7, 16 bits, 2 channels, 8000 Hz)"),
    ],
)
async def test_what_holds_no_sound_is_said_to_be_unusable(tmp_path: Path, recording: bytes, reason: str) -> None:
    result, _ = await made(recording, tmp_path)
    assert result == Unusable(reason)
    assert left_in(tmp_path) == ["recorded.wav"]


async def test_a_file_that_is_gone_is_unusable(tmp_path: Path) -> None:
    result = await Encoders().make(tmp_path / "no.wav", tmp_path / "no.mp3", "mp3")
    assert result == Unusable("its file is gone")


async def test_a_folder_that_cannot_be_written_is_a_matter_of_trying_again(tmp_path: Path, two_tones: Make) -> None:
    (tmp_path / "a.wav").write_bytes(two_tones())
    (tmp_path / "file").write_bytes(b"")
    result = await Encoders().make(tmp_path / "a.wav", tmp_path / "file" / "a.mp3", "mp3")
    assert result == NotEncoded("not a directory")


@pytest.mark.parametrize("kind", ["mp3", "wav"])
async def test_a_full_disk_is_said_by_its_name(tmp_path: Path, two_tones: Make, kind: str) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(two_tones(30.0))

    def run() -> "subprocess.CompletedProcess[bytes]":
        with source.open("rb") as recording, Path("/dev/full").open("r+b", buffering=0) as full:
            return subprocess.run(
                [sys.executable, "-I", "-m", "callwright.recordings.encoder", kind],
                stdin=recording, stdout=full, stderr=subprocess.PIPE, check=True,
            )  # fmt: skip

    assert b'"failed": "No space left on device"' in (await asyncio.to_thread(run)).stderr


def children() -> set[int]:
    return {int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


async def another_child(before: set[int]) -> set[int]:
    async with asyncio.timeout(60):
        while not (mine := children() - before):  # noqa: ASYNC110 - nobody tells when a process begins
            await asyncio.sleep(0.01)
    return mine


async def test_a_process_that_is_killed_leaves_nothing_half_made(tmp_path: Path, two_tones: Make) -> None:
    (tmp_path / "a.wav").write_bytes(two_tones(60.0) * 20)
    before = children()
    task = asyncio.create_task(Encoders().make(tmp_path / "a.wav", tmp_path / "a.mp3", "mp3"))
    mine = await another_child(before)
    for pid in mine:
        os.kill(pid, signal.SIGKILL)
    assert await task == NotEncoded("the process that encodes it died")
    assert left_in(tmp_path) == ["a.wav"]


async def test_a_cut_off_encoding_ends_its_process(tmp_path: Path, two_tones: Make) -> None:
    (tmp_path / "a.wav").write_bytes(two_tones(60.0) * 20)
    before = children()
    task = asyncio.create_task(Encoders().make(tmp_path / "a.wav", tmp_path / "a.mp3", "mp3"))
    mine = await another_child(before)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not mine & children()
    assert left_in(tmp_path) == ["a.wav"]


async def test_no_more_processes_run_than_there_is_room_for(tmp_path: Path, two_tones: Make) -> None:
    (tmp_path / "a.wav").write_bytes(two_tones(10.0))
    encoders, before, most = Encoders(most_at_once=1), children(), 0
    tasks = [
        asyncio.create_task(encoders.make(tmp_path / "a.wav", tmp_path / f"{number}.mp3", "mp3")) for number in range(3)
    ]
    while not all(task.done() for task in tasks):
        most = max(most, len(children() - before))
        await asyncio.sleep(0.01)
    assert [type(task.result()) for task in tasks] == [Encoded] * 3
    assert most == 1
