"""The bench's rig with SIPp as the callee: a SIP stack that is not ours, and thousands of calls through one address."""

import asyncio
import csv
import shutil
import signal
import socket
import tempfile
from pathlib import Path

from bench.rig.rig import Rig, free_port
from bench.rig.trouble import ServerTrouble
from tests.peers import PeerTrouble, start_sipp

HOST = "127.0.0.1"
SCENARIO = Path(__file__).parent / "sipp" / "answer.xml"
END_SECONDS = 60.0
PAIR_ATTEMPTS = 100


class SippRig(Rig):
    """A server whose trunk is SIPp. ServerTrouble when it is not installed."""

    _process: asyncio.subprocess.Process | None = None
    _folder = Path()
    _port = 0

    async def trunk_port(self) -> int:
        """SIPp's port, once it listens."""
        if self._process is None:
            await self._start()
        return self._port

    async def _start(self) -> None:
        program = shutil.which("sipp")
        if program is None:
            raise ServerTrouble("SIPp is not installed (Debian's sip-tester; scripts/install-peers)")
        self._folder = Path(self._closers.enter_context(tempfile.TemporaryDirectory(prefix="callwright-sipp-")))
        self._port = free_port(socket.SOCK_DGRAM)
        ears = _ears()
        for ear in ears:
            self._closers.callback(ear.close)
        try:
            self._process = await start_sipp(
                program, SCENARIO, self._port, self._folder, "-key", "ear", str(ears[0].getsockname()[1]),
                "-trace_stat", "-stf", str(self._folder / "statistics"),
            )  # fmt: skip
        except PeerTrouble as trouble:
            raise ServerTrouble(str(trouble)) from trouble
        self._closers.push_async_callback(self.end)

    async def end(self) -> tuple[int, int]:
        """No more calls: (calls that went as they should, calls that did not)."""
        process = self._process
        if process is None:
            raise ServerTrouble("SIPp was never started")
        if process.returncode is None:
            process.send_signal(signal.SIGUSR1)
            try:
                async with asyncio.timeout(END_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        with (self._folder / "statistics").open(newline="") as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        return int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])


def _ears() -> tuple[socket.socket, socket.socket]:
    """RTP and RTCP ports that are never read: what comes finds somebody, and the kernel drops it."""
    for _ in range(PAIR_ATTEMPTS):
        rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        rtp.bind((HOST, 0))
        port = rtp.getsockname()[1]
        try:
            if port % 2 == 0:
                rtcp.bind((HOST, port + 1))
                return rtp, rtcp
        except OSError:
            pass
        rtp.close()
        rtcp.close()
    raise ServerTrouble("no two neighbouring ports are free")
