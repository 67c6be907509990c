"""How webhooks do, and what can be done about it: what the routes answer, and the command line without a server.

Each function takes the store and gives the body of an answer. A webhook that is not registered is ContractError 404.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from callwright.contract.answers import RESOURCE_MESSAGES
from callwright.contract.deliveries import (
    MOST_ANSWER_SHOWN,
    DeliveryReport,
    EndpointReport,
    LogQuery,
    ReplayRequest,
    SecretReport,
    TryReport,
    endpoint_body,
    log_body,
    replay_body,
    test_body,
    test_event,
)
from callwright.contract.json_text import serialize
from callwright.contract.webhook_config import WEBHOOK_TYPES, WebhookConfig
from callwright.errors import ContractError, EgressError
from callwright.storage.delivery_log import LoggedDelivery
from callwright.storage.records import DeliveryAttempt, DeliveryState, Webhook, WebhookKind
from callwright.storage.store import Store
from callwright.webhooks.signing import signed_headers

PAGE = 200
TEST_SECONDS = 15.0

_log = logging.getLogger(__name__)

Body = dict[str, object]


class Answer(Protocol):
    """What a receiver said."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...


class Post(Protocol):
    """The door out: `Egress.post`."""

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str], *, within_seconds: float) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Tester:
    """What it takes to try a webhook out now."""

    post: Post
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    new_event_id: Callable[[], str]


def new_event_id() -> str:
    """An id for an event that is not in the store."""
    return f"evt_{uuid.uuid4().hex}"


async def endpoint(store: Store, sub_account_id: str, kind: str, *, with_secrets: bool) -> Body:
    """How one webhook does; its secrets themselves only `with_secrets`."""
    webhook = await _webhook(store, sub_account_id, kind)
    secrets = await store.endpoint_secrets(sub_account_id, kind)
    found = await store.endpoint_report(sub_account_id, kind)
    report = EndpointReport(
        config=WebhookConfig(kind, webhook.url, webhook.http_auth_header, webhook.enabled, webhook.payload_version),
        secrets=tuple(
            SecretReport(one.text if with_secrets else None, one.created_at, one.expires_at) for one in secrets
        ),
        waiting=found.waiting,
        held=found.held,
        waiting_since=found.waiting_since,
        next_attempt_at=found.next_attempt_at,
        last_success=None if found.last_success is None else _try(found.last_success),
        last_failure=None if found.last_failure is None else _try(found.last_failure),
    )
    return endpoint_body(sub_account_id, report)


async def rotate(store: Store, sub_account_id: str, kind: str, old_valid_seconds: float) -> Body:
    """A new secret; how the webhook does then."""
    await _webhook(store, sub_account_id, kind)
    await store.rotate_secret(sub_account_id, kind, old_valid_seconds)
    return await endpoint(store, sub_account_id, kind, with_secrets=True)


async def send_test(store: Store, tester: Tester, sub_account_id: str, kind: str) -> Body:
    """Send a signed test event now, enabled or not, once; what came of it."""
    webhook = await _webhook(store, sub_account_id, kind)
    secrets = await store.endpoint_secrets(sub_account_id, kind)
    event_id = tester.new_event_id()
    body = serialize(test_event(sub_account_id, event_id, tester.wall_clock()))
    headers = {
        "Content-Type": "application/json",
        **signed_headers(event_id, tester.wall_clock(), body, [secret.text for secret in secrets]),
    }
    if webhook.http_auth_header is not None:
        headers["Authorization"] = webhook.http_auth_header
    began, status, error, answer = tester.clock(), None, None, None
    try:
        answered = await tester.post(webhook.url, body, headers, within_seconds=TEST_SECONDS)
    except EgressError as failure:
        error = str(failure)
    else:
        status, answer = answered.status, answered.body.decode("utf-8", "replace")[:MOST_ANSWER_SHOWN]
    at = tester.clock()
    tried = TryReport(at, urlsplit(webhook.url).hostname or "?", status, error, round((at - began) * 1000))
    return test_body(event_id, tried, answer)


async def log(store: Store, sub_account_id: str, query: LogQuery) -> Body:
    """What became of events."""
    if query.event_id is None and query.session_id is None:
        states = [DeliveryState(state) for state in query.states]
        page = await store.delivery_page(sub_account_id, query.before, query.types, states, query.limit)
        return log_body([_delivery(one) for one in page.deliveries], page.before)
    found = await _named(store, sub_account_id, query.event_id, query.session_id)
    chosen = [one for one in found if one.kind in query.types and one.state in query.states]
    return log_body([_delivery(one) for one in chosen], None)


async def replay(store: Store, sub_account_id: str, request: ReplayRequest) -> Body:
    """Send events again. ContractError 404 when there is no such event, or none of that session."""
    if request.since is None:
        found = await _named(store, sub_account_id, request.event_id, request.session_id)
        if not found:
            raise ContractError(404, 404, RESOURCE_MESSAGES[404])
        chosen = [one.delivery_id for one in found if one.kind in request.types and one.state in request.states]
    else:
        chosen = await _since(store, sub_account_id, request, request.since)
    sent = await store.send_again(sub_account_id, chosen)
    _log.info("%d events of %s are sent again, %d wait for their webhook", sent.due, sub_account_id, sent.held)
    return replay_body(sent.due, sent.held)


async def _since(store: Store, sub_account_id: str, request: ReplayRequest, since: float) -> list[str]:
    """The deliveries of events since a time, the oldest first.

    Clocks of several nodes may differ a little, so a page is looked through to its end.
    """
    states = [DeliveryState(state) for state in request.states]
    chosen: list[str] = []
    before: int | None = None
    while True:
        page = await store.delivery_page(sub_account_id, before, request.types, states, PAGE)
        young = [one for one in page.deliveries if one.at is not None and one.at >= since]
        chosen += [one.delivery_id for one in young]
        if page.before is None or (page.deliveries and not young):
            return chosen[::-1]
        before = page.before


async def _named(
    store: Store, sub_account_id: str, event_id: str | None, session_id: str | None
) -> tuple[LoggedDelivery, ...]:
    if event_id is not None:
        return await store.delivery_of_event(sub_account_id, event_id)
    return await store.deliveries_of_session(sub_account_id, session_id or "")


async def _webhook(store: Store, sub_account_id: str, kind: str) -> Webhook:
    webhook = None
    if kind in WEBHOOK_TYPES:
        webhook = await store.find_webhook(sub_account_id, WebhookKind(kind))
    if webhook is None:
        raise ContractError(404, 404, RESOURCE_MESSAGES[404])
    return webhook


def _delivery(one: LoggedDelivery) -> DeliveryReport:
    tries = tuple(_try(attempt) for attempt in one.attempts)
    return DeliveryReport(one.event_id, one.kind, one.session_id, one.state, one.at, one.next_attempt_at, tries)


def _try(attempt: DeliveryAttempt) -> TryReport:
    return TryReport(attempt.at, attempt.host, attempt.status, attempt.error, attempt.elapsed_ms)
