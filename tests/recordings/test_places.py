"""Where files lie, against the contract's §9.4."""

import pytest

from callwright.contract.recordings import RecordingPushConfig
from callwright.recordings.places import S3Object, place, s3_object

SESSION, RECORDING = "d3e5bf9a-0000-4000-8000-000000000001", "0b9c7a52-0000-4000-8000-000000000002"
START = 1_800_000_000.25
NAME = f"{SESSION}/{RECORDING}_2027-01-15T08:00:00.250Z"
ENCODED = NAME.replace(":", "%3A")


def config(protocol: str, path: str, host: str = "", port: int | None = None) -> RecordingPushConfig:
    return RecordingPushConfig(protocol, host, port, "user", "secret", path)


@pytest.mark.parametrize(
    ("target", "path", "url"),
    [
        (
            config("S3", "calls/2027", "ap-southeast-1", 443),
            f"calls/2027/{NAME}.mp3",
            f"https://calls.s3.ap-southeast-1.amazonaws.com/2027/{ENCODED}.mp3",
        ),
        (
            config("S3", "/calls//2027/", "http://192.0.2.7:9000", 443),
            f"calls/2027/{NAME}.mp3",
            f"http://192.0.2.7:9000/calls/2027/{ENCODED}.mp3",
        ),
        (config("SFTP", "/srv/./calls/", "192.0.2.8", 22), f"/srv/calls/{NAME}.mp3", f"sftp://192.0.2.8/srv/calls/{ENCODED}.mp3"),
        (config("SFTP", "calls", "192.0.2.8", 2222), f"calls/{NAME}.mp3", f"sftp://192.0.2.8:2222/calls/{ENCODED}.mp3"),
        (config("SFTP", "/", "192.0.2.8", 22), f"/{NAME}.mp3", f"sftp://192.0.2.8/{ENCODED}.mp3"),
        (config("LOCAL", "/calls"), f"calls/{NAME}.mp3", f"calls/{ENCODED}.mp3"),
        (config("LOCAL", ""), f"{NAME}.mp3", f"{ENCODED}.mp3"),
    ],
)  # fmt: skip
def test_a_file_lies_where_its_address_says(target: RecordingPushConfig, path: str, url: str) -> None:
    where = place(target, SESSION, RECORDING, START, "mp3")
    assert (where.path, where.external_url) == (path, url)


def test_a_wav_is_called_so() -> None:
    assert place(config("LOCAL", "a"), SESSION, RECORDING, START, "wav").path.endswith("Z.wav")


@pytest.mark.parametrize(
    ("host", "port", "wanted"),
    [
        (
            "eu-west-1",
            443,
            S3Object(
                "https://s3.eu-west-1.amazonaws.com/calls/%C3%BC%20b%3Ac.mp3",
                "s3.eu-west-1.amazonaws.com",
                "/calls/ü b:c.mp3",
                "eu-west-1",
            ),
        ),
        (
            "S3.example.com",
            9000,
            S3Object(
                "https://s3.example.com:9000/calls/%C3%BC%20b%3Ac.mp3",
                "s3.example.com:9000",
                "/calls/ü b:c.mp3",
                "us-east-1",
            ),
        ),
        (
            "http://192.0.2.7:80",
            443,
            S3Object("http://192.0.2.7:80/calls/%C3%BC%20b%3Ac.mp3", "192.0.2.7", "/calls/ü b:c.mp3", "us-east-1"),
        ),
    ],
)
def test_objects_are_put_path_style_and_signed_for_their_region(host: str, port: int, wanted: S3Object) -> None:
    assert s3_object(config("S3", "calls", host, port), "calls/ü b:c.mp3") == wanted
