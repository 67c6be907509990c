"""The one edge where errors become answers.

| raised | answered |
|---|---|
| ContractError | its HTTP status and text |
| BusyError, StorageUnavailable | 503 with Retry-After |
| anything else | 500, logged with the request's id |

The form of the answer is the route's: callflows, configuration, numbers, what is the platform's, and sessions each
have one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from callwright.api.asgi import ASGIApp, Message, Receive, Scope, Send
from callwright.api.exchange import JSON, PROBLEM_JSON, ClientGone, Exchange, Reply, json_reply
from callwright.api.platform import Platform
from callwright.contract.answers import SERVER_ERROR, not_created, resource_refused, webhook_refused
from callwright.contract.platform_errors import platform_refused
from callwright.contract.problems import problem_of
from callwright.contract.virtual_numbers import NOT_FOUND, number_not_found
from callwright.contract.webhook_config import INVALID_REQUEST
from callwright.errors import ContractError, StorageUnavailable
from callwright.storage import time_left
from callwright.switchboard.board import BusyError
from callwright.telemetry.metrics import Counter

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5
_HEADERS: dict[int, dict[bytes, bytes]] = {
    401: {b"www-authenticate": b"Bearer"},
    408: {b"connection": b"close"},
    413: {b"connection": b"close"},
    503: {b"retry-after": b"%d" % RETRY_AFTER_SECONDS},
}
UNAVAILABLE = "Service unavailable, try again later"

Endpoint = Callable[[Exchange], Awaitable[ASGIApp]]
ErrorForm = Callable[[ContractError, Exchange], Reply]


def callflow_form(error: ContractError, exchange: Exchange) -> Reply:
    """§1.5: NOT_CREATED with its callFlowRequestId."""
    return _refused(error, not_created(error, exchange.request_id))


def plain_form(error: ContractError, _: Exchange) -> Reply:
    """§13 row 31: statusCode and statusMessage."""
    return _refused(error, resource_refused(error.http_status, error.message))


def webhook_form(error: ContractError, exchange: Exchange) -> Reply:
    """§8.1: a body that cannot be read has an error id and a time, everything else is plain."""
    if error.http_status not in {413, 422}:
        return plain_form(error, exchange)
    wrong = ContractError(INVALID_REQUEST, error.http_status, error.message)
    return _refused(wrong, webhook_refused(wrong, exchange.request_id, exchange.platform.clock()))


def number_form(error: ContractError, exchange: Exchange) -> Reply:
    """§9.2: plain, and with a time for a number that is not there."""
    if error.http_status != 404 or error.message != NOT_FOUND:
        return plain_form(error, exchange)
    return _refused(error, number_not_found(exchange.platform.clock()))


def platform_form(error: ContractError, exchange: Exchange) -> Reply:
    """§11.3: the platform's general form, for log exports and Voice OTP."""
    return _refused(error, platform_refused(error, exchange.request_id, exchange.platform.clock()))


def problem_form(error: ContractError, exchange: Exchange) -> Reply:
    """RFC 9457, for the resources that are not part of the contract."""
    return _refused(error, problem_of(error, exchange.request_id), PROBLEM_JSON)


def _refused(error: ContractError, body: dict[str, object], media_type: bytes = JSON) -> Reply:
    headers = _HEADERS.get(error.http_status)
    if error.retry_after_seconds is not None:
        headers = {**(headers or {}), b"retry-after": b"%d" % error.retry_after_seconds}
    return json_reply(error.http_status, body, media_type, headers)


class Edge:
    """A route's endpoint as an ASGI application that answers every error in the route's form."""

    def __init__(self, name: str, endpoint: Endpoint, form: ErrorForm, platform: Platform, answered: Counter) -> None:
        self._name = name
        self._endpoint = endpoint
        self._form = form
        self._platform = platform
        self._answered = answered
        "counts answers by route and status"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        exchange = Exchange(scope, receive, self._platform, self._platform.new_uuid())
        status = 0

        async def counted_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with time_left.within(self._answer_by(scope)):
                reply = await self._endpoint(exchange)
            await reply(scope, receive, counted_send)
        except ClientGone:
            return
        except Exception as error:  # the edge of a customer's request: whatever happens, it is answered
            if status:
                raise  # half an answer is out already: the server closes the connection and logs it
            await self._form(self._refusal(error, exchange.request_id), exchange)(scope, receive, counted_send)
        finally:
            self._answered.add(self._name, str(status))

    def _answer_by(self, scope: Scope) -> float:
        """When a database that does not answer is waited for no longer, on the loop's clock."""
        seconds = self._platform.store.answer_seconds
        if seconds is None:
            return time_left.FOR_EVER
        came_at: float = scope.get("came_at") or asyncio.get_running_loop().time()
        return came_at + seconds

    def _refusal(self, error: Exception, request_id: str) -> ContractError:
        if isinstance(error, ContractError):
            return error
        if isinstance(error, BusyError | StorageUnavailable):
            log.warning("request %s for %s was turned away: %s", request_id, self._name, error)
            return ContractError(503, 503, UNAVAILABLE)
        log.error("request %s for %s failed", request_id, self._name, exc_info=error)
        return ContractError(500, 500, SERVER_ERROR)


def no_such_route() -> Reply:
    """404: no path is like this."""
    return json_reply(404, resource_refused(404))


def no_such_method(methods: Collection[str]) -> Reply:
    """405, which names what the path does take (RFC 9110 §15.5.6)."""
    body = resource_refused(405, "Method not allowed")
    return json_reply(405, body, headers={b"allow": ", ".join(sorted(methods)).encode("ascii")})
