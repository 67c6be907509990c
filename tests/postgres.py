"""A PostgreSQL of the tests' own, from Debian's package: started where it is needed, gone with the process.

The server has no TCP port: its socket lies in its folder, which is also the name it goes by in URLs. PostgreSQL
refuses to run as root, so that under root it runs as the user that Debian's package makes for it.
"""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql

PROGRAMS: Final = Path("/usr/lib/postgresql")
"""Debian keeps every version apart, and none of these programs in PATH."""
START_SECONDS: Final = 60.0
DEBIAN_USER: Final = "postgres"
EMPTY: Final = "template0"
EMPTY_ALL: Final = """
DO $$ DECLARE written text; BEGIN
    SET LOCAL session_replication_role = replica;  -- no matter who refers to whom
    FOR written IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
        EXECUTE format('DELETE FROM %I', written);
    END LOOP;
END $$
"""


def programs() -> Path | None:
    """Where the newest installed server's programs are; None when there is none."""
    found = sorted(PROGRAMS.glob("*/bin/postgres"), key=lambda path: int(path.parent.parent.name))
    return found[-1].parent if found else None


class Postgres:
    """A server with as many databases as asked for. `is_durable` says whether it may lose data when it is killed."""

    SOCKET: Final = ".s.PGSQL.5432"

    def __init__(self, *, is_durable: bool = False) -> None:
        found = programs()
        assert found is not None, "PostgreSQL is missing: scripts/install-peers installs it"
        self._programs = found
        self._is_durable = is_durable
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)
        self.folder = Path(tempfile.mkdtemp(prefix="callwright-pg-", dir="/tmp"))  # short: socket paths have an end
        self._data = self.folder / "data"
        try:
            if os.getuid() == 0:
                shutil.chown(self.folder, DEBIAN_USER, DEBIAN_USER)
            self._run("initdb", "--no-sync", "--auth=trust", "--username=callwright", "--encoding=UTF8",
                      "--locale=C.UTF-8", str(self._data))  # fmt: skip
            self.start()
        except BaseException:
            self.remove()
            raise

    def start(self) -> None:
        """Start it, or start it again; returns when it answers. It ends with the thread that calls: the main one."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "16MB",
            "autovacuum": "off",
            "logging_collector": "off",
            "log_min_messages": "fatal",
        }
        if not self._is_durable:
            options |= {"fsync": "off", "full_page_writes": "off"}
        command = self._command("postgres", "-D", str(self._data))
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        give_up_at = time.monotonic() + START_SECONDS
        while True:
            try:
                self._ask("SELECT 1")
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < give_up_at, "PostgreSQL does not start"
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: throw everybody out and shut down. SIGQUIT: at once, as a crash; it recovers when started again."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(how)
            process.wait()

    def kill(self) -> None:
        """Kill -9 of the whole server, as when the machine loses power (but for the disk)."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            self._signal(process, signal.SIGKILL)
            process.wait()
            while self._pids(process):
                time.sleep(0.01)

    def freeze(self) -> None:
        """It answers nothing any more, and nothing breaks; until `thaw`."""
        assert self._process is not None
        self._signal(self._process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        assert self._process is not None
        self._signal(self._process, signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and remove all that it wrote."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, folder: Path | None = None) -> str:
        """The URL of a database here; by another socket when that is in `folder`."""
        return f"postgresql://callwright@/{database}?host={quote(str(folder or self.folder), safe='')}"

    def create(self, template: str = EMPTY) -> str:
        """A new database, as a copy of `template` (that nobody is connected to); its name."""
        name = f"test{next(self._names)}"
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log")
        give_up_at = time.monotonic() + START_SECONDS
        while True:
            try:
                self._ask(make.format(sql.Identifier(name), sql.Identifier(template)))
            except psycopg.errors.ObjectInUse:  # who left it is not gone yet; the server itself waits five seconds
                assert time.monotonic() < give_up_at, f"{template} is in use"
            else:
                return name

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._ask(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def empty(self, database: str) -> str | None:
        """Remove every row, whoever wrote it, but for the schema's version; which that is."""
        self.throw_out(database)
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(EMPTY_ALL)
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if row is None else str(row[0])

    def throw_out(self, database: str) -> None:
        """Break every connection to a database."""
        self._ask(sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}").format(database))

    def _ask(self, query: str | sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(query)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(self._command(program, *arguments), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def _command(self, program: str, *arguments: str) -> list[str]:
        """As Debian's user when we are root; the server ends when the process that started it does."""
        become = ["--reuid", DEBIAN_USER, "--regid", DEBIAN_USER, "--init-groups"] if os.getuid() == 0 else []
        return ["setpriv", *become, "--pdeathsig", "INT", str(self._programs / program), *arguments]

    def _signal(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        for pid in self._pids(process):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _pids(self, process: subprocess.Popen[bytes]) -> list[int]:
        """The server and its backends: each of those is a session leader of its own, and a child of the server."""
        children = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == process.pid:
                children.append(int(status.parent.name))
        return [process.pid, *children] if process.poll() is None else children
