"""The store: every question and every change that the platform has for its database, as named methods.

One method is one transaction. Changes share commits (see transactions.py) and are durable when the method returns;
questions run beside them on a thread of their own and see everything that was acknowledged. Nothing blocks the
event loop. A method raises StorageUnavailable when the database is away, locked or full (nothing was changed, trying
later may work) and StorageError for everything else.

A caller that is cancelled while it waits leaves its change in the queue: it will be made. Who must know the outcome
shields the call.

Sessions, webhooks, deliveries and keys are here; numbers, recordings, exports, verifications, events and what is known
of webhooks in `store_*.py`.
"""

import asyncio
import logging
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from callwright.callflow.plan import Callflow
from callwright.callflow.summary import SessionSummary
from callwright.contract.session_list import SessionQuery
from callwright.errors import StorageError
from callwright.storage import accounts, outbox, sessions
from callwright.storage.access import MakeQueue
from callwright.storage.database import Database
from callwright.storage.idempotency import KeptAnswer
from callwright.storage.keys import LAST_USED_SECONDS, check_preset, new_key_text
from callwright.storage.opening import KEY_FILE_NAME as KEY_FILE_NAME
from callwright.storage.opening import open_database, open_secrets
from callwright.storage.records import (
    ApiKey,
    DeliveryAttempt,
    DialIntent,
    DueDelivery,
    Lane,
    StoredDelivery,
    StoredSession,
    Webhook,
    WebhookKind,
    encode_callflow,
    encode_summary,
    encode_trace,
)
from callwright.storage.secrets_box import SecretsBox
from callwright.storage.store_claims import ClaimStore
from callwright.storage.store_events import EventStore
from callwright.storage.store_exports import ExportStore
from callwright.storage.store_idempotency import IdempotencyStore
from callwright.storage.store_nodes import NodeStore
from callwright.storage.store_numbers import NumberStore
from callwright.storage.store_recordings import RecordingStore
from callwright.storage.store_trunks import TrunkStore
from callwright.storage.store_verifications import VerificationStore
from callwright.storage.store_webhooks import WebhookStore
from callwright.telemetry.clock import Clock, platform_clock
from callwright.telemetry.trace import Trace

_log = logging.getLogger(__name__)

BUSY_TIMEOUT_SECONDS: Final = 0.9
"""How long a transaction waits for another process. Twice that is the longest wait: one batch ahead, one's own."""
MOST_WAITING_FOR_EVENTS: Final = 2_000
"""With more changes than this waiting for the disk, best-effort events are dropped."""


class Store(
    NumberStore,
    RecordingStore,
    ExportStore,
    VerificationStore,
    EventStore,
    WebhookStore,
    IdempotencyStore,
    NodeStore,
    TrunkStore,
    ClaimStore,
):
    """An open database. Made by `Store.open`, used on one event loop, closed at the end."""

    def __init__(
        self,
        database: Database,
        box: SecretsBox,
        clock: Clock,
        *,
        node_id: str,
        transactions: MakeQueue | None = None,
    ) -> None:
        super().__init__(database, box, clock, node_id=node_id, transactions=transactions)
        self._noting: asyncio.Task[None] | None = None
        self._closed = False

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        folder: Path | None = None,
        clock: Clock | None = None,
        exclusive: bool = True,
        key_file: Path | None = None,
        busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
        node_id: str | None = None,
        transactions: MakeQueue | None = None,
    ) -> Self:
        """Open the database at `url` and migrate it when needed: `sqlite:///FOLDER/callwright.db`, which is made, or
        `postgresql://…`, of which `folder` is the data folder.

        `exclusive` is for the one server on a data folder; other commands pass False and may run beside it. `key_file`
        holds the key that secrets are sealed with; it is in the data folder unless told otherwise. `node_id` names this
        process among those that share the database (None: a new one). `transactions` makes what runs the requests; a
        simulation hands in its own. Raises StorageError when the folder is taken (naming the process), the schema is
        newer than this program, or the URL or key file cannot be used.
        """

        def open_all() -> tuple[Database, SecretsBox]:
            database = open_database(url, folder, exclusive=exclusive, busy_timeout_seconds=busy_timeout_seconds)
            try:
                return database, open_secrets(database, key_file)
            except BaseException:
                database.close()
                raise

        database, box = await asyncio.to_thread(open_all)
        return cls(
            database, box, clock or platform_clock(), node_id=node_id or str(uuid.uuid4()), transactions=transactions
        )

    async def close(self) -> None:
        """Finish what waits, write last-used times, close the files, let the folder go. May be called twice."""
        if self._closed:
            return
        self._closed = True
        await self._mirror.settle()
        await self.stop_listening()
        if self._noting is not None:
            await asyncio.wait([self._noting])
        try:
            await self._note_use()
        finally:
            if self._leases is not self._changes:
                await self._leases.close()
            await self._changes.close()
            await self._questions.close()
            await asyncio.to_thread(self._database.close)

    # --- sessions ----------------------------------------------------------------------------------------------------

    async def accept_session(
        self, session_id: str, sub_account_id: str, callflow: Callflow, at: float, kept: KeptAnswer | None = None
    ) -> None:
        """Write the session and the VSS event that is owed for it; durable when this returns.

        `kept` is what the request is answered, if it has an Idempotency-Key; KeyTaken when that has been used.
        """
        encoded, owner = encode_callflow(callflow), self.node_id
        await self._change(
            lambda connection: sessions.accept(
                connection, session_id, sub_account_id, callflow, encoded, at, kept, node_id=owner
            ),
            undo=lambda connection: sessions.take_back(connection, session_id, kept, node_id=owner),
        )

    async def accept_incoming(  # one call, whole
        self,
        session_id: str,
        sub_account_id: str,
        leg_id: str,
        source: str,
        destination: str,
        sip_call_id: str,
        trunk: str,
        at: float,
        dialog: str = "",
    ) -> None:
        """Write the session of a call that came in, DIALLED, with its leg and the VSS that is owed for it.

        Its callflow is empty and bears the session's id as `call_flow_request_id`: what to do comes by webhook.
        """
        callflow = Callflow((), session_id)
        encoded = encode_callflow(callflow)
        intent = DialIntent(
            leg_id, session_id, sip_call_id, trunk, at, source, destination, inbound=True, dialog=dialog
        )
        owner = self.node_id
        await self._change(
            lambda connection: sessions.accept_incoming(
                connection, sub_account_id, callflow, encoded, intent, node_id=owner
            ),
            undo=lambda connection: sessions.take_back(connection, session_id, node_id=owner),
        )

    async def record_dial_intent(  # one leg, whole
        self,
        session_id: str,
        leg_id: str,
        sip_call_id: str,
        trunk: str,
        at: float,
        source: str | None = None,
        destination: str | None = None,
        dialog: str = "",
    ) -> None:
        """Write down that an INVITE is about to leave; only then may it.

        Raises StorageError when this leg was written before, or its session is unknown, finished or another node's by
        now: do not dial.
        """
        intent = DialIntent(leg_id, session_id, sip_call_id, trunk, at, source, destination, dialog=dialog)
        owner = self.node_id
        await self._change(lambda connection: sessions.intend_to_dial(connection, intent, node_id=owner))

    async def keep_dialog(self, leg_id: str, dialog: str) -> None:
        """Write down anew what it takes to end a leg without this process."""
        await self._change(lambda connection: sessions.keep_dialog(connection, leg_id, dialog), patient=True)

    async def finish_session(self, summary: SessionSummary, vss_body: bytes, trace: Trace, at: float) -> bool:
        """Write the one terminal record with its trace; the owed event becomes due, or has no endpoint.

        False when the session has its record already, or is another node's, which will write it: nothing is changed.
        Raises StorageError for an unknown session.
        """
        encoded, entries, owner = encode_summary(summary), encode_trace(trace), self.node_id
        finished = await self._change(
            lambda connection: sessions.finish(connection, summary, encoded, vss_body, entries, at, node_id=owner),
            patient=True,
        )
        self.on_event(summary.sub_account_id)
        return finished

    async def unfinished_sessions(self) -> tuple[StoredSession, ...]:
        """Sessions without a terminal record, oldest first: what a start after a crash must end."""
        return await self._ask(sessions.unfinished)

    async def find_session(self, session_id: str) -> StoredSession | None:
        """One session, or None."""
        return await self._ask(lambda connection: sessions.find(connection, session_id))

    async def find_trace(self, session_id: str) -> Trace | None:
        """The trace of a finished session, or None."""
        return await self._ask(lambda connection: sessions.find_trace(connection, session_id))

    async def recent_sessions(self, limit: int) -> tuple[StoredSession, ...]:
        """The latest sessions, newest first; at most 1,000."""
        return await self._ask(lambda connection: sessions.recent(connection, limit))

    async def list_sessions(self, sub_account_id: str, wanted: SessionQuery) -> tuple[StoredSession, ...]:
        """One page of a sub-account's sessions, newest first; at most 1,000."""
        return await self._ask(lambda connection: sessions.page(connection, sub_account_id, wanted))

    # --- webhooks and deliveries -------------------------------------------------------------------------------------

    async def put_webhook(  # one registration, whole
        self,
        sub_account_id: str,
        kind: WebhookKind,
        url: str,
        http_auth_header: str | None,
        *,
        enabled: bool = True,
        payload_version: int = 3,
    ) -> Webhook:
        """Register a webhook, or replace what is registered for that kind. Events held for want of it go on."""
        webhook = Webhook(sub_account_id, kind, url, enabled, http_auth_header, payload_version)
        at = self._clock()
        await self._change(lambda connection: accounts.put_webhook(connection, webhook, self._box, at))
        await self._look_again()
        return webhook

    def has_webhook(self, sub_account_id: str, kind: WebhookKind) -> bool:
        """Whether events of this kind are wanted: from memory, as it was when a key or number was last looked up."""
        return (sub_account_id, kind) in self._mirror.webhooks

    async def enqueue_event(
        self, sub_account_id: str, session_id: str, kind: WebhookKind, event_id: str, body: bytes
    ) -> bool:
        """Have a best-effort event (VCS) delivered if an enabled webhook wants it; whether it will be tried.

        Costs nothing when nobody wants it or follows the events. Dropped when 1,000 of its kind wait for the same
        endpoint, or the disk does not keep up. `event_id` is the same on every try. Raises StorageError for an unknown
        session.
        """
        if not await self.wants_news(sub_account_id, kind) or self._changes.waiting > MOST_WAITING_FOR_EVENTS:
            return False
        at, followed = self._clock(), self.is_followed(sub_account_id)
        sent = await self._change(
            lambda connection: outbox.enqueue_if_room(
                connection, sub_account_id, session_id, kind.value, event_id, body, at, followed=followed
            )
        )
        self.on_event(sub_account_id)
        return sent

    async def list_webhooks(self, sub_account_id: str) -> tuple[Webhook, ...]:
        """What a sub-account has registered, by kind."""
        return await self._ask(lambda connection: accounts.list_webhooks(connection, self._box, sub_account_id))

    async def find_webhook(self, sub_account_id: str, kind: WebhookKind) -> Webhook | None:
        """One registration, or None."""
        return await self._ask(lambda connection: accounts.find_webhook(connection, self._box, sub_account_id, kind))

    async def delete_webhook(self, sub_account_id: str, kind: WebhookKind) -> Webhook | None:
        """Take a registration away; what it was, or None. Its due events are held, not lost."""
        deleted = await self._change(
            lambda connection: accounts.delete_webhook(connection, self._box, sub_account_id, kind)
        )
        await self._look_again()
        return deleted

    async def delivery_lanes(self) -> tuple[Lane, ...]:
        """Every endpoint that has something to send, now or later, the earliest first."""
        return await self._ask(outbox.lanes)

    async def due_deliveries(self, sub_account_id: str, kind: str, limit: int) -> tuple[DueDelivery, ...]:
        """The next events of one endpoint, by the time of their next try (which may lie in the future).

        Those that another node is sending are not among them.
        """
        now = self._clock()
        return await self._ask(lambda connection: outbox.due(connection, self._box, sub_account_id, kind, limit, now))

    async def record_attempt(
        self,
        delivery_id: str,
        *,
        number: int,
        at: float,
        host: str,
        status: int | None,
        error: str | None,
        elapsed_ms: int,
        delivered: bool,
        next_attempt_at: float | None,
    ) -> None:
        """Write one try. Not delivered and no next try means: given up.

        Raises StorageError for an unknown delivery or a number that was written before.
        """
        attempt = DeliveryAttempt(number, at, host, status, error, elapsed_ms)
        await self._change(
            lambda connection: outbox.note_attempt(connection, delivery_id, attempt, delivered, next_attempt_at),
            patient=True,
        )

    async def disable_endpoint(self, sub_account_id: str, kind: str, url: str) -> None:
        """Switch a webhook off because `url` answered that it is gone for good; its due events are held."""
        await self._change(lambda connection: outbox.disable_endpoint(connection, sub_account_id, kind, url))
        await self._look_again()

    async def exhaust_held(self, before: float) -> int:
        """Give up events that are held and became due before `before`; how many."""
        return await self._change(lambda connection: outbox.exhaust_held(connection, before))

    async def deliveries_of(self, session_id: str) -> tuple[StoredDelivery, ...]:
        """What a session owed or owes, with every try."""
        return await self._ask(lambda connection: outbox.deliveries_of(connection, session_id))

    # --- sub-accounts and keys ---------------------------------------------------------------------------------------

    async def ensure_sub_account(self, sub_account_id: str) -> None:
        """Make a sub-account unless it is there."""
        at = self._clock()
        await self._change(lambda connection: accounts.ensure_sub_account(connection, sub_account_id, at))

    async def has_sub_account(self, sub_account_id: str) -> bool:
        """Whether there is such a sub-account."""
        return await self._ask(lambda connection: accounts.has_sub_account(connection, sub_account_id))

    async def create_key(self, sub_account_id: str, name: str, scopes: Sequence[str] = ()) -> str:
        """Make a key and return its text: the only time that anybody sees it."""
        text = new_key_text()
        await self._add_key(text, sub_account_id, name, scopes)
        return text

    async def adopt_key(self, text: str, sub_account_id: str, name: str, scopes: Sequence[str] = ()) -> None:
        """Take a preset text as a key. Again is fine; raises StorageError when it is revoked or another's."""
        check_preset(text)
        await self._add_key(text, sub_account_id, name, scopes)

    async def find_key(self, text: str) -> ApiKey | None:
        """The live key with this text, or None. Asks the database at most every two seconds, for all keys at once."""
        if self._mirror.is_old():
            await self._mirror.freshen()
        now = self._clock()
        key = self._mirror.keys.find(text, now)
        since = self._mirror.keys.used_since
        if since is not None and now - since > LAST_USED_SECONDS and self._noting is None and not self._closed:
            self._noting = asyncio.create_task(self._note_use())
        return key

    async def check_key(self, text: str, sub_account_id: str) -> ApiKey | None:
        """The live key with this text if it is this sub-account's; None alike for unknown, revoked and another's."""
        key = await self.find_key(text)
        return key if key is not None and key.sub_account_id == sub_account_id else None

    async def list_keys(self) -> tuple[ApiKey, ...]:
        """All keys without their texts, revoked ones too."""
        return await self._ask(accounts.list_keys)

    async def revoke_key(self, key_id: str) -> bool:
        """Revoke for good: at once here, within seconds in other processes. False when there is no such live key."""
        at = self._clock()
        revoked = await self._change(lambda connection: accounts.revoke_key(connection, key_id, at))
        await self._mirror.expire()
        return revoked

    # --- how it is done ----------------------------------------------------------------------------------------------

    async def _add_key(self, text: str, sub_account_id: str, name: str, scopes: Sequence[str]) -> None:
        at = self._clock()
        await self._change(lambda connection: accounts.add_key(connection, text, sub_account_id, name, scopes, at))
        await self._mirror.expire()

    async def _note_use(self) -> None:
        """Write last-used times; when the database cannot now, they wait for the next time."""
        used = self._mirror.keys.take_used()
        try:
            if used:
                await self._changes.run(lambda connection: accounts.note_use(connection, used))
        except StorageError as error:
            _log.warning("when keys were last used is not written yet: %s", error)
            self._mirror.keys.put_back(used)
        finally:
            self._noting = None
