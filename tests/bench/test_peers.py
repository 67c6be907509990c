"""Peers at the same work: SIPp and rtpengine where they are installed; what they are told and played anywhere."""

import io
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench.peers import bencode, pcap
from bench.peers.installed import PEERS, Peer
from bench.rig.result import Failure, Figure, Result
from rich.console import Console

from bench import report

ROOT = Path(__file__).parents[2]
OURS = {"4 calls, callees talk", "4 calls, callees talk: gap, p99", "4 calls, callees talk: packets amiss"}
SIPP = OURS | {"full session"}
RTPENGINE = (
    OURS
    | {name.replace("talk", "listen") for name in OURS}
    | {"relayed call, set up and ended"}
)  # fmt: skip


def benched(*words: str, path: str = os.environ["PATH"]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "bench", "--quick", "--peers", "--only", "contract_parse", *words]
    environment = os.environ | {"PATH": path}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.real
@pytest.mark.timeout(400)
@pytest.mark.skipif(os.geteuid() != 0, reason="SIPp sends RTP from a raw socket, which needs root")
@pytest.mark.parametrize(("name", "figures"), [("SIPp", SIPP), ("rtpengine", RTPENGINE)])
def test_a_peer_that_is_installed_does_the_same_work(tmp_path: Path, name: str, figures: set[str]) -> None:
    program = PEERS[name][0]
    if shutil.which(program) is None:
        pytest.skip(f"{name} is not installed")
    for needed in (program, "cc", "as", "ld"):
        found = shutil.which(needed)
        assert found is not None
        (tmp_path / needed).symlink_to(found)
    done = benched("--json", path=str(tmp_path))
    assert done.returncode == 0, done.stderr
    peers = {peer["name"]: peer for peer in json.loads(done.stdout)["peers"]}
    assert {one for one, peer in peers.items() if peer["state"] == "not installed"} == set(PEERS) - {name}
    assert peers[name]["state"][0].isdigit()
    result: dict[str, Any] = peers[name]["result"]
    assert {figure["name"] for figure in result["figures"]} == figures
    assert not result["failures"]
    # Not a speed: who sends nothing would look cheap. Content is looked at by the callees.
    for what, value in result["raw"].items():
        if what.endswith("packet share"):
            assert value > 0.1
        if what.endswith(": wrong"):
            assert value == 0
    assert str(tmp_path) not in done.stdout


def test_peers_that_are_not_installed_are_named_and_are_no_failure(tmp_path: Path) -> None:
    done = benched(path=str(tmp_path))
    assert done.returncode == 0, done.stderr
    for name in PEERS:
        assert any(name in line and "not installed" in line for line in done.stdout.splitlines())


def test_a_peer_stands_beside_our_figure() -> None:
    ours = [Result("calls", (Figure("10 calls", 0.25, "CPU ms"), Figure("idle", 5.0, "MB")))]
    theirs = Result("SIPp", (Figure("10 calls", 1.5, "CPU ms"),), failures=(Failure("full session", "it crashed"),))
    peers = [Peer("SIPp", "3.6.1", theirs), Peer("Asterisk", "not installed")]
    printed = io.StringIO()
    report.show(Console(file=printed, width=160), ours, report.NOTHING, peers)
    rows = printed.getvalue().splitlines()
    (row,) = [row for row in rows if "10 calls" in row and "0.25" in row]
    assert "SIPp 1.50" in row
    assert any("full session" in row and "failed" in row and "it crashed" in row for row in rows)
    assert any("Asterisk" in row and "not installed" in row for row in rows)
    written = report.markdown(report.document(ours, "2026-01-01", 0.1, peers))
    assert "| SIPp 3.6.1: 10 calls | 1.50 CPU ms |" in written
    assert "| SIPp: full session | failed | | it crashed |" in written
    assert "| Asterisk | not installed |" in written


def test_the_capture_holds_the_message_in_rtp_packets_20_ms_apart() -> None:
    payload = bytes(range(256)) * 5
    data = pcap.serialize(payload + b"a rest")
    assert struct.unpack("<IHHiIII", data[:24]) == (0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    heard, at = b"", 24
    for index in range(8):
        seconds, microseconds, length, whole = struct.unpack("<IIII", data[at : at + 16])
        packet = data[at + 16 : at + 16 + length]
        assert (seconds, microseconds, length) == (0, index * 20_000, whole)
        assert packet[12:14] == b"\x08\x00"
        assert struct.unpack(">H", packet[16:18]) == (len(packet) - 14,)
        assert struct.unpack(">H", packet[38:40]) == (len(packet) - 34,)
        assert struct.unpack(">BBHI", packet[42:50]) == (0x80, 0, index, index * 160)
        heard += packet[54:]
        at += 16 + length
    assert at == len(data)
    assert heard == payload


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ({"command": "ping"}, b"d7:command4:pinge"),
        ({"b": ["x", "é"], "a": {}}, b"d1:ade1:bl1:x2:\xc3\xa9ee"),
        ("", b"0:"),
    ],
)
def test_bencode_is_written_and_read(value: Any, data: bytes) -> None:
    assert bencode.serialize(value) == data
    assert bencode.parse(data) == value


def test_bencode_has_numbers() -> None:
    assert bencode.parse(b"d1:ai-7e1:bli0eee") == {"a": -7, "b": [0]}


@pytest.mark.parametrize("data", [b"", b"5:abc", b"d1:ae", b"i7", b"l1:a", b"ix e", b"1:ab", b"l-1:ae", b"1:\xff"])
def test_what_is_no_bencode_is_refused(data: bytes) -> None:
    with pytest.raises(bencode.NotBencode):
        bencode.parse(data)
