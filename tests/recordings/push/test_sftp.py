"""SFTP against Debian's OpenSSH, and against asyncssh's own server where a test wants one that is odd."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from callwright.contract.recordings import RecordingPushConfig
from callwright.egress import Egress
from callwright.errors import PushFailed
from callwright.recordings.push.host_keys import HostKeys
from callwright.recordings.push.parcel import Parcel
from callwright.recordings.push.sftp import SftpPush

MakeParcel = Callable[..., Parcel]
USER, PASSWORD = "recorder", "correct horse"
NAME = "5e55-1/4ec0-1_2027-01-15T08:00:00.250Z.mp3"


def config(
    port: int, path: str = "/srv/calls", password: str = PASSWORD, host: str = "127.0.0.1"
) -> RecordingPushConfig:
    return RecordingPushConfig("SFTP", host, port, USER, password, path)


@pytest.fixture
def host_keys(tmp_path: Path) -> HostKeys:
    return HostKeys(tmp_path / "host-keys")


@pytest.fixture
def push(egress: Egress, host_keys: HostKeys) -> SftpPush:
    return SftpPush(egress.connect, host_keys)


# --- OpenSSH ----------------------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize(("path", "folder"), [("/srv/calls/2027", "calls/2027"), ("calls", "calls"), ("", "")])
async def test_a_file_arrives_whole_under_its_name(
    push: SftpPush, open_ssh: Any, parcel: MakeParcel, path: str, folder: str
) -> None:
    sent = parcel(config(open_ssh.port, path))
    await push(sent)
    await push(sent)  # a second time replaces the first
    (file,) = [found for found in open_ssh.home.rglob("*") if found.is_file()]
    assert file == open_ssh.home / folder / NAME
    assert file.read_bytes() == sent.file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o640


@pytest.mark.real
async def test_a_wrong_password_is_said(push: SftpPush, open_ssh: Any, parcel: MakeParcel) -> None:
    with pytest.raises(PushFailed, match="refused the user name or password"):
        await push(parcel(config(open_ssh.port, password="wrong")))


@pytest.mark.real
async def test_a_folder_that_may_not_be_written_is_said(push: SftpPush, open_ssh: Any, parcel: MakeParcel) -> None:
    with pytest.raises(PushFailed, match="does not let this user make folders there"):
        await push(parcel(config(open_ssh.port, "/etc/calls")))


@pytest.mark.real
async def test_a_host_with_another_key_gets_nothing_until_its_key_is_forgotten(
    push: SftpPush, host_keys: HostKeys, open_ssh: Any, parcel: MakeParcel
) -> None:
    await push(parcel(config(open_ssh.port)))
    open_ssh.new_host_key()
    with pytest.raises(PushFailed, match="showed another host key than before"):
        await push(parcel(config(open_ssh.port)))
    await push(parcel(config(open_ssh.port), "another_account"))  # who has not met the host yet trusts it
    host_keys.forget("riders_hq")
    await push(parcel(config(open_ssh.port)))


@pytest.mark.real
async def test_with_a_list_only_hosts_in_it_are_trusted(
    egress: Egress, open_ssh: Any, tmp_path: Path, parcel: MakeParcel
) -> None:
    listed = tmp_path / "known_hosts"
    key = (open_ssh.folder / "host_key.pub").read_text(encoding="ascii")
    listed.write_text(f"sftp.example.com {key}[127.0.0.1]:{open_ssh.port} {key}", encoding="ascii")
    push = SftpPush(egress.connect, HostKeys(tmp_path / "host-keys", listed))
    await push(parcel(config(open_ssh.port)))
    open_ssh.new_host_key()
    with pytest.raises(PushFailed, match="another host key"):
        await push(parcel(config(open_ssh.port)))
    with pytest.raises(PushFailed, match=r"does not know the host key of 127\.0\.0\.2"):
        await push(parcel(config(open_ssh.port, host="127.0.0.2")))
    assert not (tmp_path / "host-keys").exists()


# --- asyncssh's server ------------------------------------------------------------------------------------------------


class Login(asyncssh.SSHServer):
    """Takes one password; counts the passwords it was shown."""

    shown: int = 0

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        type(self).shown += 1
        return (username, password) == (USER, PASSWORD)


class Questions(asyncssh.SSHServer):
    """Asks for the password as a question, as servers with PAM do."""

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return False

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", [("Password: ", False)]

    def validate_kbdint_response(self, username: str, responses: Any) -> bool:
        return list(responses) == [PASSWORD]


class Open(asyncssh.SSHServer):
    """Lets everybody in without asking."""

    def begin_auth(self, username: str) -> bool:
        return False


class Plain(asyncssh.SFTPServer):
    """SFTP version 3 without OpenSSH's additions."""

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("not here")

    def fsync(self, file_obj: object) -> None:
        raise asyncssh.SFTPOpUnsupported("not here")


class Full(asyncssh.SFTPServer):
    """A disk without room."""

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        raise asyncssh.SFTPFailure("no\x1b[31m space\nleft")


class Forgetful(asyncssh.SFTPServer):
    """Says that it wrote, and keeps nothing."""

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        return len(data)


Serve = Callable[..., Any]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    root = tmp_path / "root"
    root.mkdir()
    async with AsyncExitStack() as stack:

        async def start(login: type[asyncssh.SSHServer] = Login, sftp: Any = asyncssh.SFTPServer) -> int:
            server = await asyncssh.listen(
                "127.0.0.1",
                0,
                server_factory=login,
                server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
                sftp_factory=lambda channel: sftp(channel, chroot=str(root)),
            )
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
            return server.get_port()

        yield start


@pytest.mark.parametrize(
    ("login", "sftp"), [(Login, asyncssh.SFTPServer), (Questions, asyncssh.SFTPServer), (Login, Plain)]
)
async def test_other_servers_take_it_too(
    push: SftpPush, serve: Serve, tmp_path: Path, parcel: MakeParcel, login: Any, sftp: Any
) -> None:
    sent = parcel(config(await serve(login, sftp), "/calls"))
    await push(sent)
    await push(sent)
    (file,) = [found for found in (tmp_path / "root").rglob("*") if found.is_file()]
    assert file.read_bytes() == sent.file.read_bytes()


@pytest.mark.parametrize(
    ("login", "sftp", "complaint"),
    [
        (Login, Full, r"refused the upload: no \[31m space left\.$"),
        (Login, Forgetful, r"did not keep the whole file\."),
        (Open, asyncssh.SFTPServer, r"refused the user name or password\."),
    ],
)
async def test_a_server_that_does_not_keep_it_is_a_reason_to_try_again(
    push: SftpPush, serve: Serve, tmp_path: Path, parcel: MakeParcel, login: Any, sftp: Any, complaint: str
) -> None:
    with pytest.raises(PushFailed, match=complaint):
        await push(parcel(config(await serve(login, sftp), "/calls")))
    assert not list((tmp_path / "root").rglob("*.mp3"))


async def test_a_host_with_another_key_is_not_shown_the_password(
    egress: Egress, serve: Serve, host_keys: HostKeys, parcel: MakeParcel
) -> None:
    port = await serve()
    host_keys.remember("riders_hq", "127.0.0.1", port, asyncssh.generate_private_key("ssh-ed25519"))
    Login.shown = 0
    with pytest.raises(PushFailed, match="another host key"):
        await SftpPush(egress.connect, host_keys)(parcel(config(port)))
    assert Login.shown == 0


async def test_a_login_that_fails_teaches_no_host_key(
    push: SftpPush, serve: Serve, host_keys: HostKeys, parcel: MakeParcel
) -> None:
    port = await serve()
    with pytest.raises(PushFailed):
        await push(parcel(config(port, password="wrong")))
    assert host_keys.trusted("riders_hq", "127.0.0.1", port) == []


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad\r\n\r\n", b"SSH-1.0-old\r\n", b"\0" * 100_000, b""])
async def test_what_is_no_ssh_server_is_a_reason_to_try_again(
    push: SftpPush, parcel: MakeParcel, greeting: bytes
) -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        with pytest.raises(PushFailed, match=r"The SFTP connection to 127\.0\.0\.1 failed: "):
            await push(parcel(config(server.sockets[0].getsockname()[1])))


async def test_an_upload_that_is_cut_off_closes_its_connection(push: SftpPush, parcel: MakeParcel) -> None:
    came, left = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        while await reader.read(1000):
            pass
        left.set()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        task = asyncio.create_task(push(parcel(config(server.sockets[0].getsockname()[1]))))
        await came.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(60):
            await left.wait()


@pytest.mark.parametrize(
    ("host", "port", "complaint"),
    [
        ("127.0.0.1", 1, "a port that belongs to another protocol"),
        ("127.0.0.1", 6379, "a port that belongs to another protocol"),
        ("10.0.0.1", 22, "it is a private address"),
        ("169.254.169.254", 22, "it is a link-local address"),
    ],
)
async def test_places_inside_are_not_reached(
    push: SftpPush, parcel: MakeParcel, host: str, port: int, complaint: str
) -> None:
    with pytest.raises(PushFailed, match=complaint):
        await push(parcel(config(port, host=host)))


async def test_a_list_that_cannot_be_read_trusts_nobody(egress: Egress, tmp_path: Path, parcel: MakeParcel) -> None:
    push = SftpPush(egress.connect, HostKeys(tmp_path / "host-keys", tmp_path / "missing"))
    with pytest.raises(PushFailed, match="cannot be read"):
        await push(parcel(config(22)))


def test_hosts_are_remembered_one_by_one(host_keys: HostKeys) -> None:
    first, second, third = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(3))
    host_keys.remember("riders_hq", "SFTP.example.com", 22, first)
    host_keys.remember("riders_hq", "sftp.example.com", 2222, second)
    assert host_keys.trusted("riders_hq", "sftp.example.com", 22) == [first.convert_to_public()]
    assert host_keys.trusted("riders_hq", "sftp.example.com", 2222) == [second.convert_to_public()]
    host_keys.remember("riders_hq", "sftp.example.com", 22, third)
    assert host_keys.trusted("riders_hq", "sftp.example.com", 22) == [third.convert_to_public()]
    assert host_keys.trusted("another_account", "sftp.example.com", 22) == []
