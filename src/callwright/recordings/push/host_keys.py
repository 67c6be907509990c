"""Which SFTP server is the right one: the host keys that are trusted, by sub-account.

Without a list of the operator's, the first key that a host shows after a successful login is remembered for the
sub-account, and from then on the host must show that key (trust on first use). A host that shows another one gets
neither password nor file, until the sub-account stores its push config again: that forgets its keys. With a list (a
`known_hosts` file as ssh has), only hosts in it are trusted, and nothing is remembered.

Files are in the format of `known_hosts`, one for each sub-account. These functions block.
"""

import threading
from pathlib import Path

import asyncssh

from callwright.errors import PushFailed

_DEFAULT_PORT = 22


class HostKeys:
    """What is known of hosts."""

    def __init__(self, folder: Path, known_hosts: Path | None = None) -> None:
        """`folder` keeps what was learnt; `known_hosts` is the operator's list."""
        self._folder = folder
        self._known_hosts = known_hosts
        self._writing = threading.Lock()

    def trusted(self, sub_account_id: str, host: str, port: int) -> list[asyncssh.SSHKey]:
        """The keys of which the host must show one; none: any, and it is to be remembered.

        PushFailed when there is a list and the host is not in it, or a list cannot be read.
        """
        try:
            if self._known_hosts is None:
                return [
                    asyncssh.import_public_key(key)
                    for name, key in self._learnt(sub_account_id)
                    if name == _name(host, port)
                ]
            listed = asyncssh.read_known_hosts(str(self._known_hosts))
            keys, *_ = listed.match(host, host, None if port == _DEFAULT_PORT else port)
        except (OSError, ValueError, asyncssh.KeyImportError) as error:
            raise PushFailed("The list of trusted SFTP hosts of this installation cannot be read.") from error
        if not keys:
            raise PushFailed(f"This installation does not know the host key of {host}, and trusts only hosts it knows.")
        return list(keys)

    def remember(self, sub_account_id: str, host: str, port: int, key: asyncssh.SSHKey) -> None:
        """Trust this key of the host from now on; PushFailed when it cannot be written."""
        algorithm, text = key.export_public_key("openssh").decode("ascii").split()[:2]
        with self._writing:
            learnt = [(name, known) for name, known in self._learnt(sub_account_id) if name != _name(host, port)]
            learnt.append((_name(host, port), f"{algorithm} {text}"))
            path = self._path(sub_account_id)
            draft = path.with_name(path.name + ".part")
            try:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                draft.write_text("".join(f"{name} {known}\n" for name, known in learnt), encoding="ascii")
                draft.replace(path)
            except OSError as error:
                raise PushFailed("The host key of the SFTP server cannot be remembered.") from error

    def forget(self, sub_account_id: str) -> None:
        """Trust what the sub-account's hosts show next."""
        with self._writing:
            self._path(sub_account_id).unlink(missing_ok=True)

    def _learnt(self, sub_account_id: str) -> list[tuple[str, str]]:
        try:
            text = self._path(sub_account_id).read_text(encoding="ascii")
        except FileNotFoundError:
            return []
        return [(name, key) for name, _, key in (line.partition(" ") for line in text.splitlines()) if key]

    def _path(self, sub_account_id: str) -> Path:
        return self._folder / f"{sub_account_id}.known_hosts"


def _name(host: str, port: int) -> str:
    return host.lower() if port == _DEFAULT_PORT else f"[{host.lower()}]:{port}"
