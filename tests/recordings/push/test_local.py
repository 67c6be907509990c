"""LOCAL: into the operator's folder, and nowhere else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from callwright.contract.recordings import RecordingPushConfig
from callwright.errors import PushFailed
from callwright.recordings.push.local import LocalPush
from callwright.recordings.push.parcel import Parcel

MakeParcel = Callable[..., Parcel]


def config(path: str) -> RecordingPushConfig:
    return RecordingPushConfig("LOCAL", "", None, "", "", path)


def files_in(folder: Path) -> list[Path]:
    return [found for found in folder.rglob("*") if not found.is_dir()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("path", ["", "/", "calls", "/calls//2027/", "./calls", "~", "$HOME", "c:\\calls", "…"])
async def test_whatever_the_path_says_the_file_lies_within_the_folder(
    root: Path, parcel: MakeParcel, path: str
) -> None:
    sent = parcel(config(path))
    await LocalPush(root)(sent)
    await LocalPush(root)(sent)  # a second time replaces the first
    (file,) = files_in(root)
    assert file == root / sent.path
    assert file.read_bytes() == sent.file.read_bytes()


@pytest.mark.parametrize("path", ["..", "../x", "a/../../x", "a/..", "a\0b/../.."])
async def test_a_path_that_leads_upwards_is_refused(root: Path, parcel: MakeParcel, path: str) -> None:
    with pytest.raises(PushFailed, match="leads out of the folder"):
        await LocalPush(root)(parcel(config(path)))
    assert files_in(root) == []


async def test_no_link_is_followed(root: Path, tmp_path: Path, parcel: MakeParcel) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "calls").symlink_to(outside)
    with pytest.raises(PushFailed, match=r"a (file or )?link is in the way"):
        await LocalPush(root)(parcel(config("calls")))
    with pytest.raises(PushFailed, match=r"a (file or )?link is in the way"):
        await LocalPush(root)(parcel(config("calls/deeper")))
    assert list(outside.iterdir()) == []


async def test_a_link_in_place_of_the_file_is_replaced_not_written_through(
    root: Path, tmp_path: Path, parcel: MakeParcel
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    sent = parcel(config("calls"))
    place = root / sent.path
    place.parent.mkdir(parents=True)
    place.symlink_to(victim)
    await LocalPush(root)(sent)
    assert victim.read_bytes() == b"untouched"
    assert not place.is_symlink()
    draft = place.with_name(f".{place.name}.part")
    draft.symlink_to(victim)
    with pytest.raises(PushFailed, match="a link is in the way"):
        await LocalPush(root)(sent)
    assert victim.read_bytes() == b"untouched"


async def test_the_operators_own_folder_may_be_a_link(root: Path, tmp_path: Path, parcel: MakeParcel) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    sent = parcel(config("calls"))
    await LocalPush(link)(sent)
    assert (root / sent.path).is_file()


async def test_without_a_folder_nothing_is_stored(tmp_path: Path, parcel: MakeParcel) -> None:
    with pytest.raises(PushFailed, match="no folder for local recordings"):
        await LocalPush(None)(parcel(config("calls")))
    with pytest.raises(PushFailed, match="The recording cannot be stored: no such file or directory"):
        await LocalPush(tmp_path / "nowhere")(parcel(config("calls")))


async def test_a_file_in_the_way_is_said(root: Path, parcel: MakeParcel) -> None:
    (root / "calls").write_bytes(b"")
    with pytest.raises(PushFailed, match="a file or link is in the way"):
        await LocalPush(root)(parcel(config("calls")))


async def test_nothing_half_written_is_left(root: Path, parcel: MakeParcel) -> None:
    sent = parcel(config("calls"))
    sent.file.unlink()
    with pytest.raises(PushFailed):
        await LocalPush(root)(sent)
    assert files_in(root) == []
