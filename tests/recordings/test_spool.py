"""The files that wait."""

from pathlib import Path

import pytest

from callwright.recordings.spool import Spool

IDS = ("5e55-1", "4ec0-1")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = Spool(tmp_path / "recordings")
    spool.open()
    return spool


def test_the_folder_is_the_owners_alone(spool: Spool) -> None:
    assert spool.folder.stat().st_mode & 0o777 == 0o700


def test_what_was_being_made_when_a_process_died_is_removed(spool: Spool) -> None:
    draft = spool.folder / "5e55-1_4ec0-1.upload.mp3.part"
    draft.write_bytes(b"half")
    spool.recorded(*IDS).write_bytes(b"whole")
    spool.open()
    assert not draft.exists()
    assert spool.recorded(*IDS).exists()


def test_the_made_file_goes_before_what_it_was_made_of(spool: Spool) -> None:
    assert spool.find(*IDS) is None
    spool.recorded(*IDS).write_bytes(b"")
    found = spool.find(*IDS)
    assert found is not None
    assert (found.kind, found.is_made) == ("wav", False)
    spool.made(*IDS, "wav").write_bytes(b"")
    found = spool.find(*IDS)
    assert found is not None
    assert (found.kind, found.is_made) == ("wav", True)
    spool.made(*IDS, "mp3").write_bytes(b"")
    found = spool.find(*IDS)
    assert found is not None
    assert (found.kind, found.is_made) == ("mp3", True)


def test_what_was_given_up_is_put_aside_and_still_found(spool: Spool) -> None:
    spool.made(*IDS, "mp3").write_bytes(b"x")
    spool.give_up(*IDS)
    spool.give_up(*IDS)
    found = spool.find(*IDS)
    assert found is not None
    assert found.path == spool.folder / "failed" / "5e55-1_4ec0-1.upload.mp3"
    assert list(spool.all()) == []
    spool.remove(*IDS)
    assert spool.find(*IDS) is None


def test_all_names_what_waits_once_and_nothing_else(spool: Spool) -> None:
    for name in (
        "5e55-1_4ec0-1.wav",
        "5e55-1_4ec0-1.upload.mp3",
        "5e55-0_4ec0-9.upload.wav",
        "notes.txt",
        "a_b.wav.part",
    ):
        (spool.folder / name).write_bytes(b"")
    assert list(spool.all()) == [("5e55-0", "4ec0-9"), IDS]


@pytest.mark.parametrize("name", ["", "..", "a/b", "../a", "a_b", "a.b", "a\0", "x" * 65])
def test_an_id_that_leads_elsewhere_is_no_file_name(spool: Spool, name: str) -> None:
    for ids in ((name, "4ec0-1"), ("5e55-1", name)):
        with pytest.raises(ValueError, match="no file name"):
            spool.recorded(*ids)
