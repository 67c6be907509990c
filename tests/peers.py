"""Programs of other people that tests, chaos and soaks talk to over UDP: they do not say when they listen."""

import asyncio
from collections.abc import Callable
from pathlib import Path

HOST = "127.0.0.1"
PATIENCE_SECONDS = 60.0
MOST_OF_OUTPUT = 800


class PeerTrouble(Exception):
    """A peer did not start."""


def is_bound(port: int) -> bool:
    """Whether somebody listens on the UDP port, without taking it for a moment."""
    sockets = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(int(line.split()[1].rpartition(":")[2], 16) == port for line in sockets)


async def until(condition: Callable[[], bool]) -> None:
    """Look again and again; TimeoutError when it does not come about."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - peers do not say when they listen, nor when they stopped
            await asyncio.sleep(0.02)


async def start_sipp(program: str, scenario: Path, port: int, folder: Path, *words: str) -> asyncio.subprocess.Process:
    """SIPp at a port of the loopback, once it listens; the process is the caller's to end.

    What it says is in `folder`: `sipp.out` and `sipp.err`. PeerTrouble, with the end of that, when it ends instead.
    """
    with (folder / "sipp.out").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program, "-sf", str(scenario), "-i", HOST, "-p", str(port), "-nostdin",
            "-trace_err", "-error_file", str(folder / "sipp.err"), *words,
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
        )  # fmt: skip
    try:
        await until(lambda: is_bound(port) or process.returncode is not None)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode is not None:
        said = (folder / "sipp.out").read_text(errors="replace")[-MOST_OF_OUTPUT:]
        raise PeerTrouble(f"SIPp ended with status {process.returncode}: {said}")
    return process
