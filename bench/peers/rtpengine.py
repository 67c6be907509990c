"""rtpengine as a relay of as many calls: it is told of them by its control protocol (ng) and forwards their sound.

It is no user agent, so both ends are crowd.c's: mouths that say the message, and callees. Without its kernel module.
"""

import asyncio
import contextlib
import itertools
import socket
import tempfile
from pathlib import Path
from typing import Any

from bench.concurrent_calls import FEW, WINDOW_SECONDS, figures_of, load_of, until_all_play
from bench.peers import bencode
from bench.rig.media import Media, address_of, compiled
from bench.rig.processes import cpu_seconds
from bench.rig.result import Failure, Figure, Result
from bench.rig.rig import Rig, end, free_port
from bench.rig.trouble import Attempt, ServerTrouble

HOST = "127.0.0.1"
MOUTH_FRAME = b"\xfe" * 160
"""What crowd.c says."""
PORTS = (20_000, 32_000)
"""Four for each call; those that are taken are passed over."""
START_SECONDS = 15.0
ANSWER_SECONDS, ATTEMPTS = 2.0, 5


async def measure(rig: Rig, program: str) -> Result:
    """What calls cost it while one end talks, while both do, and what it costs to make and end one."""
    count = rig.sized(*FEW)
    figures: list[Figure] = []
    failures: list[Failure] = []
    raw: dict[str, str | int | float] = {}
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callwright-rtpengine-")))
        mouths, callees = await _media(stack, folder), await _media(stack, folder)
        pid, control = await _start(stack, program, folder)
        before = cpu_seconds(pid)
        for index in range(count):
            await _call(control, index, mouths, callees)
        set_up = cpu_seconds(pid) - before
        window = rig.sized(1.0, WINDOW_SECONDS / 2, WINDOW_SECONDS)
        mouths.tell("talk 1")
        for word, talking in (("listen", 0), ("talk", 1)):
            name = f"{count} calls, callees {word}"
            with Attempt(name, failures):
                callees.tell(f"talk {talking}")
                await until_all_play(callees)
                figures += figures_of(name, await load_of(callees, pid, count, window), raw)
        mouths.tell("talk 0")
        callees.tell("talk 0")
        before = cpu_seconds(pid)
        for index in range(count):
            await control.ask("delete", {"call-id": f"call-{index}", "from-tag": "mouth"})
        cpu_ms = (set_up + cpu_seconds(pid) - before) * 1000
        note = "offer, answer, delete by ng; no SIP, no sound"
        figures.append(Figure("relayed call, set up and ended", cpu_ms / count, "CPU ms", note=note))
    return Result("rtpengine", tuple(figures), raw, tuple(failures))


class Control:
    """The ng protocol: a cookie and a dictionary in a datagram, asked again when no answer comes."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.connect((HOST, port))
        self._cookies = itertools.count(1)

    async def ask(self, command: str, words: dict[str, Any]) -> dict[str, Any]:
        """The answer; ServerTrouble when it is an error or none, ConnectionRefusedError when nobody listens."""
        cookie = f"bench_{next(self._cookies)}".encode()
        data = cookie + b" " + bencode.serialize({"command": command} | words)
        for _ in range(ATTEMPTS):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await self._exchange(data, cookie)
        raise ServerTrouble(f"rtpengine did not answer '{command}'")

    async def _exchange(self, data: bytes, cookie: bytes) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._socket, data)
        while True:
            came, _, body = (await loop.sock_recv(self._socket, 65_536)).partition(b" ")
            if came == cookie:
                break
        answer: dict[str, Any] = bencode.parse(body)
        if answer["result"] not in ("ok", "pong"):
            raise ServerTrouble(f"rtpengine: {answer.get('error-reason', answer['result'])}")
        return answer

    def close(self) -> None:
        """No more questions."""
        self._socket.close()


async def _media(stack: contextlib.AsyncExitStack, folder: Path) -> Media:
    frames = folder / "message"
    frames.write_bytes(MOUTH_FRAME)
    media, process = await Media.start(await compiled(folder), str(frames))
    stack.push_async_callback(end, process)
    return media


async def _start(stack: contextlib.AsyncExitStack, program: str, folder: Path) -> tuple[int, Control]:
    """Its process, once it answers."""
    port = free_port(socket.SOCK_DGRAM)
    log = stack.enter_context((folder / "log").open("wb"))
    process = await asyncio.create_subprocess_exec(
        program, "--config-file=none", "--foreground", "--log-stderr", "--log-level=3", "--table=-1",
        f"--interface={HOST}", f"--listen-ng={HOST}:{port}", f"--port-min={PORTS[0]}", f"--port-max={PORTS[1]}",
        "--delete-delay=0", stdout=log, stderr=log, cwd=folder,
    )  # fmt: skip
    stack.push_async_callback(end, process)
    control = Control(port)
    stack.callback(control.close)
    async with asyncio.timeout(START_SECONDS):
        while True:
            if process.returncode is not None:
                raise ServerTrouble(f"rtpengine ended with status {process.returncode}")
            try:
                await control.ask("ping", {})
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                return process.pid, control


async def _call(control: Control, index: int, mouths: Media, callees: Media) -> None:
    """One more call between a mouth and a callee, each of which sends to rtpengine."""
    words = {"call-id": f"call-{index}", "from-tag": "mouth", "ICE": "remove"}
    offer = await control.ask("offer", words | {"sdp": _sdp(index, mouths)})
    answer = await control.ask("answer", words | {"to-tag": "callee", "sdp": _sdp(index, callees)})
    callees.tell(f"add {index} {HOST} {_port(offer)}")
    mouths.tell(f"add {index} {HOST} {_port(answer)}")


def _sdp(index: int, media: Media) -> str:
    address = address_of(index)
    return (
        f"v=0\r\no=- {index} 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        f"m=audio {media.port_of(index)} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )


def _port(answer: dict[str, Any]) -> int:
    return int(answer["sdp"].partition("m=audio ")[2].partition(" ")[0])
