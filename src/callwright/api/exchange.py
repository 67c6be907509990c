"""One HTTP request and its answer, as thin as they can be over ASGI: this is the path every call comes in by."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from callwright.api.asgi import Receive, Scope, Send
from callwright.api.platform import Platform
from callwright.contract.codes import STATUS_MESSAGES, StatusCode
from callwright.contract.json_text import serialize
from callwright.errors import ContractError
from callwright.storage import time_left

MOST_BODY_BYTES = 256 * 1024

JSON = b"application/json"
PROBLEM_JSON = b"application/problem+json"
# Answers belong to one customer and are of the moment; browsers shall not guess types.
FIXED_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class ClientGone(Exception):
    """The client closed the connection before its request was complete: there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request on its way through a route."""

    scope: Scope
    receive: Receive
    platform: Platform
    request_id: str
    "callFlowRequestId of this request; also written to the log when the request fails"

    @property
    def sub_account_id(self) -> str:
        """As it stands in the path."""
        return self.parameter("sub_account_id")

    def parameter(self, name: str) -> str:
        """A part of the path."""
        value: str = self.scope["path_params"][name]
        return value

    def query(self) -> list[tuple[str, str]]:
        """Names and values after the `?`, percent-decoded, in their order; what is no UTF-8 becomes U+FFFD."""
        text = self.scope["query_string"].decode("latin-1")
        return parse_qsl(text, keep_blank_values=True, errors="replace")

    def headers(self, name: bytes) -> list[bytes]:
        """All values of a header; `name` in lower case."""
        return [value for key, value in self.scope["headers"] if key == name]

    async def body(self) -> bytes:
        """The request's body, at most 256 KiB within the platform's `body_seconds`.

        Content-Type is not looked at: the body of this API is JSON, and clients that call it something else mean JSON
        too. A coded body is refused, because nothing bounds what it expands to. Raises ContractError or ClientGone.
        """
        if any(value.strip().lower() not in {b"", b"identity"} for value in self.headers(b"content-encoding")):
            raise ContractError(415, 415, "Request body must not be encoded")
        for value in self.headers(b"content-length"):
            if value.isdigit() and int(value) > MOST_BODY_BYTES:
                raise _too_large()
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        message = await self._next_message()
        body = bytearray(message.get("body", b""))
        if message.get("more_body"):  # seldom: a body mostly comes together with its head
            await self._gather(body)
        time_left.prolong(loop.time() - began_at)  # the client's own time
        if len(body) > MOST_BODY_BYTES:
            raise _too_large()
        return bytes(body)

    async def _gather(self, body: bytearray) -> None:
        """Add what is still to come to `body`, until it is complete or too large."""
        seconds = self.platform.body_seconds
        more = True
        try:
            async with asyncio.timeout(seconds):
                while more and len(body) <= MOST_BODY_BYTES:
                    message = await self._next_message()
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
        except TimeoutError:
            raise ContractError(408, 408, f"Request body did not arrive within {seconds:g} seconds") from None

    async def _next_message(self) -> Any:
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message


def _too_large() -> ContractError:
    return ContractError(int(StatusCode.INVALID_JSON), 413, STATUS_MESSAGES[StatusCode.INVALID_JSON])


class Reply:
    """An answer whose body is known."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int, body: bytes, media_type: bytes = JSON, headers: Mapping[bytes, bytes] | None = None
    ) -> None:
        self.status = status
        self.body = body
        self.headers = [
            (b"content-type", media_type),
            (b"content-length", b"%d" % len(body)),
            *FIXED_HEADERS,
            *(headers or {}).items(),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send it."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def json_reply(
    status: int, content: object, media_type: bytes = JSON, headers: Mapping[bytes, bytes] | None = None
) -> Reply:
    """An answer in JSON."""
    return Reply(status, serialize(content), media_type, headers)
