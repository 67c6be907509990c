"""Secrets open only with their key, unchanged, and in their place."""

import stat
import threading
from pathlib import Path

import pytest

from callwright.errors import StorageError
from callwright.storage.secrets_box import SecretsBox, read_or_create_key

PLACE = "webhooks/riders_hq/VSS/http_auth_header"


def test_a_sealed_secret_opens_in_its_place_and_looks_different_each_time() -> None:
    box = SecretsBox(bytes(32))
    first, second = box.seal("mdp1234", PLACE), box.seal("mdp1234", PLACE)
    assert box.open(first, PLACE) == box.open(second, PLACE) == "mdp1234"
    assert first != second
    assert b"mdp1234" not in first


@pytest.mark.parametrize("spoilt", range(0, 36, 5))
def test_a_changed_byte_anywhere_does_not_open(spoilt: int) -> None:
    box = SecretsBox(bytes(32))
    sealed = bytearray(box.seal("mdp1234", PLACE))
    sealed[min(spoilt, len(sealed) - 1)] ^= 1
    with pytest.raises(StorageError):
        box.open(bytes(sealed), PLACE)


def test_a_secret_moved_to_another_row_or_under_another_key_does_not_open() -> None:
    sealed = SecretsBox(bytes(32)).seal("mdp1234", PLACE)
    with pytest.raises(StorageError, match="does not open"):
        SecretsBox(bytes(32)).open(sealed, PLACE.replace("riders_hq", "other"))
    with pytest.raises(StorageError, match=r"secrets\.key"):
        SecretsBox(b"\x01" * 32).open(sealed, PLACE)


def test_something_too_short_to_be_sealed_does_not_open() -> None:
    with pytest.raises(StorageError):
        SecretsBox(bytes(32)).open(b"\x01abc", PLACE)


def test_the_key_file_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(read_or_create_key(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert set(keys) == {path.read_bytes()}
    assert len(keys[0]) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_file_that_everybody_may_read_or_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secrets.key"
    read_or_create_key(path)
    path.chmod(0o644)
    with pytest.raises(StorageError, match="chmod 600"):
        read_or_create_key(path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(StorageError, match="32 bytes"):
        read_or_create_key(path)


def test_a_key_file_in_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read or made"):
        read_or_create_key(tmp_path / "nowhere" / "secrets.key")
