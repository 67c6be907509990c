"""The C program crowd.c, compiled and running: the ears and mouths of thousands of callees."""

import asyncio
import json
import shutil
import socket
from pathlib import Path
from typing import Any, Protocol, Self

from bench.rig.trouble import ServerTrouble

SOURCE = Path(__file__).with_name("crowd.c")


class Listener(Protocol):
    """Whoever measures streams."""

    async def ask(self, command: str) -> dict[str, Any]:
        """`begin` or `report`."""


class Media:
    """A running crowd.c."""

    def __init__(self, commands: asyncio.StreamWriter, answers: asyncio.StreamReader) -> None:
        self._commands, self._answers = commands, answers
        self._ports: list[int] = []

    @classmethod
    async def start(cls, program: str, frames: str) -> tuple[Self, asyncio.subprocess.Process]:
        """Run `program` with the file of the message as it should be heard; the process is the caller's to end."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(program, frames, stdin=pipe, stdout=pipe)
        if process.stdin is None or process.stdout is None:
            raise ServerTrouble("the media program has no pipes")
        media = cls(process.stdin, process.stdout)
        media._ports = (await media._answer())["ports"]
        return media, process

    def port_of(self, index: int) -> int:
        """Where a callee has its sound, at its address."""
        return self._ports[index % len(self._ports)]

    def tell(self, command: str) -> None:
        """A command without an answer."""
        self._commands.write(f"{command}\n".encode())

    async def ask(self, command: str) -> dict[str, Any]:
        """Any command; what it answers, and how many callees are `up`."""
        self.tell(command)
        if command != "report":
            return {}
        report = await self._answer()
        return report | {"up": report["streams"]}

    async def _answer(self) -> dict[str, Any]:
        line = await self._answers.readline()
        if not line:
            raise ServerTrouble("the media program ended")
        document: dict[str, Any] = json.loads(line)
        return document


def address_of(index: int) -> str:
    """Where a callee has its sound, as crowd.c counts."""
    return str(socket.inet_ntoa((0x7F000000 + 65_536 + index).to_bytes(4, "big")))


async def compiled(folder: Path) -> str:
    """crowd.c as a program in `folder`; ServerTrouble without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise ServerTrouble("thousands of callees need a C compiler (cc or gcc), and there is none")
    program = folder / "crowd"
    process = await asyncio.create_subprocess_exec(compiler, "-O2", "-o", str(program), str(SOURCE))
    if await process.wait():
        raise ServerTrouble(f"{SOURCE.name} cannot be compiled")
    return str(program)
