"""Recordings as calls leave them, a store to write them down in, and real servers to push them to."""

import asyncio
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from botocore.config import Config
from numpy.typing import NDArray

from callwright.audio import tones
from callwright.callflow.plan import Callflow, HangUp
from callwright.egress import Egress
from callwright.storage.store import Store

START = 1_800_000_000.0  # 2027-01-15T08:00:00Z
LEFT_HZ, RIGHT_HZ = 440.0, 1000.0
MOTO_START_SECONDS = 30.0

Samples = NDArray[np.int16]


class HandClock:
    """Platform time that a test moves; whoever sleeps in it wakes when it has passed."""

    def __init__(self) -> None:
        self.now = START
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        awoken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, awoken))
        await awoken

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for end, awoken in self._sleepers:
            if end <= self.now and not awoken.done():
                awoken.set_result(None)
        self._sleepers = [(end, awoken) for end, awoken in self._sleepers if not awoken.done()]

    def next_end(self) -> float | None:
        """When the first sleeper wakes."""
        return min((end for end, awoken in self._sleepers if not awoken.done()), default=None)


def wav_bytes(left: Samples, right: Samples, *, lengths: int | None = None) -> bytes:
    """16-bit stereo at 8 kHz; `lengths` in place of the true ones, as a crash leaves them."""
    data = np.stack([left, right], axis=1).astype("<i2").tobytes()
    riff = 36 + len(data) if lengths is None else lengths
    size = len(data) if lengths is None else lengths
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 8000, 32_000, 4, 16)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form + struct.pack("<4sI", b"data", size) + data


@pytest.fixture
def two_tones() -> Callable[..., bytes]:
    """A recording with one tone from each side."""

    def make(seconds: float = 2.0, lengths: int | None = None) -> bytes:
        return wav_bytes(tones.sine(LEFT_HZ, seconds), tones.sine(RIGHT_HZ, seconds), lengths=lengths)

    return make


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def store(tmp_path: Path, clock: HandClock, empty_database: Path) -> AsyncIterator[Store]:
    shutil.copy(empty_database, tmp_path / "callwright.db")
    opened = await Store.open(f"sqlite:///{tmp_path / 'callwright.db'}", clock=clock)
    await opened.ensure_sub_account("riders_hq")
    yield opened
    await opened.close()


@pytest.fixture
def accept(store: Store) -> Callable[..., Awaitable[None]]:
    async def accept_one(session_id: str, sub_account_id: str = "riders_hq") -> None:
        await store.ensure_sub_account(sub_account_id)
        await store.accept_session(session_id, sub_account_id, Callflow((HangUp(),), session_id), START)

    return accept_one


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    door = Egress(allow_loopback=True)
    yield door
    await door.aclose()


# --- an S3 store that checks signatures -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bucket:
    """A bucket of a store that nobody here wrote, and who may write there."""

    endpoint: str
    name: str
    access_key: str
    secret_key: str

    @property
    def client(self) -> Any:  # boto3 has no types
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )

    def objects(self) -> list[str]:
        return [found["Key"] for found in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def bucket() -> Iterator[Bucket]:
    """moto's server, which after four requests without a valid signature wants one."""
    port = _unused_port()
    environment = {"PATH": os.environ["PATH"], "INITIAL_NO_AUTH_ACTION_COUNT": "4"}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + MOTO_START_SECONDS
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    assert server.poll() is None, "moto ended"
                    assert time.monotonic() < until, "moto does not listen"
                    time.sleep(0.05)
            yield _bucket(f"http://127.0.0.1:{port}")
        finally:
            server.kill()


def _bucket(endpoint: str) -> Bucket:
    anybody = {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": "anybody",
        "aws_secret_access_key": "anything",
    }
    people = boto3.client("iam", **anybody)
    people.create_user(UserName="recorder")
    key = people.create_access_key(UserName="recorder")["AccessKey"]
    allowed = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
    people.put_user_policy(UserName="recorder", PolicyName="recordings", PolicyDocument=allowed)
    boto3.client("s3", **anybody).create_bucket(Bucket="calls")
    return Bucket(endpoint, "calls", key["AccessKeyId"], key["SecretAccessKey"])
