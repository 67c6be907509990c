"""Programs of whole-call tests: what they say is read right, however it comes, and their ports are theirs."""

import asyncio
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.programs import unused_port

if TYPE_CHECKING:
    from tests.programs import Shell

on_the_session_loop = pytest.mark.asyncio(loop_scope="session")

IN_TWO_PIECES = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
line, cut = sys.argv[1].encode(), int(sys.argv[2])
os.write(1, line[:cut])
signal.sigwait({signal.SIGUSR1})
os.write(1, line[cut:])
signal.sigwait({signal.SIGUSR1})
"""


@on_the_session_loop
@pytest.mark.parametrize(
    ("line", "cut", "read_first"),
    [
        pytest.param("call 1f048a84 +65••••5678 ringing\n", 21, "call 1f048a84 +65•", id="inside a character"),
        pytest.param("call 1f048a84 +65••••5678 ringing\n", 32, "call 1f048a84 +65••••567", id="inside a word"),
        pytest.param("call 1f048a84 +65••••5678 ringing\n", 41, "ringing", id="before the end of the line"),
    ],
)
async def test_a_line_that_comes_in_two_pieces_is_read_as_one(
    shell: "Shell", line: str, cut: int, read_first: str
) -> None:
    program = await shell.start(sys.executable, "-c", IN_TWO_PIECES, line, str(cut))
    waiting = asyncio.create_task(program.says(r"\+65••••(\d+) (\w+)"))
    async with asyncio.timeout(30):
        while read_first not in program.out:  # noqa: ASYNC110  what is read is told to nobody but to who waits for it
            await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    assert not waiting.done()
    program.signal(signal.SIGUSR1)
    assert (await waiting).groups() == ("5678", "ringing")
    assert program.out == line


@on_the_session_loop
async def test_what_a_program_says_last_counts_without_the_end_of_its_line(shell: "Shell") -> None:
    program = await shell.start(sys.executable, "-c", "print('over', end='')")
    await program.says("over")


@on_the_session_loop
async def test_a_program_that_ends_without_a_word_is_not_waited_for(shell: "Shell") -> None:
    program = await shell.start(sys.executable, "-c", "print('something else')")
    with pytest.raises(AssertionError, match=r"(?s)without 'ready'.*something else"):
        await program.says("ready")


def test_a_port_is_nobodys_and_the_system_gives_it_to_nobody() -> None:
    ports = {unused_port() for _ in range(20)}
    assert len(ports) == 20
    handed_out = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    assert max(ports) < int(handed_out.split()[0])
    for port in ports:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))


def test_a_port_that_somebody_has_is_passed_over() -> None:
    port = unused_port()
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(type=kind) as taken:
            taken.bind(("127.0.0.1", port + 1))
            assert unused_port() != port + 1
            port = unused_port()
