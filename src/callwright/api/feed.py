"""Who follows the events of which sub-account, and is told that there are new ones.

Nothing queues here: each follower reads the store from where it is, page by page, as fast as its client takes it. What
wakes it is a notice, of this process or of another that tells us; and as notices may be lost, a look once a second at
all followed sub-accounts together.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from callwright.errors import ContractError, StorageError
from callwright.storage.events import StoredEvent

LOOK_SECONDS: Final = 1.0
EVENTS_AT_ONCE: Final = 100
MOST_FOLLOWERS: Final = 1_000
MOST_OF_ONE: Final = 50
"""Streams of one sub-account that may be open in a process."""

_log = logging.getLogger(__name__)


class Events(Protocol):
    """What is asked of the store."""

    async def events_after(self, sub_account_id: str, number: int, limit: int) -> Sequence[StoredEvent]: ...
    async def newest_events(self, sub_account_ids: list[str]) -> Mapping[str, int]: ...
    async def follow_events(self, sub_account_id: str) -> None: ...


class EventFeed:
    """The followers of one process. Used on the event loop."""

    def __init__(
        self,
        events: Events,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        most_followers: int = MOST_FOLLOWERS,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        self._events = events
        self._sleep = sleep
        self._most_followers = most_followers
        self._most_of_one = most_of_one
        self._followers: dict[str, set[asyncio.Event]] = {}
        self._known: dict[str, int] = {}
        "the newest number at the last look"
        self._looking: asyncio.Task[None] | None = None
        self._over = False

    @property
    def followers(self) -> int:
        """How many there are."""
        return sum(map(len, self._followers.values()))

    def notice(self, sub_account_id: str) -> None:
        """There may be new events of a sub-account."""
        for news in self._followers.get(sub_account_id, ()):
            news.set()

    def check_room(self, sub_account_id: str) -> None:
        """ContractError 503 when no further stream may be opened."""
        of_one = len(self._followers.get(sub_account_id, ()))
        if self._over or of_one >= self._most_of_one or self.followers >= self._most_followers:
            raise ContractError(503, 503, "Too many event streams are open, try again later")

    async def follow(self, sub_account_id: str, after: int) -> AsyncGenerator[StoredEvent, None]:
        """The events after number `after`, and those to come, until the process stops."""
        with self._told(sub_account_id) as news:
            while not self._over:
                news.clear()
                try:
                    page = await self._events.events_after(sub_account_id, after, EVENTS_AT_ONCE)
                except StorageError as error:
                    _log.warning("a stream of events waits: %s", error)
                    await self._sleep(LOOK_SECONDS)
                    news.set()
                    page = ()
                for event in page:
                    yield event
                    after = event.number
                if len(page) < EVENTS_AT_ONCE and not self._over:
                    await news.wait()

    async def stop(self) -> None:
        """End all streams; those who followed may go on elsewhere from the last event they have."""
        self._over = True
        for sub_account_id in self._followers:
            self.notice(sub_account_id)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    @contextmanager
    def _told(self, sub_account_id: str) -> Iterator[asyncio.Event]:
        news = asyncio.Event()
        self._followers.setdefault(sub_account_id, set()).add(news)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="event-feed")
        try:
            yield news
        finally:
            others = self._followers[sub_account_id]
            others.discard(news)
            if not others:
                del self._followers[sub_account_id]
                self._known.pop(sub_account_id, None)

    async def _look(self) -> None:
        """Once a second, while anybody follows."""
        while self._followers and not self._over:
            await self._sleep(LOOK_SECONDS)
            followed = list(self._followers)
            try:
                for sub_account_id in followed:
                    await self._events.follow_events(sub_account_id)  # from memory, but for twice an hour
                newest = await self._events.newest_events(followed)
            except StorageError as error:
                _log.warning("new events are not looked for: %s", error)
                continue
            for sub_account_id, number in newest.items():
                if self._known.get(sub_account_id) != number:
                    self._known[sub_account_id] = number
                    self.notice(sub_account_id)
