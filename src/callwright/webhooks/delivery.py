"""Carrying events from the outbox to their receivers, each as often as needed and at least once.

Every endpoint (a sub-account's webhook of one kind) has a lane of its own. An endpoint that answers may have several
events on the way; one that was not tried yet, or failed last time, has one. Endpoints that fail are counted apart, so
that receivers that hang fill only the room that is kept for them, and nobody else waits.

Every try is written down before the lane goes on. When that cannot be written (database away, process killed) the
event is sent again later, with the same `webhook-id`: at least once, never silently lost.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import urlsplit

from callwright.errors import AlreadyTried, EgressError, StorageError, StorageUnavailable
from callwright.retries import GIVE_UP_SECONDS, HOUR, wait_seconds
from callwright.telemetry.clock import Clock
from callwright.webhooks.schedule import Verdict, asked_wait_seconds, judge
from callwright.webhooks.signing import signed_headers

TIMEOUT_SECONDS: Final = 15.0
CLAIM_SECONDS: Final = 60.0
"""For how long an event is this node's to send: longer than a try takes, and writing it down."""
MOST_PER_ENDPOINT: Final = 8
MOST_ON_THE_WAY: Final = 128
"""Events on the way to endpoints that answered last time, or were not tried yet."""
MOST_TO_FAILING: Final = 64
"""Events on the way to endpoints that failed last time."""
STORE_PAUSE_SECONDS: Final = 1.0
"""Between two attempts at a database that is away."""
FAULT_PAUSE_SECONDS: Final = 60.0
"""How long an endpoint rests after something broke here, so that nobody is sent one event again and again."""
SWEEP_SECONDS: Final = HOUR
"""How often events that are held are looked through for those that are too old."""
IDLE_LOOK_SECONDS: Final = 10.0
"""How long an event may stay unseen that another process owes, such as `callwright numbers`, which cannot wake us."""

_log = logging.getLogger(__name__)


class Lane(Protocol):
    """An endpoint that has something to send, now or later."""

    @property
    def sub_account_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def first_due_at(self) -> float: ...


class DueDelivery(Protocol):
    """One event to send, with the endpoint as it is now."""

    @property
    def delivery_id(self) -> str: ...
    @property
    def event_id(self) -> str: ...
    @property
    def sub_account_id(self) -> str: ...
    @property
    def session_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def http_auth_header(self) -> str | None: ...
    @property
    def body(self) -> bytes: ...
    @property
    def attempts(self) -> int: ...
    @property
    def tries(self) -> int: ...
    @property
    def next_attempt_at(self) -> float: ...


class Outbox(Protocol):
    """What delivery needs of the store."""

    async def delivery_lanes(self) -> Sequence[Lane]: ...
    async def due_deliveries(self, sub_account_id: str, kind: str, limit: int) -> Sequence[DueDelivery]: ...
    async def claim_delivery(self, delivery_id: str, attempts: int, lease_seconds: float) -> bool: ...
    async def signing_secrets(self, sub_account_id: str, kind: str) -> Sequence[str]: ...
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
    ) -> None: ...
    async def disable_endpoint(self, sub_account_id: str, kind: str, url: str) -> None: ...
    async def exhaust_held(self, before: float) -> int: ...


class Answer(Protocol):
    """What a receiver said."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Post(Protocol):
    """The door out: `Egress.post`."""

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str], *, within_seconds: float) -> Answer: ...


@dataclass(slots=True)
class _Endpoint:
    """What is known of one endpoint, while it has something to send."""

    sound: bool | None = None
    "answered well the last time; None: not tried yet"
    not_before: float = 0.0
    "it asked to be left alone until then (Retry-After)"
    sending: set[str] = field(default_factory=set)
    "delivery ids on the way"

    @property
    def failing(self) -> bool:
        return self.sound is False


@dataclass(frozen=True, slots=True)
class _Try:
    """How one try went."""

    at: float
    elapsed_ms: int
    verdict: Verdict
    status: int | None = None
    error: str | None = None
    asked_wait_seconds: float = 0.0


def headers_of(delivery: DueDelivery, secrets: Sequence[str], at: float) -> dict[str, str]:
    """The headers of an event sent at `at` (wall clock): what it is, who we are (verbatim), and its signature."""
    headers = {"Content-Type": "application/json", **signed_headers(delivery.event_id, at, delivery.body, secrets)}
    if delivery.http_auth_header is not None:
        headers["Authorization"] = delivery.http_auth_header
    return headers


def host_of(url: str) -> str:
    """The host of a URL, for records and logs; the rest of it may hold secrets."""
    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


class Deliverer:
    """Sends what is due. Started and stopped on the event loop; `wake` tells it that something new is due."""

    def __init__(
        self,
        outbox: Outbox,
        post: Post,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        wall_clock: Callable[[], float] = time.time,
        timeout_seconds: float = TIMEOUT_SECONDS,
        idle_look_seconds: float = IDLE_LOOK_SECONDS,
    ) -> None:
        """`sleep` waits in platform time and `jitter` gives numbers from 0 to 1; both are handed in by tests.

        `wall_clock` tells receivers when an event was sent. It is not the platform's, which stands still while the
        machine sleeps: receivers refuse what is minutes old.
        """
        self._outbox = outbox
        self._post = post
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._wall_clock = wall_clock
        self._timeout_seconds = timeout_seconds
        self._idle_look_seconds = idle_look_seconds
        self._endpoints: dict[tuple[str, str], _Endpoint] = {}
        self._on_the_way: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        "set when a look left nothing out that is due, cleared by news"
        self._loop: asyncio.Task[None] | None = None
        self._sweep_at = float("-inf")
        self._left_out = False
        "something due was left out at this look, for want of room"
        self._look_again = True
        "whoever comes back makes news: something was left out, or a look is under way"
        self._back: set[str] = set()
        "delivery ids that came back since the last look began; what the look has read of them may be old"

    async def start(self) -> None:
        """Begin; what was due before the last stop or crash is sent now."""
        self._loop = asyncio.create_task(self._run(), name="webhook-delivery")
        self._loop.add_done_callback(_report)

    async def settle(self, limit_seconds: float) -> bool:
        """Wait until all that is due has been tried, at most `limit_seconds`; False when something is left for later.

        For the end of a process: the summaries of its last calls shall not wait for the next start.
        """
        try:
            async with asyncio.timeout(limit_seconds):
                while not self._settled.is_set() or self._on_the_way:
                    await self._settled.wait()
                    if self._on_the_way:
                        await asyncio.wait(set(self._on_the_way))
                    await asyncio.sleep(0)  # what came back may have made news
        except TimeoutError:
            return False
        return True

    async def stop(self, limit_seconds: float = 5.0) -> None:
        """Send nothing new; give what is on the way `limit_seconds`, then cut it off (it is sent again later)."""
        if self._loop is None:
            return
        await _cancelled(self._loop)
        self._loop = None
        if self._on_the_way:
            _, late = await asyncio.wait(self._on_the_way, timeout=limit_seconds)
            for task in late:
                await _cancelled(task)

    def wake(self) -> None:
        """Something is due, or a webhook was registered: look again."""
        self._settled.clear()
        self._news.set()

    # --- choosing ----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                wake_at = await self._send_what_is_due()
            except StorageError as error:
                _log.warning("webhooks wait: %s", error)
                wake_at = self._clock() + STORE_PAUSE_SECONDS
            else:
                if not self._left_out and not self._news.is_set():
                    self._settled.set()
            await self._wait_until(wake_at)

    async def _wait_until(self, wake_at: float) -> None:
        """Until `wake_at`, or until there is news."""
        timer = asyncio.ensure_future(self._sleep(max(0.0, wake_at - self._clock())))
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait({timer, news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            news.cancel()

    async def _send_what_is_due(self) -> float:
        """Put on the way what is due and has room; when to look again if nothing else happens."""
        now = self._clock()
        if now >= self._sweep_at:
            given_up = await self._outbox.exhaust_held(now - GIVE_UP_SECONDS)
            if given_up:
                _log.warning("%d events were given up: their webhooks did not come back", given_up)
            self._sweep_at = now + SWEEP_SECONDS
        self._back.clear()
        self._look_again, self._left_out = True, False
        lanes = await self._outbox.delivery_lanes()
        self._forget_idle(lanes)
        spare = {
            failing: most - sum(len(known.sending) for known in self._endpoints.values() if known.failing is failing)
            for failing, most in ((False, MOST_ON_THE_WAY), (True, MOST_TO_FAILING))
        }
        wake_at = min(self._sweep_at, now + self._idle_look_seconds)
        for lane in lanes:
            endpoint = self._endpoints.setdefault((lane.sub_account_id, lane.kind), _Endpoint())
            first_at = max(lane.first_due_at, endpoint.not_before)
            if first_at > now:
                wake_at = min(wake_at, first_at)
                continue
            failing = endpoint.failing
            room = min((MOST_PER_ENDPOINT if endpoint.sound else 1) - len(endpoint.sending), spare[failing])
            if room <= 0:
                self._left_out = True
                continue
            begun, next_at = await self._fill(lane, endpoint, room, now)
            spare[failing] -= begun
            wake_at = min(wake_at, next_at)
        self._look_again = self._left_out
        return wake_at

    def _forget_idle(self, lanes: Sequence[Lane]) -> None:
        wanted = {(lane.sub_account_id, lane.kind) for lane in lanes}
        for key in [key for key, known in self._endpoints.items() if key not in wanted and not known.sending]:
            if self._endpoints[key].not_before <= self._clock():
                del self._endpoints[key]

    async def _fill(self, lane: Lane, endpoint: _Endpoint, room: int, now: float) -> tuple[int, float]:
        """Use an endpoint's room: how many were put on the way, and when its next event is due (or infinity)."""
        most = room + len(endpoint.sending) + 1  # those on the way are still due in the database; one more tells when
        try:
            secrets = await self._outbox.signing_secrets(lane.sub_account_id, lane.kind)
            if not secrets:
                return 0, float("inf")  # the webhook was taken away a moment ago
            due = await self._outbox.due_deliveries(lane.sub_account_id, lane.kind, most)
        except StorageUnavailable:
            raise
        except StorageError:
            _log.exception("the %s events of %s cannot be read", lane.kind, lane.sub_account_id)
            endpoint.not_before = now + FAULT_PAUSE_SECONDS
            return 0, endpoint.not_before
        begun = 0
        for delivery in due:
            if delivery.delivery_id in endpoint.sending or delivery.delivery_id in self._back:
                continue
            if delivery.next_attempt_at > now:
                return begun, delivery.next_attempt_at
            if begun == room:
                self._left_out = True
                break
            begun += 1
            endpoint.sending.add(delivery.delivery_id)
            task = asyncio.create_task(self._claim_and_carry(delivery, secrets, endpoint))
            self._on_the_way.add(task)
            task.add_done_callback(self._on_the_way.discard)
            task.add_done_callback(_report)
        return begun, float("inf")

    # --- sending -----------------------------------------------------------------------------------------------------

    async def _claim_and_carry(self, delivery: DueDelivery, secrets: Sequence[str], endpoint: _Endpoint) -> None:
        """One try of one event, unless another node makes it."""
        try:
            is_ours = await self._outbox.claim_delivery(delivery.delivery_id, delivery.attempts, CLAIM_SECONDS)
        except StorageError as error:
            _log.warning("webhooks wait: %s", error)
            is_ours = False
            endpoint.not_before = max(endpoint.not_before, self._clock() + STORE_PAUSE_SECONDS)
        if is_ours:
            await self._carry(delivery, secrets, endpoint)
            return
        endpoint.sending.discard(delivery.delivery_id)
        self._back.add(delivery.delivery_id)
        self.wake()  # there is room for another

    async def _carry(self, delivery: DueDelivery, secrets: Sequence[str], endpoint: _Endpoint) -> None:
        """One try of one event, written down."""
        endpoint_was_sound, delivered, recorded = endpoint.sound, False, False
        try:
            outcome = await self._try(delivery, secrets)
            delivered = endpoint.sound = outcome.verdict is Verdict.DELIVERED
            if outcome.asked_wait_seconds:
                endpoint.not_before = max(endpoint.not_before, outcome.at + outcome.asked_wait_seconds)
            await self._record(delivery, outcome)
            recorded = True
        finally:
            endpoint.sending.discard(delivery.delivery_id)
            self._back.add(delivery.delivery_id)
            if not recorded:
                endpoint.not_before = self._clock() + FAULT_PAUSE_SECONDS
            if not delivered or not recorded or not endpoint_was_sound or self._look_again:
                self.wake()  # there is a retry to wait for, or room for somebody

    async def _try(self, delivery: DueDelivery, secrets: Sequence[str]) -> _Try:
        began = self._clock()
        headers = headers_of(delivery, secrets, self._wall_clock())
        try:
            answer = await self._post(delivery.url, delivery.body, headers, within_seconds=self._timeout_seconds)
        except EgressError as error:
            at = self._clock()
            return _Try(at, round((at - began) * 1000), Verdict.RETRY, error=str(error))
        at = self._clock()
        return _Try(
            at,
            round((at - began) * 1000),
            judge(answer.status),
            status=answer.status,
            asked_wait_seconds=asked_wait_seconds(answer.status, answer.headers, at),
        )

    async def _record(self, delivery: DueDelivery, outcome: _Try) -> None:
        """Write the try down; while the database is away, again and again. Raises StorageError when it refuses."""
        number = delivery.attempts + 1
        wait = wait_seconds(delivery.tries + 1, self._jitter(), outcome.asked_wait_seconds)
        next_attempt_at = None if wait is None else outcome.at + wait
        self._tell(delivery, outcome, number, next_attempt_at)
        while True:
            try:
                if outcome.verdict is Verdict.GONE:
                    await self._outbox.disable_endpoint(delivery.sub_account_id, delivery.kind, delivery.url)
                await self._outbox.record_attempt(
                    delivery.delivery_id,
                    number=number,
                    at=outcome.at,
                    host=host_of(delivery.url),
                    status=outcome.status,
                    error=outcome.error,
                    elapsed_ms=outcome.elapsed_ms,
                    delivered=outcome.verdict is Verdict.DELIVERED,
                    next_attempt_at=next_attempt_at,
                )
            except StorageUnavailable as error:
                _log.warning("a webhook's try is not written yet: %s", error)
                await self._sleep(STORE_PAUSE_SECONDS)
            except AlreadyTried as error:  # we stood still for longer than our claim was good
                _log.warning("a webhook was sent by another node too: %s", error)
                return
            else:
                return

    def _tell(self, delivery: DueDelivery, outcome: _Try, number: int, next_attempt_at: float | None) -> None:
        what = f"failed: {outcome.error}" if outcome.status is None else f"answered {outcome.status}"
        call = {"call": delivery.session_id[:8]}
        words = "%s to %s %s after %d ms"
        facts = (delivery.kind, host_of(delivery.url), what, outcome.elapsed_ms)
        if outcome.verdict is Verdict.DELIVERED:
            _log.info(words, *facts, extra=call)
        elif outcome.verdict is Verdict.GONE:
            _log.warning(words + "; the webhook is switched off", *facts, extra=call)
        elif next_attempt_at is None:
            _log.warning(words + "; given up after %d tries", *facts, number, extra=call)
        else:
            _log.warning(words + "; again in %.0f s", *facts, next_attempt_at - outcome.at, extra=call)


def _report(task: "asyncio.Task[None]") -> None:
    """Say aloud what nobody waits for."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("%s broke", task.get_name(), exc_info=error)


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
