"""What the customer is asked and told while a call lives: VCA (contract §7) and VCS (§6) webhooks.

A question is on the live path: 10 s in all, one more try when no answer came at all, then the session ends as ERROR
(-2002 for no usable answer, -2003 for one that is no callflow, -2008 for a caller id not allowed). News are best
effort: they go to the outbox when a VCS webhook is registered, and are delivered from there.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from callwright.callflow.commands import AskNext, Tell
from callwright.callflow.leg import Leg
from callwright.callflow.plan import Callflow
from callwright.contract.call_events import CallEvent, CallEventStatus, DtmfVersion, call_action, call_status
from callwright.contract.old_shapes import dtmf_result
from callwright.contract.policy import RequestPolicy
from callwright.contract.reply import parse_reply
from callwright.errors import CallwrightError, ContractError, EgressError, EgressRefused, ErrorCode, StorageError
from callwright.storage.records import VirtualNumber, Webhook, WebhookKind
from callwright.telemetry.clock import Clock
from callwright.telemetry.trace import Trace
from callwright.webhooks.signing import signed_headers

log = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
"""For the whole question, both tries together."""
SOURCE_NOT_ALLOWED = -1014


class AskingError(CallwrightError):
    """The customer gave no usable answer."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Answer(Protocol):
    """What the customer's server said."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def truncated(self) -> bool: ...


class Post(Protocol):
    """The door out: `Egress.post`."""

    def __call__(
        self, url: str, body: bytes, headers: dict[str, str], *, within_seconds: float
    ) -> Awaitable[Answer]: ...


class CustomerRecords(Protocol):
    """What is asked of the store."""

    def has_webhook(self, sub_account_id: str, kind: WebhookKind) -> bool:
        """Whether there is an enabled webhook of this kind; from memory."""

    def may_want_news(self, sub_account_id: str, kind: WebhookKind) -> bool:
        """False when it is known from memory that nobody wants best-effort events of this kind."""

    async def wants_news(self, sub_account_id: str, kind: WebhookKind) -> bool:
        """Whether best-effort events of this kind are wanted, by a webhook or by who follows the events."""

    async def signing_secrets(self, sub_account_id: str, kind: str) -> Sequence[str]:
        """What to sign with."""

    async def find_webhook(self, sub_account_id: str, kind: WebhookKind) -> Webhook | None:
        """One registration."""

    async def find_number(self, msisdn: str) -> VirtualNumber | None:
        """A virtual number and whose it is."""

    async def enqueue_event(
        self, sub_account_id: str, session_id: str, kind: WebhookKind, event_id: str, body: bytes
    ) -> bool:
        """Owe the customer an event if somebody wants it; False when nobody does."""


@dataclass(frozen=True, slots=True)
class _Signature:
    """What makes a question one of ours: the id of its event, and what it is signed with."""

    event_id: str
    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Customers:
    """Asks and tells the customers of all sub-accounts."""

    records: CustomerRecords
    post: Post
    policy_for: Callable[[str], RequestPolicy]
    "how replies are read; the sub-account's virtual numbers are among its caller ids"
    clock: Clock
    new_id: Callable[[], str]
    on_owed: Callable[[], None]
    wall_clock: Callable[[], float] = time.time
    "tells the customer when a question was asked"

    async def ask(self, sub_account_id: str, leg: Leg, question: AskNext, trace: Trace) -> Callflow | None:
        """What to do next; None for nothing, or when there is no VCA webhook. AskingError otherwise."""
        try:
            webhook = None
            if self.records.has_webhook(sub_account_id, WebhookKind.VCA):
                webhook = await self.records.find_webhook(sub_account_id, WebhookKind.VCA)
            if webhook is None or not webhook.enabled:
                return None
            secrets = await self.records.signing_secrets(sub_account_id, WebhookKind.VCA)
            if not secrets:
                return None  # it was taken away a moment ago
            status = CallEventStatus.CALL_RECEIVED if question.received else CallEventStatus.ACTION_COMPLETED
            event = await self._event(trace.session_id, sub_account_id, leg, status, question.duration_seconds)
        except StorageError as error:
            raise AskingError(ErrorCode.INTERNAL, f"the database did not answer: {error}") from error
        body = msgspec.json.encode(
            call_action(
                event,
                dtmf=question.captured,
                client_action_id=question.client_action_id,
                dtmf_version=_dtmf_version(webhook),
            )
        )
        signature = _Signature(event.event_id, secrets)
        reply = await self._answer(webhook.url, webhook.http_auth_header, body, trace, signature)
        try:
            return parse_reply(
                reply, self.policy_for(sub_account_id), self.clock(), question.call_flow_request_id
            ).callflow
        except ContractError as error:
            code = ErrorCode.CALLFLOW_INVALID
            if error.status_code == SOURCE_NOT_ALLOWED:
                code = ErrorCode.SOURCE_NOT_ALLOWED
            raise AskingError(code, f"{error.status_code} {error.message}") from error

    async def report_digits(self, url: str, leg: Leg, digits: str, client_request_id: str | None, trace: Trace) -> None:
        """Post what was captured for a `/calls` request to the address it named (§1.7); AskingError otherwise."""
        result = dtmf_result(trace.session_id, self.clock(), leg.destination, digits, client_request_id)
        await self._answer(url, None, msgspec.json.encode(result), trace)

    def wants_news(self, sub_account_id: str) -> bool:
        """Whether `tell` may have somebody to tell; most sub-accounts want no VCS."""
        return self.records.may_want_news(sub_account_id, WebhookKind.VCS)

    async def tell(self, sub_account_id: str, leg: Leg, news: Tell, session_id: str) -> None:
        """Owe the customer a VCS event, if one is wanted. Never raises: news are best effort."""
        try:
            if not await self.records.wants_news(sub_account_id, WebhookKind.VCS):
                return
            status = CallEventStatus(news.happening.value)
            event = await self._event(session_id, sub_account_id, leg, status, news.duration_seconds, news.sip_code)
            body = msgspec.json.encode(call_status(event))
            if await self.records.enqueue_event(sub_account_id, session_id, WebhookKind.VCS, event.event_id, body):
                self.on_owed()
        except StorageError as error:
            log.warning("a VCS event was dropped: %s", error)

    async def _event(
        self,
        session_id: str,
        sub_account_id: str,
        leg: Leg,
        status: CallEventStatus,
        duration_seconds: int,
        sip_code: int = 200,
    ) -> CallEvent:
        number = await self.records.find_number(leg.destination if leg.inbound else leg.source)
        reference = number.reference_id if number is not None and number.sub_account_id == sub_account_id else None
        return CallEvent(
            event_id=self.new_id(),
            call_id=leg.leg_id,
            session_id=session_id,
            sub_account_id=sub_account_id,
            status=status,
            inbound=leg.inbound,
            source=leg.source,
            destination=leg.destination,
            at=self.clock(),
            source_ref_id=None if leg.inbound else reference,
            destination_ref_id=reference if leg.inbound else None,
            duration_seconds=duration_seconds,
            sip_code=sip_code,
        )

    async def _answer(
        self, url: str, auth_header: str | None, body: bytes, trace: Trace, signature: "_Signature | None" = None
    ) -> bytes:
        headers = {"Content-Type": "application/json"}
        if auth_header:
            headers["Authorization"] = auth_header
        until = self.clock() + ANSWER_SECONDS
        for is_last in (False, True):
            began = self.clock()
            if signature is not None:
                headers |= signed_headers(signature.event_id, self.wall_clock(), body, signature.secrets)
            try:
                answer = await self.post(url, body, headers, within_seconds=max(0.1, until - began))
            except EgressError as error:
                trace.add(self.clock(), "vca.failed", reason=str(error), ms=round((self.clock() - began) * 1000))
                if is_last or isinstance(error, EgressRefused) or self.clock() >= until:
                    raise AskingError(ErrorCode.CONNECTIVITY, f"the VCA webhook: {error}") from error
                continue
            trace.add(self.clock(), "vca.answered", status=answer.status, ms=round((self.clock() - began) * 1000))
            if not 200 <= answer.status < 300:
                raise AskingError(ErrorCode.CONNECTIVITY, f"the VCA webhook answered HTTP {answer.status}")
            if answer.truncated:
                raise AskingError(ErrorCode.CALLFLOW_INVALID, "the VCA webhook's answer is longer than 64 KiB")
            return answer.body
        raise AssertionError("the last try returns or raises")


def _dtmf_version(webhook: Webhook) -> DtmfVersion:
    """Where this endpoint wants to read digits (contract §13 row 6)."""
    match webhook.payload_version:
        case 1:
            return 1
        case 2:
            return 2
        case _:
            return 3
