"""The store's methods about what webhooks are signed with, and what became of what they were sent."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from sqlalchemy import Connection

from callwright.storage import delivery_log, events, webhook_secrets
from callwright.storage.access import Access
from callwright.storage.delivery_log import EndpointReport, LoggedDelivery, LogPage, SentAgain
from callwright.storage.records import DeliveryState
from callwright.storage.webhook_secrets import WebhookSecret

MOST_SENT_AGAIN: Final = 500
"""In one transaction, so that others need not wait for long."""


class WebhookStore(Access):
    """Secrets of endpoints (what is signed with is known from memory, and sealed there too), and their log."""

    async def signing_secrets(self, sub_account_id: str, kind: str) -> tuple[str, ...]:
        """What to sign an endpoint's events with now, the newest first; none when no such webhook is registered.

        From memory; asks the database at most every two seconds, for all endpoints at once. Raises StorageError when
        a secret does not open.
        """
        if self._mirror.is_old():
            await self._mirror.freshen()
        now = self._clock()
        sealed = self._mirror.secrets.get((sub_account_id, kind), ())
        if not sealed:  # registered by another process a moment ago, or before there were secrets
            return tuple(secret.text for secret in await self.endpoint_secrets(sub_account_id, kind))
        return tuple(webhook_secrets.opened(one, self._box).text for one in sealed if one.is_live(now))

    async def endpoint_secrets(self, sub_account_id: str, kind: str) -> tuple[WebhookSecret, ...]:
        """The live secrets of an endpoint, the newest first; made when a registered webhook has none."""
        now = self._clock()
        sealed = await self._ask(lambda connection: webhook_secrets.of_endpoint(connection, sub_account_id, kind))
        if not sealed:
            if not await self._change(
                lambda connection: webhook_secrets.ensure(connection, self._box, sub_account_id, kind, now)
            ):
                return ()
            await self._mirror.expire()
            sealed = await self._ask(lambda connection: webhook_secrets.of_endpoint(connection, sub_account_id, kind))
        return tuple(webhook_secrets.opened(one, self._box) for one in sealed if one.is_live(now))

    async def rotate_secret(self, sub_account_id: str, kind: str, old_valid_seconds: float) -> bool:
        """A new secret for an endpoint; the one before stays good for so long. False when there is no such webhook."""
        at = self._clock()
        rotated = await self._change(
            lambda connection: webhook_secrets.rotate(
                connection, self._box, sub_account_id, kind, at, at + old_valid_seconds
            )
        )
        await self._look_again()
        return rotated

    async def forget_expired_secrets(self) -> int:
        """Take secrets away that nothing is signed with any more; how many."""
        now = self._clock()
        return await self._change(lambda connection: webhook_secrets.forget_expired(connection, now), patient=True)

    # --- the log ----------------------------------------------------------------------------------------------------

    async def endpoint_report(self, sub_account_id: str, kind: str) -> EndpointReport:
        """How an endpoint does: what waits for it, and its last success and failure."""
        return await self._ask(lambda connection: delivery_log.report(connection, sub_account_id, kind))

    async def delivery_of_event(self, sub_account_id: str, event_id: str) -> tuple[LoggedDelivery, ...]:
        """What became of one event; empty when this sub-account has none of that id."""
        return await self._ask(lambda connection: delivery_log.of_event(connection, sub_account_id, event_id))

    async def deliveries_of_session(self, sub_account_id: str, session_id: str) -> tuple[LoggedDelivery, ...]:
        """What a sub-account's session owed or owes, the oldest first."""
        return await self._ask(lambda connection: delivery_log.of_session(connection, sub_account_id, session_id))

    async def delivery_page(
        self,
        sub_account_id: str,
        before: int | None,
        kinds: Sequence[str],
        states: Sequence[DeliveryState],
        limit: int,
    ) -> LogPage:
        """What became of the events below number `before` (None: all), newest first. Pages may be short."""

        def read(connection: Connection) -> LogPage:
            kept = events.kept(connection, sub_account_id)
            begin = kept.newest + 1 if before is None else min(before, kept.newest + 1)
            return delivery_log.page(connection, sub_account_id, begin, kept.oldest_kept, kinds, states, limit)

        return await self._ask(read)

    async def send_again(self, sub_account_id: str, delivery_ids: Sequence[str]) -> SentAgain:
        """Have events sent again, whatever became of them; those of others and those yet to happen are left out."""
        at, due, held = self._clock(), 0, 0
        for first in range(0, len(delivery_ids), MOST_SENT_AGAIN):
            some = delivery_ids[first : first + MOST_SENT_AGAIN]
            sent = await self._change(
                partial(delivery_log.send_again, sub_account_id=sub_account_id, delivery_ids=some, at=at)
            )
            due, held = due + sent.due, held + sent.held
        return SentAgain(due, held)
