"""100,000 bent inputs over all readers of what strangers send: no crash, none that takes long, nothing that is kept.

`FUZZ_INPUTS` says how many instead; `make fuzz` goes on without end, led by coverage.
"""

import gc
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from fuzz.mutation import bent
from fuzz.targets import TARGETS, Target

INPUTS = int(os.environ.get("FUZZ_INPUTS", "100000"))
PARTS = 5
"""So that the workers of one run share the work."""
MOST_CPU_SECONDS = 1.0
"""For one input, in this process's own time: a usual one takes a ten-thousandth."""
FOUND = Path(__file__).parent / "found"
by_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


class TookLong(Exception):
    """One input kept a reader busy."""


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise TookLong


@contextmanager
def watch() -> Iterator[None]:
    """Breaks off what takes more than MOST_CPU_SECONDS of processor time."""
    before = signal.signal(signal.SIGVTALRM, _too_long)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def read(target: Target, data: bytes) -> bool:
    """Hand in one input; a failure shows it."""
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_CPU_SECONDS)
    try:
        return target.read(data)
    except BaseException as error:
        error.add_note(f"{target.name} broke on {data!r}")
        raise


def inputs(target: Target, part: int) -> list[bytes]:
    """One part of a target's inputs, the same ones in every run."""
    count = int(INPUTS * target.share) // PARTS
    return bent(target.seeds, target.spice, random.Random(f"{target.name} {part}"), count)


def test_all_inputs_are_shared_out() -> None:
    assert sum(target.share for target in TARGETS) == pytest.approx(1.0)


@by_target
@pytest.mark.parametrize("part", range(PARTS))
def test_bent_inputs_break_nothing(target: Target, part: int) -> None:
    with watch():
        taken = [read(target, data) for data in inputs(target, part)]
    assert taken.count(True) > len(taken) / 50, "the wounds are too wild to reach what lies behind the first check"
    assert taken.count(False) > len(taken) / 50, "the wounds are too mild: nothing was refused"


@by_target
def test_nothing_is_kept(target: Target) -> None:
    """Caches are full after the first quarter; from then on whatever came must be gone."""
    data = inputs(target, 0)[:1_200]
    with watch():
        for one in data[:400]:
            read(target, one)
        gc.collect()
        before = sys.getallocatedblocks()
        for one in data[400:]:
            read(target, one)
    gc.collect()
    assert sys.getallocatedblocks() - before < 10 * len(data)


@by_target
def test_sound_inputs_are_taken(target: Target) -> None:
    taken = [read(target, seed) for seed in target.seeds]
    assert any(taken)


@by_target
def test_what_broke_a_reader_once(target: Target) -> None:
    """Files that `make fuzz` wrote, named after their target; there may be none yet."""
    with watch():
        for path in sorted(FOUND.glob(f"{target.name}-*")):
            read(target, path.read_bytes())
