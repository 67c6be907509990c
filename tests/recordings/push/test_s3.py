"""S3 against moto's server, which checks signatures, and against stores that misbehave."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from callwright.contract.recordings import RecordingPushConfig
from callwright.egress import Egress
from callwright.errors import PushFailed
from callwright.recordings.push.parcel import Parcel, budget_seconds
from callwright.recordings.push.s3 import S3Push

MakeParcel = Callable[..., Parcel]


def config(bucket: Any, path: str | None = None, secret: str | None = None) -> RecordingPushConfig:
    return RecordingPushConfig(
        "S3", bucket.endpoint, 443, bucket.access_key, secret or bucket.secret_key, path or f"{bucket.name}/a b/ü+~"
    )


async def test_a_file_arrives_whole_under_its_name(egress: Egress, bucket: Any, parcel: MakeParcel) -> None:
    sent = parcel(config(bucket))
    await S3Push(egress.put, time.time)(sent)
    key = "a b/ü+~/5e55-1/4ec0-1_2027-01-15T08:00:00.250Z.mp3"
    assert sent.path == f"calls/{key}"
    found = await asyncio.to_thread(lambda: bucket.client.get_object(Bucket="calls", Key=key))
    assert found["ContentType"] == "audio/mpeg"
    assert found["Body"].read() == sent.file.read_bytes()


async def test_a_second_time_replaces_the_first(egress: Egress, bucket: Any, parcel: MakeParcel) -> None:
    push = S3Push(egress.put, time.time)
    await push(parcel(config(bucket, "calls/twice")))
    sent = parcel(config(bucket, "calls/twice"))
    sent.file.write_bytes(b"other")
    await push(sent)
    (key,) = [key for key in await asyncio.to_thread(bucket.objects) if key.startswith("twice/")]
    found = await asyncio.to_thread(lambda: bucket.client.get_object(Bucket="calls", Key=key)["Body"].read())
    assert found == b"other"


@pytest.mark.parametrize(
    ("path", "secret", "complaint"),
    [
        ("calls/x", "wrong", r"The store answered 403 \(SignatureDoesNotMatch\)\."),
        ("no-such-bucket/x", None, r"The store answered 404 \(NoSuchBucket\)\."),
    ],
)
async def test_the_stores_own_word_is_passed_on(
    egress: Egress, bucket: Any, parcel: MakeParcel, path: str, secret: str | None, complaint: str
) -> None:
    with pytest.raises(PushFailed, match=complaint):
        await S3Push(egress.put, time.time)(parcel(config(bucket, path, secret)))


def store_at(port: int) -> RecordingPushConfig:
    return RecordingPushConfig("S3", f"http://127.0.0.1:{port}", 443, "key", "secret", "calls")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (
            b"HTTP/1.1 301 Moved\r\nx-amz-bucket-region: eu-west-1\r\ncontent-length: 0\r\n\r\n",
            r"The store answered 301; the bucket is in eu-west-1\.",
        ),
        (b"HTTP/1.1 500 Oh\r\nx-amz-bucket-region: <b>\r\ncontent-length: 2\r\n\r\noh", r"The store answered 500\.$"),
        (b"HTTP/1.1 503 Slow\r\ncontent-length: 1000000000\r\n\r\n" + b"x" * 70_000, r"The store answered 503\.$"),
        (b"rubbish\r\n\r\n", r"The connection broke before the whole answer came\."),
        (b"", r"The connection broke before the whole answer came\."),
    ],
)  # fmt: skip
async def test_a_store_that_misbehaves_is_a_reason_to_try_again(
    egress: Egress, parcel: MakeParcel, answer: bytes, complaint: str
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        with pytest.raises(PushFailed, match=complaint):
            await S3Push(egress.put, time.time)(parcel(store_at(server.sockets[0].getsockname()[1])))


async def test_a_store_inside_is_not_reached(parcel: MakeParcel) -> None:
    egress = Egress(allow_loopback=False)
    with pytest.raises(PushFailed, match="it is a loopback address"):
        await S3Push(egress.put, time.time)(parcel(store_at(9000)))
    await egress.aclose()


async def test_a_file_that_is_gone_is_said(egress: Egress, parcel: MakeParcel) -> None:
    sent = parcel(store_at(9000))
    sent.file.unlink()
    with pytest.raises(PushFailed, match=r"The recording's file cannot be read: No such file or directory\."):
        await S3Push(egress.put, time.time)(sent)


def test_an_hour_has_minutes_to_arrive() -> None:
    assert 7 * 60 < budget_seconds(14_400_000) < 10 * 60
