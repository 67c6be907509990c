"""Telling a verification's `callbackUrl` what became of it (contract §11.5).

Best effort, unlike a webhook: three tries within seconds, and what this process has not told when it ends is not told
by the next one. A client that must know asks with `verifyUri`, which always tells.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from callwright.contract.json_text import serialize
from callwright.contract.otp_session import Verification, VerificationStatus, verification_body
from callwright.errors import EgressError, EgressRefused, StorageError
from callwright.telemetry.clock import Clock

WAITS_SECONDS: Final = (1.0, 10.0)
"""Between the tries."""
TIMEOUT_SECONDS: Final = 10.0
SHORTEST_SLEEP_SECONDS: Final = 1.0
"""Before a database that is away is asked again."""
MOST_REMEMBERED: Final = 10_000
"""Verifications whose end is waited for; the ends of more are not told."""

_log = logging.getLogger(__name__)


class Answer(Protocol):
    """What a receiver said."""

    @property
    def status(self) -> int: ...


class Post(Protocol):
    """The door out: `Egress.post`."""

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str], *, within_seconds: float) -> Answer: ...


class Verifications(Protocol):
    """What is asked of the store."""

    async def check_verification(
        self, sub_account_id: str, session_id: str, code: str | None, now: float
    ) -> Verification | None:
        """How it stands, when there is no code."""


class VerificationCallbacks:
    """Knows where to tell the end of each verification, and waits for those that nobody ends."""

    def __init__(
        self,
        verifications: Verifications,
        post: Post,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._verifications = verifications
        self._post = post
        self._clock = clock
        self._sleep = sleep
        self._urls: dict[str, str] = {}
        self._expiries: dict[str, asyncio.Task[None]] = {}
        self._errands: set[asyncio.Task[None]] = set()

    def watch(self, verification: Verification, url: str | None) -> None:
        """It was asked for, or asked for again; without `url` the end is told where it was to be told before."""
        session_id = verification.session_id
        if url is not None:
            if session_id not in self._urls and len(self._urls) >= MOST_REMEMBERED:
                _log.warning("%d verifications wait already: the end of another will not be told", MOST_REMEMBERED)
                return
            self._urls[session_id] = url
        if session_id in self._urls:
            if session_id in self._expiries:
                self._expiries[session_id].cancel()
            self._expiries[session_id] = self._run(self._await_expiry(verification))

    def note(self, verification: Verification) -> None:
        """It was checked: tell its end, once, if this is it."""
        if verification.status is VerificationStatus.WAITING:
            return
        url = self._urls.pop(verification.session_id, None)
        waiting = self._expiries.pop(verification.session_id, None)
        if waiting is not None and waiting is not asyncio.current_task():
            waiting.cancel()
        if url is not None:
            self._run(self._tell(url, verification))

    def not_placed(self, verification: Verification, url: str | None) -> None:
        """Nobody could be called; `retryAfter` says that it may be asked for at once."""
        url = url or self._urls.get(verification.session_id)
        if url is not None:
            self._run(self._tell(url, verification))

    async def stop(self) -> None:
        """Tell nothing more."""
        tasks = tuple(self._errands)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, errand: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)
        return task

    async def _await_expiry(self, verification: Verification) -> None:
        """Sleep until its validity is over, then see what became of it; whoever ends it sooner cancels this."""
        current: Verification | None = verification
        while current is not None and current.status is VerificationStatus.WAITING:
            await self._sleep(max(SHORTEST_SLEEP_SECONDS, current.expires_at - self._clock()))
            try:
                current = await self._verifications.check_verification(
                    current.sub_account_id, current.session_id, None, self._clock()
                )
            except StorageError as error:
                _log.warning("a verification's end is not known yet: %s", error)
        if current is not None:  # its row stays as long as its sub-account
            self.note(current)

    async def _tell(self, url: str, verification: Verification) -> None:
        body, headers = serialize(verification_body(verification)), {"Content-Type": "application/json"}
        host, words = urlsplit(url).hostname or "?", ""  # the rest of the URL may hold secrets
        for wait_seconds in (*WAITS_SECONDS, None):
            try:
                answer = await self._post(url, body, headers, within_seconds=TIMEOUT_SECONDS)
                if 200 <= answer.status < 300:
                    return
                words = f"HTTP {answer.status}"
            except EgressRefused as error:
                _log.warning("a verification's callback to %s was not made: %s", host, error)
                return
            except EgressError as error:
                words = str(error)
            if wait_seconds is not None:
                await self._sleep(wait_seconds)
        _log.warning("a verification's callback to %s was given up: %s", host, words)
