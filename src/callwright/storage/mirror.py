"""What a process keeps of the database in memory: API keys, virtual numbers, which webhooks are enabled and what they
are signed with, and whose events are followed.

Each has an edition in the database that moves on with every change, by whichever process. The editions are read
together, at most every two seconds and when this process changed something; only what has moved on is read anew. So
long may a key that another process revoked still be taken.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from callwright.storage import accounts, editions, events, time_left, virtual_numbers, webhook_secrets
from callwright.storage.keys import KeyRing
from callwright.storage.records import ApiKey, VirtualNumber, WebhookKind
from callwright.storage.virtual_numbers import NumberBook
from callwright.storage.webhook_secrets import SealedSecret
from callwright.telemetry.clock import Clock

AGE_SECONDS: Final = 2.0
NEVER_CHANGED: Final = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """What has moved on since the last reading; None for what has not."""

    editions: Mapping[str, int]
    keys: list[tuple[str, ApiKey]] | None
    numbers: list[VirtualNumber] | None
    webhooks: frozenset[tuple[str, WebhookKind]] | None
    secrets: list[SealedSecret] | None
    followers: Mapping[str, float] | None


def read_changes(connection: Connection, known: Mapping[str, int]) -> Changes:
    """The editions now, and what is not as in the editions that are `known`."""
    now = editions.current(connection)

    def moved_on(name: str) -> bool:
        return name not in known or now.get(name, NEVER_CHANGED) != known[name]

    return Changes(
        editions={name: now.get(name, NEVER_CHANGED) for name in editions.EDITIONS},
        keys=accounts.live_keys(connection) if moved_on(editions.API_KEYS) else None,
        numbers=virtual_numbers.every(connection) if moved_on(editions.VIRTUAL_NUMBERS) else None,
        webhooks=frozenset(accounts.enabled_webhooks(connection)) if moved_on(editions.WEBHOOKS) else None,
        secrets=webhook_secrets.every(connection) if moved_on(editions.WEBHOOKS) else None,
        followers=events.followers(connection) if moved_on(editions.FOLLOWERS) else None,
    )


class Mirror:
    """All of it, and how old it is. Used on the event loop's thread."""

    def __init__(self, read: Callable[[Mapping[str, int]], Awaitable[Changes]], clock: Clock) -> None:
        self.keys = KeyRing()
        self.numbers = NumberBook()
        self.webhooks: frozenset[tuple[str, WebhookKind]] = frozenset()
        "(sub-account, kind) of those that are enabled"
        self.secrets: Mapping[tuple[str, str], Sequence[SealedSecret]] = {}
        "by sub-account and kind; what has expired may be among them"
        self.followers: Mapping[str, float] = {}
        "until when the events of a sub-account are followed"
        self._read = read
        self._clock = clock
        self._editions: Mapping[str, int] = {}
        self._checked_at = float("-inf")
        self._refreshing: asyncio.Task[None] | None = None

    @property
    def trunks_edition(self) -> int:
        """As of the last reading."""
        return self._editions.get(editions.TRUNKS, NEVER_CHANGED)

    def is_old(self) -> bool:
        """Whether it must be made fresh before it is relied on."""
        return self._clock() - self._checked_at > AGE_SECONDS

    async def freshen(self) -> None:
        """Look for changes; who comes meanwhile waits for the same reading. Raises StorageError."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
            self._refreshing.add_done_callback(_note_end)
        await time_left.in_time(self._refreshing)

    async def expire(self) -> None:
        """Have the next reader look for changes; a reading that is under way may be from before the change."""
        await self.settle()
        self._checked_at = float("-inf")

    async def settle(self) -> None:
        """Wait for a reading that is under way."""
        if self._refreshing is not None:
            await asyncio.wait([self._refreshing])

    async def _refresh(self) -> None:
        asked_at = self._clock()
        try:
            changes = await self._read(self._editions)
        finally:
            self._refreshing = None
        if changes.keys is not None:
            self.keys.fill(changes.keys)
        if changes.numbers is not None:
            self.numbers.fill(changes.numbers)
        if changes.webhooks is not None:
            self.webhooks = changes.webhooks
        if changes.secrets is not None:
            self.secrets = _by_endpoint(changes.secrets)
        if changes.followers is not None:
            self.followers = changes.followers
        self._editions = changes.editions
        self._checked_at = asked_at


def _note_end(refreshing: "asyncio.Task[None]") -> None:
    """Who waited may have left before it failed."""
    if not refreshing.cancelled():
        refreshing.exception()


def _by_endpoint(secrets: Iterable[SealedSecret]) -> dict[tuple[str, str], list[SealedSecret]]:
    found: dict[tuple[str, str], list[SealedSecret]] = {}
    for secret in secrets:
        found.setdefault((secret.sub_account_id, secret.kind), []).append(secret)
    return found
