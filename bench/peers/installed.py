"""Which peers there are, and which of them are here."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.peers import rtpengine, sipp
from bench.rig.result import Failure, Result
from bench.rig.rig import Rig, Size
from bench.rig.trouble import Attempt

PEERS: dict[str, tuple[str, str, Callable[[Rig, str], Awaitable[Result]] | None]] = {
    "SIPp": ("sipp", "-v", sipp.measure),
    "rtpengine": ("rtpengine", "--version", rtpengine.measure),
    "Asterisk": ("asterisk", "-V", None),
    "FreeSWITCH": ("freeswitch", "-version", None),
}
"""Name → program, how it tells its version, and what drives it: None where nothing here does."""
LIMIT_SECONDS = 600.0
NOT_INSTALLED = "not installed"


@dataclass(frozen=True, slots=True)
class Peer:
    """What a peer measured, or why nothing was."""

    name: str
    state: str
    "its version, or why it was not measured"
    result: Result | None = None


async def measure(size: Size) -> list[Peer]:
    """Every peer, one after the other."""
    peers = []
    for name, (program, flag, drive) in PEERS.items():
        path = shutil.which(program)
        if path is None:
            peers.append(Peer(name, NOT_INSTALLED))
        elif drive is None:
            peers.append(Peer(name, f"{_version(path, flag)} is installed, but nothing here drives it"))
        else:
            print(f"measuring {name} …", file=sys.stderr)
            peers.append(Peer(name, _version(path, flag), await _measured(name, path, drive, size)))
    return peers


async def _measured(name: str, program: str, drive: Callable[[Rig, str], Awaitable[Result]], size: Size) -> Result:
    rig = Rig(size)
    failures: list[Failure] = []
    try:
        with Attempt(name, failures):
            async with asyncio.timeout(LIMIT_SECONDS):
                return await drive(rig, program)
    finally:
        await rig.close()
    return Result(name, (), failures=tuple(failures))


def _version(program: str, flag: str) -> str:
    """As the program tells it, reduced to numbers."""
    done = subprocess.run([program, flag], capture_output=True, text=True, check=False, timeout=10)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "a version that it does not tell"
