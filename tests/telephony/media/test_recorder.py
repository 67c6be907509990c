"""Two directions on one time line, and the thread that writes them."""

import os
import resource
import stat
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from callwright.audio import g711, tones, wav
from callwright.telephony.media.recorder import BLOCK_SAMPLES, Recorder
from callwright.telephony.media.recordings import MOST_WAITING_BLOCKS, TOO_SLOW, Finished, Recordings

FRAME = 160
OURS, THEIRS = 0xFFFF_F000, 0x8000_0000
"""Where the two clocks stand at the beginning; ours is about to wrap around."""


def frames(samples: NDArray[np.int16]) -> list[NDArray[np.int16]]:
    return [samples[at : at + FRAME] for at in range(0, len(samples), FRAME)]


class Tape:
    """A recorder, what came out of it, and its clock."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.recorder = Recorder(OURS, self.blocks.append)
        self.ticks = 0

    @property
    def our_time(self) -> int:
        return OURS + self.ticks & 0xFFFF_FFFF

    def hear(self, index: int, samples: NDArray[np.int16], ssrc: int = 1, begins: int = THEIRS) -> None:
        self.recorder.received(ssrc, begins + index * FRAME & 0xFFFF_FFFF, samples, self.our_time)

    def pass_time(self, ticks: int = FRAME) -> None:
        self.ticks += ticks
        self.recorder.advance(self.our_time)

    def channels(self) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        self.recorder.end(self.our_time)
        both = np.frombuffer(b"".join(self.blocks), dtype="<i2").reshape(-1, 2)
        assert len(both) == self.ticks
        return both[:, 0], both[:, 1]


@pytest.fixture
def tape() -> Tape:
    return Tape()


SOUND = tones.sine(440.0, 2.0)
OTHER = tones.sine(950.0, 2.0)


def test_left_is_heard_and_right_is_said(tape: Tape) -> None:
    codes = g711.encode("PCMA", OTHER)
    for index, part in enumerate(frames(SOUND)):
        tape.hear(index, part)
        tape.recorder.sent(tape.our_time, "PCMA", codes[index * FRAME : (index + 1) * FRAME])
        tape.pass_time()
    left, right = tape.channels()
    assert np.array_equal(left, SOUND)
    assert np.array_equal(right, g711.decode("PCMA", codes))
    assert len(tape.blocks[0]) == 4 * BLOCK_SAMPLES


def test_what_begins_later_lies_later_and_silence_before(tape: Tape) -> None:
    tape.pass_time(4_000)
    for index, part in enumerate(frames(SOUND[:3_200])):
        tape.hear(index, part)
        tape.pass_time()
    left, right = tape.channels()
    assert not left[:4_000].any()
    assert np.array_equal(left[4_000:], SOUND[:3_200])
    assert not right.any()


def test_jitter_loss_and_disorder_leave_everything_at_its_place(tape: Tape) -> None:
    parts = frames(SOUND)
    order = list(range(len(parts)))
    order[5], order[6] = order[6], order[5]
    del order[20:23]
    late = 30
    order.remove(late)
    order.insert(order.index(late + 8), late)
    for step, index in enumerate(order):
        tape.hear(index, parts[index])
        tape.pass_time(FRAME if step % 3 else FRAME - 40)
    tape.pass_time(16_000 - tape.ticks)
    left, _ = tape.channels()
    expected = SOUND.copy()
    expected[20 * FRAME : 23 * FRAME] = 0
    assert np.array_equal(left, expected)


def test_a_moment_without_network_moves_nothing(tape: Tape) -> None:
    parts = frames(SOUND)
    for index in range(20):
        tape.hear(index, parts[index])
        tape.pass_time()
    tape.pass_time(20 * FRAME)
    for index in range(20, 41):  # 400 ms of sound at once, the first of it 400 ms late
        tape.hear(index, parts[index])
    for index in range(41, 60):
        tape.hear(index, parts[index])
        tape.pass_time()
    left, _ = tape.channels()
    assert np.array_equal(left[: 59 * FRAME], SOUND[: 59 * FRAME])


def test_a_new_source_is_placed_where_it_comes(tape: Tape) -> None:
    for index, part in enumerate(frames(SOUND)[:10]):
        tape.hear(index, part)
        tape.pass_time()
    for index, part in enumerate(frames(OTHER)[:10]):
        tape.hear(index, part, ssrc=2, begins=77)
        tape.pass_time()
    left, _ = tape.channels()
    assert np.array_equal(left, np.concatenate([SOUND[:1_600], OTHER[:1_600]]))


@pytest.mark.parametrize("leap", [80_000, -80_000, 0x4000_0000])
def test_timestamps_that_leap_are_followed(tape: Tape, leap: int) -> None:
    for index, part in enumerate(frames(SOUND)[:20]):
        tape.hear(index, part, begins=THEIRS + (leap if index >= 10 else 0))
        tape.pass_time()
    left, _ = tape.channels()
    assert np.array_equal(left, SOUND[:3_200])


def test_a_clock_that_runs_away_is_caught_again(tape: Tape) -> None:
    part = np.full(FRAME, 1_000, dtype=np.int16)
    for index in range(500):
        tape.hear(index, part)
        tape.pass_time(FRAME + 16)  # ours runs 10 % faster: a second is lost every ten
    left, _ = tape.channels()
    # All of it is there; only the holes that the lost time leaves are silent.
    assert abs(int(np.count_nonzero(left)) - 500 * FRAME) < 4 * FRAME


def test_what_comes_much_too_late_is_left_out(tape: Tape) -> None:
    parts = frames(SOUND)
    tape.hear(0, parts[0])
    tape.pass_time(12_000)
    tape.hear(1, parts[1], begins=THEIRS + 4_000)
    left, _ = tape.channels()
    assert np.array_equal(left[:FRAME], parts[0])
    assert not left[FRAME:].any()


# --- files -----------------------------------------------------------------------------------------------------------

BLOCK = np.arange(2 * BLOCK_SAMPLES, dtype="<i2").tobytes()


def wait_for(recordings: Recordings, count: int = 1) -> list[Finished]:
    found: list[Finished] = []
    ends_at = time.monotonic() + 20
    while len(found) < count:
        assert time.monotonic() < ends_at
        found += recordings.finished()
        time.sleep(0.001)
    return found


def test_a_recording_is_a_stereo_wav_that_only_its_owner_reads(tmp_path: Path) -> None:
    recordings, path = Recordings(), tmp_path / "r.wav"
    writing = recordings.begin("s", str(path))
    for _ in range(3):
        writing.push(BLOCK)
    writing.end()
    writing.end("twice")
    writing.push(BLOCK)
    assert wait_for(recordings) == [Finished("s", str(path), 1.5, "")]
    assert path.read_bytes() == wav.header(3 * len(BLOCK), channels=2) + 3 * BLOCK
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    recordings.stop(5.0)


def test_a_file_that_is_there_or_cannot_be_made_is_told(tmp_path: Path) -> None:
    recordings, path = Recordings(), tmp_path / "r.wav"
    path.write_bytes(b"precious")
    for target in (path, tmp_path / "nowhere" / "r.wav"):
        writing = recordings.begin("s", str(target))
        writing.push(BLOCK)
        writing.end()
    first, second = wait_for(recordings, 2)
    assert first.reason == "the recording cannot be written: File exists"
    assert second.reason == "the recording cannot be written: No such file or directory"
    assert (first.duration_seconds, path.read_bytes()) == (0.0, b"precious")
    recordings.stop(5.0)


def test_a_full_disk_ends_the_file_and_leaves_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "r.wav"
    recordings = Recordings()
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, unlimited[1]))
    try:
        writing = recordings.begin("s", str(path))
        for _ in range(5):
            writing.push(BLOCK)
        writing.end()
        [done] = wait_for(recordings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert done.reason == "the recording cannot be written on: File too large"
    assert done.duration_seconds == (40_000 - 44) // 4 / 8_000
    sound = wav.parse(path.read_bytes())
    assert sound.duration_seconds == done.duration_seconds
    recordings.stop(5.0)


def test_a_disk_that_does_not_keep_up_ends_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    recordings = Recordings()
    stuck = recordings.begin("stuck", str(tmp_path / "stuck.wav"))
    # The thread is held inside open(2) of a pipe that nobody reads, as a dead network disk would hold it.
    holder = threading.Thread(target=lambda: os.close(os.open(path, os.O_RDONLY)))
    recordings._queue.put((HeldOpen(stuck, path), b"", None))  # type: ignore[arg-type]  # stands for a Writing
    for _ in range(MOST_WAITING_BLOCKS + 5):
        stuck.push(BLOCK)
    assert stuck.is_over
    assert stuck.pushed <= MOST_WAITING_BLOCKS + 1
    holder.start()
    [done] = wait_for(recordings)
    holder.join()
    assert done.reason == TOO_SLOW
    assert done.duration_seconds >= 0.5 * MOST_WAITING_BLOCKS
    recordings.stop(5.0)


class HeldOpen:
    """Opens a pipe for writing, which waits until somebody reads."""

    def __init__(self, writing: object, path: Path) -> None:
        self.writing = writing
        self._path = path

    def open(self) -> None:
        os.close(os.open(self._path, os.O_WRONLY))


def test_a_process_that_is_killed_leaves_a_file_that_can_be_played(tmp_path: Path) -> None:
    recordings, path = Recordings(), tmp_path / "r.wav"
    writing = recordings.begin("s", str(path))
    for number in range(25):
        writing.push(BLOCK)
        while writing.taken <= number:
            time.sleep(0.001)
    recordings.stop(5.0)  # never ended, as when the process dies; 25 blocks are 12.5 s
    assert wav.parse(path.read_bytes()).duration_seconds >= 10.0
