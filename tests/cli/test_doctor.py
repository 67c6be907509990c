"""`callwright doctor`: told to people and to machines, by name or URI, with an exit status."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.doctor.world import World
from tests.programs import own_rtp_ports

Command = Callable[..., tuple[int, str, str]]


@contextmanager
def beside(world: World) -> Iterator[World]:
    """A trunk on a loop of its own, because the command has the test's thread."""
    started, ending, loops = threading.Event(), asyncio.Event(), []

    async def run() -> None:
        async with world.running():
            loops.append(asyncio.get_running_loop())
            started.set()
            await ending.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    started.wait(10)
    try:
        yield world
    finally:
        loops[0].call_soon_threadsafe(ending.set)
        thread.join(10)


@pytest.fixture
def doctor(callwright: Command, tmp_path: Path) -> Command:
    """`callwright doctor …` on one data folder and free ports."""

    def run(*words: str) -> tuple[int, str, str]:
        ports = ("--sip", "127.0.0.1:0", "--rtp-ports", own_rtp_ports())
        return callwright("doctor", *words, "--data", str(tmp_path / "data"), *ports)

    return run


def test_a_healthy_trunk_is_status_0(doctor: Command) -> None:
    with beside(World()) as world:
        status, out, err = doctor("--trunk", f"sip:127.0.0.1:{world.address[1]}")
    assert (status, err) == (0, "")
    assert "OPTIONS was answered 200 OK" in out
    assert "--call NUMBER" in out


def test_a_failure_is_status_1_and_has_its_cure_in_a_table(doctor: Command) -> None:
    with beside(World(statuses={"OPTIONS": 403})) as world:
        status, out, _ = doctor("--trunk", f"sip:127.0.0.1:{world.address[1]}")
    assert status == 1
    assert "what mends it" in out
    assert "list of allowed addresses" in " ".join(out.split())


def test_machines_are_told_in_json_of_one_trunk_by_name(doctor: Command, callwright: Command, tmp_path: Path) -> None:
    with beside(World(seen=("203.0.113.9", 5060))) as world:
        Path("callwright.toml").write_text(f'[trunks.a]\nuri = "sip:127.0.0.1:{world.address[1]}"\n')
        callwright("trunks", "add", "b", "sip:127.0.0.1:9", "--data", str(tmp_path / "data"))
        status, out, _ = doctor("--trunk", "a", "--json")
    assert status == 1
    found = json.loads(out)
    assert {one["trunk"] for one in found} == {"a"}
    (wrong,) = [one for one in found if one["level"] == "failure"]
    assert wrong["check"] == "address"
    assert wrong["mend"].startswith('advertise = "203.0.113.9"')


def test_trunks_test_is_the_same_for_one(callwright: Command, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    with beside(World()) as world:
        callwright("trunks", "add", "b", f"sip:127.0.0.1:{world.address[1]}", *data)
        ports = ("--sip", "127.0.0.1:0", "--rtp-ports", own_rtp_ports())
        status, out, _ = callwright("trunks", "test", "b", "--json", *ports, *data)
    assert status == 0
    assert {one["check"] for one in json.loads(out)} >= {"options", "address"}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "no trunk is set"),
        (("--trunk", "sip:127.0.0.1:9", "--call", "ring me"), "international form"),
        (("--trunk", "sip:"), "host is missing"),
    ],
)
def test_what_cannot_be_looked_at_is_said(doctor: Command, words: tuple[str, ...], complaint: str) -> None:
    status, _, err = doctor(*words)
    assert status == 2
    assert complaint in err


def test_an_unknown_name_lists_the_known_ones(doctor: Command) -> None:
    Path("callwright.toml").write_text('[trunks.a]\nuri = "sip:127.0.0.1:9"\n')
    status, _, err = doctor("--trunk", "b")
    assert status == 2
    assert "there is no trunk b in use; there are: a" in err
