"""SFTP: log in with a password, make the folders, upload under another name, rename.

The connection goes to an address that egress checked; no settings, keys, agents or lists of the account that callwright
runs under are used. The host proves itself before it gets the password (host_keys.py).
"""

import asyncio
import posixpath
import socket
from contextlib import aclosing, suppress
from typing import Final, Protocol

import asyncssh

from callwright.contract.recordings import DEFAULT_PORTS
from callwright.errors import EgressError, PushFailed
from callwright.recordings.push.host_keys import HostKeys
from callwright.recordings.push.parcel import Parcel, budget_seconds, chunks, open_file

SSH_PORT: Final = DEFAULT_PORTS["SFTP"]
CONNECT_SECONDS: Final = 5.0
LOGIN_SECONDS: Final = 20.0
STALL_SECONDS: Final = 30.0
"""An upload ends when the server takes nothing for this long."""
CLOSE_SECONDS: Final = 2.0
FOLDER_MODE: Final = 0o750
FILE_MODE: Final = 0o640
_ALGORITHMS = (
    *("ssh-ed25519", "ssh-ed448", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("rsa-sha2-256", "rsa-sha2-512"),
)
"""Plain host keys; a certificate says nothing to who does not know its authority."""
_LONGEST_REASON = 100


class Connect(Protocol):
    """The door out: `Egress.connect`."""

    async def __call__(
        self, host: str, port: int, *, own_ports: tuple[int, ...], within_seconds: float
    ) -> socket.socket: ...


class SftpPush:
    """Uploads recordings to SFTP servers."""

    def __init__(self, connect: Connect, host_keys: HostKeys) -> None:
        self._connect = connect
        self._host_keys = host_keys

    async def __call__(self, parcel: Parcel) -> None:
        """Upload; PushFailed."""
        host = parcel.config.host
        try:
            size = (await asyncio.to_thread(parcel.file.stat)).st_size
            async with asyncio.timeout(budget_seconds(size)):
                await self._upload(parcel)
        except TimeoutError:
            raise PushFailed(f"The SFTP server {host} was too slow.") from None
        except EgressError as error:
            raise PushFailed(str(error)) from error
        except asyncssh.PermissionDenied as error:
            raise PushFailed(f"The SFTP server {host} refused the user name or password.") from error
        except asyncssh.SFTPError as error:
            raise PushFailed(f"The SFTP server {host} refused the upload: {_plain(error.reason)}.") from error
        except (asyncssh.Error, OSError, ValueError) as error:
            reason = error.reason if isinstance(error, asyncssh.Error) else str(error)
            raise PushFailed(f"The SFTP connection to {host} failed: {_plain(reason)}.") from error

    async def _upload(self, parcel: Parcel) -> None:
        config = parcel.config
        port = config.port or SSH_PORT
        trusted = await asyncio.to_thread(self._host_keys.trusted, parcel.sub_account_id, config.host, port)
        client = _Client()
        options = asyncssh.SSHClientConnectionOptions(
            host=config.host,
            port=port,
            client_factory=lambda: client,
            config=[],
            known_hosts=(trusted, [], []),
            server_host_key_algs=() if trusted else _ALGORITHMS,
            username=config.username,
            password=config.password,
            preferred_auth=("password", "keyboard-interactive"),
            client_keys=None,
            agent_path=None,
            gss_kex=False,
            gss_auth=False,
            compression_algs=None,
            disable_trivial_auth=True,
            login_timeout=LOGIN_SECONDS,
        )
        client.may_be_anyone = not trusted
        connected = await self._connect(config.host, port, own_ports=(SSH_PORT,), within_seconds=CONNECT_SECONDS)
        try:
            connection = await asyncssh.connect(sock=connected, config=[], options=options)
        except asyncssh.HostKeyNotVerifiable as error:
            raise PushFailed(
                f"The SFTP server {config.host} showed another host key than before. If it is still the right one, "
                "store the push config again."
            ) from error
        finally:
            if not client.has_connection:  # cut off before asyncssh had it
                connected.close()
        try:
            if not trusted and (key := connection.get_server_host_key()) is not None:
                await asyncio.to_thread(self._host_keys.remember, parcel.sub_account_id, config.host, port, key)
            async with await connection.start_sftp_client() as sftp:
                await _put(sftp, parcel)
        finally:
            await _close(connection)


class _Client(asyncssh.SSHClient):
    """Judges a host key that is not among the trusted ones."""

    may_be_anyone = False
    has_connection = False

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:  # noqa: ARG002 - the signature is asyncssh's
        """From now on the socket is asyncssh's to close."""
        self.has_connection = True

    def validate_host_public_key(
        self,
        host: str,  # noqa: ARG002 - the signature is asyncssh's
        addr: str,  # noqa: ARG002 - likewise
        port: int,  # noqa: ARG002 - likewise
        key: asyncssh.SSHKey,  # noqa: ARG002 - likewise
    ) -> bool:
        """Only where none is trusted yet."""
        return self.may_be_anyone


async def _put(sftp: asyncssh.SFTPClient, parcel: Parcel) -> None:
    folder, name = posixpath.split(parcel.path)
    draft = posixpath.join(folder, f".{name}.part")
    async with asyncio.timeout(STALL_SECONDS):
        try:
            await sftp.makedirs(folder, asyncssh.SFTPAttrs(permissions=FOLDER_MODE), exist_ok=True)
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPPermissionDenied) as error:
            raise PushFailed("The SFTP server does not let this user make folders there.") from error
    size = 0
    with await open_file(parcel.file) as file:
        async with sftp.open(draft, "wb", asyncssh.SFTPAttrs(permissions=FILE_MODE)) as target:
            async with aclosing(chunks(file)) as pieces:
                async for piece in pieces:
                    async with asyncio.timeout(STALL_SECONDS):
                        size += await target.write(piece)
            async with asyncio.timeout(STALL_SECONDS):
                with suppress(asyncssh.SFTPOpUnsupported):
                    await target.fsync()
    async with asyncio.timeout(STALL_SECONDS):
        if (await sftp.stat(draft)).size != size:
            raise PushFailed("The SFTP server did not keep the whole file.")
        await _rename(sftp, draft, parcel.path)


async def _rename(sftp: asyncssh.SFTPClient, draft: str, path: str) -> None:
    """Put the file in its place, over one that a try before has left there."""
    try:
        await sftp.posix_rename(draft, path)
    except asyncssh.SFTPOpUnsupported:  # plain SFTP version 3 renames only to names that are free
        with suppress(asyncssh.SFTPNoSuchFile):
            await sftp.remove(path)
        await sftp.rename(draft, path)


async def _close(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.wait_closed()
    except TimeoutError:
        connection.abort()


def _plain(reason: str) -> str:
    """The server's or library's own words, made fit for a sentence."""
    text = "".join(character if character.isprintable() else " " for character in reason)
    return text[:_LONGEST_REASON].strip(" .") or "it gave no reason"
