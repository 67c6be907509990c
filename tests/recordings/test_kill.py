"""A process that is killed while it records, encodes or uploads loses no recording and reports each once."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from callwright.audio.compare import find_tones
from callwright.recordings.push.host_keys import HostKeys
from callwright.recordings.push.local import LocalPush
from callwright.recordings.shelf import Recordings
from callwright.speech.decode import decode
from callwright.storage.records import PushConfig, RecordingState
from callwright.storage.store import Store

ACCOUNT, SESSION, RECORDING = "riders_hq", "d3e5bf9a-0000-4000-8000-{:012}", "0b9c7a52-0000-4000-8000-{:012}"
PATIENCE_SECONDS = 60.0
RECORDINGS, SECONDS = 4, 5.0
VICTIM = """
import asyncio, sys
from dataclasses import dataclass
from pathlib import Path
from callwright.callflow.plan import Callflow, HangUp
from callwright.recordings.push.host_keys import HostKeys
from callwright.recordings.push.local import LocalPush
from callwright.recordings.shelf import Recordings
from callwright.storage.records import PushConfig
from callwright.storage.store import Store
from callwright.telemetry.clock import platform_clock

@dataclass
class Done:
    recording_id: str
    duration_seconds: float = 5.0
    failure: str = ""

async def main(folder, count):
    clock = platform_clock()
    store = await Store.open(f"sqlite:///{folder / 'callwright.db'}", clock=clock)
    await store.ensure_sub_account("riders_hq")
    await store.put_push_config("riders_hq", PushConfig("LOCAL", "", None, "", "", "calls", "mp3"))
    shelf = Recordings(
        folder / "spool", store, {"LOCAL": LocalPush(folder / "archive")}, clock,
        host_keys=HostKeys(folder / "keys"), on_owed=lambda: None, least_free_bytes=0,
    )
    await shelf.start()
    sound = (folder / "sound.wav").read_bytes()
    for number in range(count):
        session, recording = sys.argv[3].format(number), sys.argv[4].format(number)
        await store.accept_session(session, "riders_hq", Callflow((HangUp(),), session), clock())
        path = Path(await shelf.begin(recording, session, "riders_hq", "leg", clock()))
        path.write_bytes(sound)
        if number % 3:  # the others are still going on
            shelf.done(Done(recording))
    print("begun", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


def tones_of(file: Path) -> list[int]:
    return sorted(round(tone, -1) for tone in map(int, find_tones(np.frombuffer(decode(file.read_bytes()).pcm, "<i2"))))


@pytest.mark.parametrize("delay_seconds", [0.1, 0.6])
async def test_every_recording_arrives_whole_after_a_kill(
    tmp_path: Path, two_tones: Callable[..., bytes], delay_seconds: float
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    (tmp_path / "sound.wav").write_bytes(two_tones(SECONDS, lengths=0))
    command = [sys.executable, "-c", VICTIM, str(tmp_path), str(RECORDINGS), SESSION, RECORDING]
    victim = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert victim.stdout is not None
    assert await victim.stdout.readline() == b"begun\n"
    await asyncio.sleep(delay_seconds)
    os.kill(victim.pid, signal.SIGKILL)
    await victim.wait()

    loop = asyncio.get_running_loop()
    store = await Store.open(f"sqlite:///{tmp_path / 'callwright.db'}", clock=loop.time)
    shelf = Recordings(
        tmp_path / "spool",
        store,
        {"LOCAL": LocalPush(archive)},
        loop.time,
        host_keys=HostKeys(tmp_path / "keys"),
        on_owed=lambda: None,
        least_free_bytes=0,
    )
    await shelf.start()
    await store.put_push_config(ACCOUNT, PushConfig("LOCAL", "", None, "", "", "calls", "mp3"))
    await shelf.wake(ACCOUNT)  # whatever is due later by the clock of the dead process is due now
    async with asyncio.timeout(PATIENCE_SECONDS):
        for number in range(RECORDINGS):
            while (await store.recordings_of(SESSION.format(number)))[0].state is not RecordingState.UPLOAD_COMPLETED:  # noqa: ASYNC110 - rows tell nobody
                await asyncio.sleep(0.02)
            (told,) = [each for each in await store.deliveries_of(SESSION.format(number)) if each.kind == "VRU"]
            assert told.body is not None
            told_of = json.loads(told.body)["payload"]
            assert (told_of["status"], told_of["durationSeconds"]) == ("UPLOAD_COMPLETED", SECONDS)
            assert tones_of(archive / told_of["filePath"]) == [440, 1000]
    await shelf.stop()
    await store.close()
    assert len([path for path in archive.rglob("*") if path.suffix == ".mp3"]) == RECORDINGS
    assert [path for path in (tmp_path / "spool").rglob("*") if path.is_file()] == []
