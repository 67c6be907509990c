"""S3: one signed PUT, path-style, to AWS or to any store that speaks S3.

Signature Version 4 covers the body's hash, so a body that is changed on its way is refused by the store. A redirect is
a failure: a signature counts for one host, and the answer to the wrong region names the right one.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterable, Mapping
from contextlib import aclosing
from io import BufferedReader
from typing import Protocol

from callwright.egress.sigv4 import Credentials, Request, Scope, amz_date, authorization
from callwright.errors import EgressError, PushFailed
from callwright.recordings.places import s3_object
from callwright.recordings.push.parcel import CONTENT_TYPES, Parcel, budget_seconds, chunks, open_file
from callwright.telemetry.clock import Clock

_ERROR_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_REGION = re.compile(r"[a-z0-9\-]{1,32}")


class Answer(Protocol):
    """What the store said."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def accepted(self) -> bool: ...


class Put(Protocol):
    """The door out: `Egress.put`."""

    async def __call__(
        self,
        url: str,
        chunks: AsyncIterable[bytes],
        length: int,
        headers: Mapping[str, str],
        *,
        within_seconds: float,
    ) -> Answer: ...


class S3Push:
    """Puts recordings into buckets."""

    def __init__(self, put: Put, clock: Clock) -> None:
        self._put = put
        self._clock = clock

    async def __call__(self, parcel: Parcel) -> None:
        """Upload; PushFailed with the store's own error code."""
        config, target = parcel.config, s3_object(parcel.config, parcel.path)
        file = await open_file(parcel.file)
        with file:
            digest, length = await asyncio.to_thread(_digest, file)
            headers = {
                "content-type": CONTENT_TYPES[parcel.kind],
                "x-amz-content-sha256": digest,
                "x-amz-date": amz_date(self._clock()),
            }
            signed = Request("PUT", target.path, (("host", target.host), *headers.items()), digest)
            credentials = Credentials(config.username, config.password)
            headers["authorization"] = authorization(signed, credentials, Scope(target.region, "s3"))
            try:
                async with aclosing(chunks(file)) as body:
                    answer = await self._put(target.url, body, length, headers, within_seconds=budget_seconds(length))
            except EgressError as error:
                raise PushFailed(str(error)) from error
        if not answer.accepted:
            raise PushFailed(_complaint(answer))


def _digest(file: BufferedReader) -> tuple[str, int]:
    """SHA-256 and length; the file is at its beginning before and after."""
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    length = file.tell()
    file.seek(0)
    return digest, length


def _complaint(answer: Answer) -> str:
    """Status, the store's error code if it gave one, and the region it names; never its free text."""
    code = _ERROR_CODE.search(answer.body)
    words = f"The store answered {answer.status}" + (f" ({code[1].decode()})" if code else "")
    region = answer.headers.get("x-amz-bucket-region", "")
    return f"{words}; the bucket is in {region}." if _REGION.fullmatch(region) else f"{words}."
