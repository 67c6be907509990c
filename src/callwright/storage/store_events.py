"""The store's methods about events that are read in order."""

from typing import Final

from callwright.storage import events
from callwright.storage.access import Access
from callwright.storage.events import EventRange, StoredEvent
from callwright.storage.records import WebhookKind

FOLLOWED_SECONDS: Final = 3_600.0
"""So long after somebody read them, news are still written: who comes back by then has missed none."""


class EventStore(Access):
    """What happened in each sub-account, and who follows it."""

    async def events_after(self, sub_account_id: str, number: int, limit: int) -> tuple[StoredEvent, ...]:
        """The next events after `number`, at most 1,000."""
        return await self._ask(lambda connection: events.after(connection, sub_account_id, number, limit))

    async def event_range(self, sub_account_id: str) -> EventRange:
        """From where to where events can be read."""
        return await self._ask(lambda connection: events.kept(connection, sub_account_id))

    async def newest_events(self, sub_account_ids: list[str]) -> dict[str, int]:
        """The newest number of each sub-account."""
        return await self._ask(lambda connection: events.newest_of(connection, sub_account_ids))

    async def follow_events(self, sub_account_id: str) -> None:
        """Somebody reads this sub-account's events now: news are written for it from now on, for an hour at least."""
        now = self._clock()
        if self._mirror.followers.get(sub_account_id, 0.0) - now > FOLLOWED_SECONDS / 2:
            return
        await self._change(lambda connection: events.follow(connection, sub_account_id, now + FOLLOWED_SECONDS))
        await self._look_again()

    def is_followed(self, sub_account_id: str) -> bool:
        """Whether somebody reads the events, or did within the hour: from memory, like `has_webhook`."""
        return self._mirror.followers.get(sub_account_id, 0.0) > self._clock()

    def may_want_news(self, sub_account_id: str, kind: WebhookKind) -> bool:
        """False when `wants_news` is sure to be, without a wait: from memory, unless that is older than two seconds."""
        return self._mirror.is_old() or self._wants_news(sub_account_id, kind)

    async def wants_news(self, sub_account_id: str, kind: WebhookKind) -> bool:
        """Whether best-effort events of this kind shall be written. Asks the database at most every two seconds."""
        if self._mirror.is_old():
            await self._mirror.freshen()
        return self._wants_news(sub_account_id, kind)

    def _wants_news(self, sub_account_id: str, kind: WebhookKind) -> bool:
        return (sub_account_id, kind) in self._mirror.webhooks or self.is_followed(sub_account_id)

    async def take_old_events_away(self, before: float) -> int:
        """Take events away that happened before `before`; how many, at most 1,000 at a time."""
        return await self._change(lambda connection: events.take_away(connection, before), patient=True)
