"""One callwright node: every room, put together from settings. Started by `run`, `serve` and the tests alike."""

import asyncio
import contextlib
import logging
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from callwright import numbers
from callwright.api.app import Api
from callwright.api.deliveries import Tester, new_event_id
from callwright.api.exports import Exporter
from callwright.api.feed import EventFeed
from callwright.api.platform import Platform
from callwright.api.server import HttpServer, serve_http
from callwright.api.verification_callbacks import VerificationCallbacks
from callwright.callflow.summary import SessionSummary
from callwright.egress import Egress
from callwright.errors import SettingsError, TelephonyError
from callwright.node import wiring
from callwright.node.accounts import prepare_accounts
from callwright.node.trunks import Trunks
from callwright.recordings.shelf import Recordings
from callwright.settings import Settings
from callwright.simulator.carrier import Carrier, Heard
from callwright.speech.prompts import Prompts
from callwright.storage.place import open_store
from callwright.storage.pruning import pruned
from callwright.storage.store import Store
from callwright.switchboard.board import Switchboard
from callwright.switchboard.customer import Customers
from callwright.switchboard.membership import Membership
from callwright.telemetry.clock import Clock, platform_clock
from callwright.telemetry.log import watch_story
from callwright.telephony.line import Telephony, TelephonySettings
from callwright.telephony.trunk import Trunk, wide_codecs
from callwright.webhooks.delivery import Deliverer

log = logging.getLogger(__name__)

LAST_SUMMARIES_SECONDS = 5.0
"""How long a stop waits for the summaries of its last calls to be delivered."""

Closers = contextlib.AsyncExitStack


@dataclass(slots=True)
class Node:
    """A running node; `stop` ends it."""

    settings: Settings
    store: Store
    board: Switchboard
    membership: Membership
    telephony: Telephony
    deliverer: Deliverer
    carrier: Carrier | None
    http: HttpServer
    development_key: str | None
    _closers: Closers

    @classmethod
    async def start(cls, settings: Settings, *, on_heard: Callable[[Heard], None] | None = None) -> Self:
        """Start every room, take up what an earlier process left, then listen. Raises CallwrightError with words."""
        async with Closers() as closers:
            clock = platform_clock()
            numbers.warm()
            store = await open_store(settings, clock=clock)
            closers.push_async_callback(store.close)
            membership = Membership(store, clock, _new_uuid, name=socket.gethostname(), url=settings.node_url)
            await membership.enter()
            closers.push_async_callback(membership.stop)
            key = await prepare_accounts(settings, store)
            trunks = Trunks(settings, store, asyncio.sleep)
            await trunks.load()
            egress = Egress(allow_loopback=settings.development)
            closers.push_async_callback(egress.aclose)
            prompts = await _prompts(settings, egress, clock, wide_codecs(trunks.in_use()), closers)
            carrier = await _carrier(settings, clock, on_heard, closers)
            deliverer = Deliverer(store, egress.post, clock)
            recordings = wiring.recordings(settings, store, egress, clock, deliverer.wake)
            board: Switchboard
            telephony = Telephony(
                TelephonySettings(
                    sip_host=settings.sip.host,
                    sip_port=settings.sip.port,
                    rtp_ports=settings.rtp_ports,
                    media_processes=settings.media_processes,
                    trunks=_trunks(settings, trunks, carrier),
                    tls=wiring.tls(settings),
                    advertise=settings.advertise,
                    stun=settings.stun,
                    log_level=settings.log_level,
                    log_format=settings.log_format,
                ),
                clock,
                lambda leg_id, event: board.post(leg_id, event),
                received=lambda call: board.received(call),
                recorded=recordings.done,
                keep=store.keep_dialog,
                may_dial=membership.holds,
            )
            board = _board(settings, store, egress, prompts, telephony, recordings, deliverer, clock, membership.holds)
            await recordings.start()
            closers.push_async_callback(recordings.stop)
            try:
                await telephony.start()
            except TelephonyError as error:  # an address that is taken or not ours: a matter of settings
                raise SettingsError(str(error)) from error
            closers.push_async_callback(telephony.stop)
            trunks.follow(telephony, prompts.widen)
            closers.push_async_callback(trunks.stop)
            await deliverer.start()
            closers.push_async_callback(deliverer.stop)
            taken_up = await board.recover()
            if taken_up:
                log.warning("%d sessions of an earlier process were taken up", taken_up)
            membership.serve(board, deliverer.wake)
            http = await _serve(
                settings, store, egress, board, telephony, trunks, deliverer, recordings, membership, clock, closers
            )
            return cls(settings, store, board, membership, telephony, deliverer, carrier, http, key, closers.pop_all())

    async def stop(self, drain_seconds: float) -> int:
        """Let live calls finish for `drain_seconds`, send what is due, close; returns how many calls were cut off.

        What was not dialled yet goes to another node, if there is one.
        """
        self.board.draining = True
        await self.membership.drain()
        cut_off = await self.board.drain(drain_seconds)
        if not await self.deliverer.settle(LAST_SUMMARIES_SECONDS):
            log.warning("not every summary went out; the rest is sent on the next start")
        await self._closers.aclose()
        return cut_off


async def _prompts(settings: Settings, egress: Egress, clock: Clock, wide: Sequence[str], closers: Closers) -> Prompts:
    prompts = Prompts(
        Path(settings.data) / "prompts",
        egress,
        clock,
        synthesizers=wiring.speech_engines(settings, egress, clock, is_wide=bool(wide)),
        workers=settings.speech_workers,
        wide_codecs=wide,
    )
    await prompts.start()
    closers.push_async_callback(prompts.stop)
    return prompts


def _trunks(settings: Settings, trunks: Trunks, carrier: Carrier | None) -> tuple[Trunk, ...]:
    """Who carries calls at the start; SettingsError when a server has nobody."""
    found = trunks.in_use(None if carrier is None else Trunk("built-in", *carrier.address, built_in=True))
    if not found and not settings.development:
        words = "no trunk is set. Give one with --trunk sip:HOST:PORT, a [trunks.NAME] table or `callwright trunks add`"
        raise SettingsError(words)
    return found


async def _carrier(
    settings: Settings, clock: Clock, on_heard: Callable[[Heard], None] | None, closers: Closers
) -> Carrier | None:
    """The built-in carrier, unless there is a real one."""
    if not settings.development or settings.trunks:
        return None
    carrier = Carrier("127.0.0.1", 0, clock, heard_folder=Path(settings.data) / "heard", heard=on_heard)
    await carrier.start()
    closers.push_async_callback(carrier.stop)
    return carrier


def _board(  # one switchboard, with all that it sits between
    settings: Settings,
    store: Store,
    egress: Egress,
    prompts: Prompts,
    telephony: Telephony,
    recordings: Recordings,
    deliverer: Deliverer,
    clock: Clock,
    may_dial: Callable[[], bool],
) -> Switchboard:
    summary_body = wiring.summary_body(settings, store)

    def encode_summary(summary: SessionSummary) -> bytes:
        return msgspec.json.encode(summary_body(summary))

    return Switchboard(
        telephony,
        prompts,
        store,
        customers=Customers(store, egress.post, wiring.policies(settings, store), clock, _new_uuid, deliverer.wake),
        recordings=recordings,
        rules_for=wiring.rules(settings),
        encode_summary=encode_summary,
        clock=clock,
        new_id=_new_uuid,
        on_owed=deliverer.wake,
        watcher_for=watch_story,
        may_dial=may_dial,
    )


async def _serve(  # the last to start: whoever is answered finds everything else up
    settings: Settings,
    store: Store,
    egress: Egress,
    board: Switchboard,
    telephony: Telephony,
    trunks: Trunks,
    deliverer: Deliverer,
    recordings: Recordings,
    membership: Membership,
    clock: Clock,
    closers: Closers,
) -> HttpServer:
    """The API, and what works for it alone."""
    exporter = Exporter(store, clock)
    await exporter.start()
    closers.push_async_callback(exporter.stop)
    await closers.enter_async_context(pruned(store, clock))
    callbacks = VerificationCallbacks(store, egress.post, clock)
    closers.push_async_callback(callbacks.stop)
    feed = EventFeed(store)
    store.on_event = feed.notice
    platform = Platform(
        board=board,
        store=store,
        policy_for=wiring.policies(settings, store),
        clock=clock,
        new_uuid=_new_uuid,
        trouble=wiring.trouble(telephony, store, membership),
        draining=lambda: board.draining,
        trunks=trunks,
        tester=Tester(egress.post, clock, time.time, new_event_id),
        feed=feed,
        verification_callbacks=callbacks,
        wake_deliveries=deliverer.wake,
        wake_exports=exporter.wake,
        wake_recordings=recordings.wake,
        metrics=wiring.metrics(board, telephony),
        metrics_readers=settings.metrics,
    )
    http = await serve_http(Api(platform), settings.http)
    closers.push_async_callback(http.stop)
    closers.push_async_callback(feed.stop)
    return http


def _new_uuid() -> str:
    return str(uuid.uuid4())
