"""A wire between callwright and PostgreSQL that breaks where a test wants it to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.postgres import Postgres

COMMIT = b"COMMIT\x00"
CHUNK = 65_536


class Wire:
    """Sockets on which a server is reached. What happens to a commit is told beforehand, and happens once."""

    def __init__(self, server: Postgres, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._writers: set[asyncio.StreamWriter] = set()
        self.lose_commit = False
        "cut it off before the server hears of it"
        self.lose_answer = False
        "cut it off before the server's answer is heard"
        self.hold_commit: asyncio.Event | None = None
        "the server hears of it when this is set, whoever is still there"
        self.met = asyncio.Event()
        "it happened"
        self.is_cut = False
        "nobody gets through"

    def url(self, database: str) -> str:
        """The URL of a database, by this wire."""
        return self._server.url(database, self._folder)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Wire"]:
        """While it is there."""
        server = await asyncio.start_unix_server(self._carry, self._folder / Postgres.SOCKET)
        try:
            yield self
        finally:
            server.close()
            for writer in self._writers:
                writer.close()

    def cut(self) -> None:
        """Break what is there, and let nobody through until `is_cut` is false again."""
        self.is_cut = True
        for writer in self._writers:
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.close()
            return
        from_server, to_server = await asyncio.open_unix_connection(self._server.folder / Postgres.SOCKET)
        self._writers |= {writer, to_server}
        await asyncio.gather(self._ask(reader, to_server, writer), self._answer(from_server, writer))

    async def _ask(
        self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while said := await reader.read(CHUNK):
                if COMMIT in said:
                    if self.lose_commit:
                        self.lose_commit = False
                        self.met.set()
                        break
                    if self.lose_answer:
                        self.lose_answer = False
                        self.met.set()
                        writer.close()
                    if self.hold_commit is not None:
                        held, self.hold_commit = self.hold_commit, None
                        self.met.set()
                        await held.wait()
                to_server.write(said)
                await to_server.drain()
        except ConnectionError:
            pass
        finally:
            to_server.close()
            writer.close()

    async def _answer(self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while said := await from_server.read(CHUNK):
                writer.write(said)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
