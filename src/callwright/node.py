"""One callwright node: every room, put together from settings. Started by `run`, `serve` and the tests alike."""

import contextlib
import logging
import os
import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from callwright import numbers
from callwright.api.app import create_app
from callwright.api.platform import Platform
from callwright.api.server import HttpServer, serve_http
from callwright.callflow.session import SessionRules
from callwright.callflow.summary import SessionSummary
from callwright.contract.policy import GUIDE_DEFAULTS, OAS_DEFAULTS, RequestPolicy
from callwright.contract.webhooks import session_summary
from callwright.egress import Egress
from callwright.errors import CallwrightError, SettingsError, StorageError, TelephonyError
from callwright.settings import ANY, DEVELOPMENT_KEY_FILE, DEVELOPMENT_SUB_ACCOUNT, Settings
from callwright.settings_speech import ESPEAK
from callwright.simulator.carrier import Carrier, Heard
from callwright.speech.prompts import Prompts
from callwright.speech.providers.azure import AzureSynthesizer
from callwright.speech.providers.espeak import EspeakSynthesizer
from callwright.speech.providers.google import GoogleSynthesizer
from callwright.speech.providers.piper import PiperSynthesizer
from callwright.speech.providers.polly import PollySynthesizer
from callwright.speech.synthesizer import Synthesizer
from callwright.storage.store import Store
from callwright.switchboard.board import Switchboard
from callwright.storage.place import database_url
from callwright.telemetry.clock import Clock, platform_clock
from callwright.telemetry.log import watch_story
from callwright.telemetry.metrics import Metrics
from callwright.telephony.line import Telephony, TelephonySettings
from callwright.telephony.signalling import Listening
from callwright.telephony.trunk import Trunk, configured
from callwright.webhooks.delivery import Deliverer

log = logging.getLogger(__name__)

LAST_SUMMARIES_SECONDS = 5.0
"""How long a stop waits for the summaries of its last calls to be delivered."""


@dataclass(slots=True)
class Node:
    """A running node; `stop` ends it."""

    settings: Settings
    store: Store
    board: Switchboard
    telephony: Telephony
    deliverer: Deliverer
    carrier: Carrier | None
    http: HttpServer
    development_key: str | None
    _closers: contextlib.AsyncExitStack

    @classmethod
    async def start(cls, settings: Settings, *, on_heard: Callable[[Heard], None] | None = None) -> Self:
        """Start every room, take up what an earlier process left, then listen. Raises CallwrightError with words."""
        async with contextlib.AsyncExitStack() as closers:
            clock = platform_clock()
            numbers.warm()
            store = await Store.open(database_url(settings), clock=clock)
            closers.push_async_callback(store.close)
            key = await _accounts(settings, store)
            egress = Egress(allow_loopback=settings.development)
            closers.push_async_callback(egress.aclose)
            prompts = Prompts(
                Path(settings.data) / "prompts",
                egress,
                clock,
                synthesizers=speech_engines(settings, egress, clock),
                workers=settings.speech_workers,
            )
            await prompts.start()
            closers.push_async_callback(prompts.stop)
            carrier = await _carrier(settings, clock, on_heard, closers)
            deliverer = Deliverer(store, egress.post, clock)
            board: Switchboard
            telephony = Telephony(
                TelephonySettings(
                    sip_host=settings.sip.host,
                    sip_port=settings.sip.port,
                    rtp_ports=settings.rtp_ports,
                    trunks=_trunks(settings, carrier),
                    tls=_tls(settings),
                    log_level=settings.log_level,
                    log_format=settings.log_format,
                ),
                clock,
                lambda leg_id, event: board.post(leg_id, event),
            )
            board = Switchboard(
                telephony,
                prompts,
                store,
                rules_for=_rules(settings),
                encode_summary=_encode_summary,
                clock=clock,
                new_id=_new_uuid,
                on_owed=deliverer.wake,
                watcher_for=watch_story,
            )
            try:
                await telephony.start()
            except TelephonyError as error:  # an address that is taken or not ours: a matter of settings
                raise SettingsError(str(error)) from error
            closers.push_async_callback(telephony.stop)
            await deliverer.start()
            closers.push_async_callback(deliverer.stop)
            taken_up = await board.recover()
            if taken_up:
                log.warning("%d sessions of an earlier process were taken up", taken_up)
            app = create_app(
                Platform(
                    board=board,
                    store=store,
                    policy_for=_policies(settings),
                    clock=clock,
                    new_uuid=_new_uuid,
                    trouble=_trouble(telephony, store),
                    draining=lambda: board.draining,
                    metrics=_metrics(board, telephony),
                    metrics_readers=settings.metrics,
                )
            )
            http = await serve_http(app, settings.http)
            closers.push_async_callback(http.stop)
            return cls(settings, store, board, telephony, deliverer, carrier, http, key, closers.pop_all())

    async def stop(self, drain_seconds: float) -> int:
        """Let live calls finish for `drain_seconds`, send what is due, close; returns how many calls were cut off."""
        cut_off = await self.board.drain(drain_seconds)
        if not await self.deliverer.settle(LAST_SUMMARIES_SECONDS):
            log.warning("not every summary went out; the rest is sent on the next start")
        await self._closers.aclose()
        return cut_off


async def _accounts(settings: Settings, store: Store) -> str | None:
    """Make the sub-accounts of the settings; the development key, if this is development."""
    for account in settings.sub_accounts:
        await store.ensure_sub_account(account.name)
    if not settings.development:
        if not any(key.revoked_at is None for key in await store.list_keys()):
            raise SettingsError("no API key exists. Make one: callwright keys create SUB_ACCOUNT")
        if not settings.trunks:
            raise SettingsError("no trunk is set. Give one with --trunk sip:HOST:PORT or a [trunks.NAME] table")
        return None
    await store.ensure_sub_account(DEVELOPMENT_SUB_ACCOUNT)
    text = _development_key(settings)
    try:
        await store.adopt_key(text, DEVELOPMENT_SUB_ACCOUNT, "development")
    except StorageError as error:
        raise SettingsError(f"the development key cannot be used: {error}. Choose another with --api-key") from error
    return text


def _development_key(settings: Settings) -> str:
    """The preset key, or the one this data folder had before, or a new one."""
    path = Path(settings.data) / DEVELOPMENT_KEY_FILE
    if settings.api_key is None and path.exists():
        return path.read_text(encoding="ascii").strip()
    text = settings.api_key.reveal() if settings.api_key else "cw_" + secrets.token_urlsafe(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
    return text


async def _carrier(
    settings: Settings,
    clock: Clock,
    on_heard: Callable[[Heard], None] | None,
    closers: contextlib.AsyncExitStack,
) -> Carrier | None:
    """The built-in carrier, unless there is a real one."""
    if not settings.development or settings.trunks:
        return None
    carrier = Carrier("127.0.0.1", 0, clock, heard_folder=Path(settings.data) / "heard", heard=on_heard)
    await carrier.start()
    closers.push_async_callback(carrier.stop)
    return carrier


def _trunks(settings: Settings, carrier: Carrier | None) -> tuple[Trunk, ...]:
    if carrier is not None:
        host, port = carrier.address
        return (Trunk("built-in", host, port, built_in=True),)
    return tuple(configured(trunk) for trunk in settings.trunks)


def speech_engines(settings: Settings, egress: Egress, clock: Clock) -> list[Synthesizer]:
    """The engines of `[speech]` in its order. SettingsError when Piper or one of its voice files is not there."""
    speech = settings.speech
    engines: dict[str, Synthesizer] = {}
    if speech.azure is not None:
        engines["azure"] = AzureSynthesizer(speech.azure, egress)
    if speech.google is not None:
        engines["google"] = GoogleSynthesizer(speech.google, egress)
    if speech.polly is not None:
        engines["polly"] = PollySynthesizer(speech.polly, egress, clock)
    if speech.piper is not None:
        engines["piper"] = PiperSynthesizer(speech.piper)
    if ESPEAK in speech.order:
        engines[ESPEAK] = EspeakSynthesizer(settings.speech_workers)
    return [engines[name] for name in speech.order]


def _rules(settings: Settings) -> Callable[[str], SessionRules]:
    def rules_for(sub_account_id: str) -> SessionRules:
        return SessionRules(settings.ring_timeout_seconds, settings.sub_account(sub_account_id).destinations)

    return rules_for


def _policies(settings: Settings) -> Callable[[str], RequestPolicy]:
    known: dict[str, RequestPolicy] = {}

    def policy_for(sub_account_id: str) -> RequestPolicy:
        if sub_account_id not in known:
            account = settings.sub_account(sub_account_id)
            known[sub_account_id] = RequestPolicy(
                caller_ids=None if ANY in account.caller_ids else frozenset(account.caller_ids),
                capture=OAS_DEFAULTS if account.capture_defaults == "oas" else GUIDE_DEFAULTS,
                strict_digit_timeout=account.strict_digit_timeout,
                coerce_numbers=account.coerce_numbers,
            )
        return known[sub_account_id]

    return policy_for


def _encode_summary(summary: SessionSummary) -> bytes:
    return msgspec.json.encode(session_summary(summary))


def _new_uuid() -> str:
    return str(uuid.uuid4())


def _metrics(board: Switchboard, telephony: Telephony) -> Metrics:
    """The process's one registry, with what can be read off the rooms."""
    metrics = Metrics()
    metrics.gauge("callwright_live_sessions", "sessions accepted and not over").read_from(
        lambda: float(board.live_sessions)
    )
    metrics.gauge("callwright_live_legs", "legs dialled and not over").read_from(lambda: float(telephony.legs))
    metrics.gauge("callwright_ready", "1 when calls are taken").read_from(
        lambda: float(telephony.ready and not board.draining)
    )
    return metrics


def _trouble(telephony: Telephony, store: Store) -> Callable[[], Awaitable[str | None]]:
    async def trouble() -> str | None:
        if not telephony.ready:
            return "telephony is not ready: the media process is being restarted"
        try:
            await store.has_sub_account(DEVELOPMENT_SUB_ACCOUNT)
        except CallwrightError as error:
            return f"the database does not answer: {error}"
        return None

    return trouble


def _tls(settings: Settings) -> Listening | None:
    if settings.sip_tls is None:
        return None
    if settings.sip_tls_certificate is None:
        raise SettingsError("--sip-tls needs a certificate. Give one with --sip-tls-certificate FILE")
    return Listening(
        settings.sip_tls.host, settings.sip_tls.port, settings.sip_tls_certificate, settings.sip_tls_key or ""
    )
