"""An SFTP server that nobody here wrote: Debian's OpenSSH, a process for each connection.

It runs in a mount namespace of its own, where /etc/passwd and /etc/shadow have one more user and /srv is the test's
folder: passwords are checked as on any system, and this one is not touched. That needs root.
"""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from callwright.contract.recordings import RecordingPushConfig
from callwright.recordings.places import place
from callwright.recordings.push.parcel import Parcel

SSHD = Path("/usr/sbin/sshd")
USER, PASSWORD, USER_ID = "recorder", "correct horse", 54_321
SETTINGS = """
HostKey {folder}/host_key
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PubkeyAuthentication no
PidFile none
Subsystem sftp internal-sftp
ForceCommand internal-sftp
"""
ENTER = """
set -e
mount --make-rprivate /
mount --bind {folder}/passwd /etc/passwd
mount --bind {folder}/shadow /etc/shadow
mount --bind {folder}/home /srv
mount -t tmpfs none /run
mkdir /run/sshd
exec {sshd} -i -e -f {folder}/sshd_config
"""


@dataclass
class OpenSsh:
    """A listening socket; sshd is started for each connection, as inetd would."""

    folder: Path
    listener: socket.socket = field(default_factory=socket.socket)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    @property
    def home(self) -> Path:
        """What the user sees as /srv."""
        return self.folder / "home"

    def new_host_key(self) -> None:
        key = self.folder / "host_key"
        key.unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)

    def prepare(self) -> None:
        self.home.mkdir()
        os.chown(self.home, USER_ID, USER_ID)
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True
        ).stdout
        user = f"{USER}:x:{USER_ID}:{USER_ID}::/srv:/usr/sbin/nologin\n"
        (self.folder / "passwd").write_text(Path("/etc/passwd").read_text(encoding="utf-8") + user, encoding="utf-8")
        shadow = self.folder / "shadow"
        shadow.touch(0o600)
        shadow.write_text(f"{USER}:{hashed.strip()}:19000:0:99999:7:::\n", encoding="utf-8")
        (self.folder / "sshd_config").write_text(SETTINGS.format(folder=self.folder), encoding="utf-8")
        self.new_host_key()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.listener.settimeout(0)

    async def serve(self) -> None:
        script = ENTER.format(folder=self.folder, sshd=SSHD)
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(self.listener)
            with connection:
                connection.settimeout(None)
                self.processes.append(await asyncio.to_thread(self._start, script, connection.fileno()))

    def _start(self, script: str, descriptor: int) -> "subprocess.Popen[bytes]":
        command = ["unshare", "--mount", "sh", "-c", script]
        return subprocess.Popen(command, stdin=descriptor, stdout=descriptor, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self.listener.close()
        for process in self.processes:
            process.kill()
            process.wait()


def _why_not() -> str | None:
    if not SSHD.exists() or shutil.which("ssh-keygen") is None or shutil.which("openssl") is None:
        return "OpenSSH's server is missing: run scripts/install-peers"
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        return "a user for OpenSSH needs a mount namespace, and that needs root"
    return None


@pytest.fixture
async def open_ssh(tmp_path: Path) -> AsyncIterator[OpenSsh]:
    if (reason := _why_not()) is not None:
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path / "ssh"
    folder.mkdir()
    server = OpenSsh(folder)
    server.prepare()
    serving = asyncio.create_task(server.serve())
    yield server
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    server.stop()


@pytest.fixture
def parcel(tmp_path: Path) -> Callable[..., Parcel]:
    """A file for a target."""
    file = tmp_path / "recording.mp3"
    file.write_bytes(bytes(range(256)) * 4000)

    def make(config: RecordingPushConfig, account: str = "riders_hq") -> Parcel:
        where = place(config, "5e55-1", "4ec0-1", 1_800_000_000.25, "mp3")
        return Parcel(account, config, file, "mp3", where.path)

    return make
