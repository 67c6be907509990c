"""What each room wants to know, made from the settings."""

import asyncio
import dataclasses
import functools
import importlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from callwright.callflow.session import SessionRules
from callwright.callflow.summary import SessionSummary
from callwright.contract.policy import GUIDE_DEFAULTS, OAS_DEFAULTS, RequestPolicy
from callwright.contract.webhooks import session_summary
from callwright.egress import Egress
from callwright.errors import CallwrightError, SettingsError
from callwright.recordings.push.host_keys import HostKeys
from callwright.recordings.push.local import LocalPush
from callwright.recordings.push.parcel import Parcel, Push
from callwright.recordings.push.s3 import S3Push
from callwright.recordings.shelf import Recordings
from callwright.settings import ANY, DEVELOPMENT_SUB_ACCOUNT, Settings
from callwright.settings_speech import ESPEAK
from callwright.speech.providers.azure import AzureSynthesizer
from callwright.speech.providers.espeak import EspeakSynthesizer
from callwright.speech.providers.google import GoogleSynthesizer
from callwright.speech.providers.piper import PiperSynthesizer
from callwright.speech.providers.polly import PollySynthesizer
from callwright.speech.synthesizer import SAMPLE_RATE_HZ, WIDE_SAMPLE_RATE_HZ, Synthesizer
from callwright.storage.records import WebhookKind
from callwright.storage.store import Store
from callwright.switchboard.board import Switchboard
from callwright.switchboard.membership import Membership
from callwright.telemetry.clock import Clock
from callwright.telemetry.metrics import Metrics
from callwright.telephony.line import Telephony
from callwright.telephony.signalling import Listening

ACCOUNTS_REMEMBERED = 1_024
"""Sub-accounts whose rules are at hand."""


def tls(settings: Settings) -> Listening | None:
    """Where SIP is spoken over TLS; SettingsError when its certificate is missing."""
    if settings.sip_tls is None:
        return None
    if settings.sip_tls_certificate is None:
        raise SettingsError("--sip-tls needs a certificate. Give one with --sip-tls-certificate FILE")
    return Listening(
        settings.sip_tls.host, settings.sip_tls.port, settings.sip_tls_certificate, settings.sip_tls_key or ""
    )


def speech_engines(settings: Settings, egress: Egress, clock: Clock, *, is_wide: bool) -> list[Synthesizer]:
    """The engines of `[speech]` in its order; `is_wide` when some trunk carries more than telephones do.

    SettingsError when Piper or one of its voice files is not there.
    """
    speech = settings.speech
    rate = WIDE_SAMPLE_RATE_HZ if is_wide else SAMPLE_RATE_HZ
    engines: dict[str, Synthesizer] = {}
    if speech.azure is not None:
        engines["azure"] = AzureSynthesizer(speech.azure, egress)
    if speech.google is not None:
        engines["google"] = GoogleSynthesizer(speech.google, egress)
    if speech.polly is not None:
        engines["polly"] = PollySynthesizer(speech.polly, egress, clock)
    if speech.piper is not None:
        engines["piper"] = PiperSynthesizer(speech.piper, rate)
    if ESPEAK in speech.order:
        engines[ESPEAK] = EspeakSynthesizer(settings.speech_workers, rate)
    return [engines[name] for name in speech.order]


def rules(settings: Settings) -> Callable[[str], SessionRules]:
    @functools.lru_cache(maxsize=ACCOUNTS_REMEMBERED)
    def rules_for(sub_account_id: str) -> SessionRules:
        return SessionRules(
            ring_timeout_seconds=settings.ring_timeout_seconds,
            destinations=settings.sub_account(sub_account_id).destinations,
        )

    return rules_for


def policies(settings: Settings, store: Store) -> Callable[[str], RequestPolicy]:
    """What the settings say, and what the store knows: virtual numbers may be shown, digits need a webhook."""
    known: dict[tuple[str, bool], RequestPolicy] = {}

    def settled(sub_account_id: str, *, has_webhook: bool) -> RequestPolicy:
        account = settings.sub_account(sub_account_id)
        return RequestPolicy(
            caller_ids=None if ANY in account.caller_ids else frozenset(account.caller_ids),
            capture=OAS_DEFAULTS if account.capture_defaults == "oas" else GUIDE_DEFAULTS,
            strict_digit_timeout=account.strict_digit_timeout,
            coerce_numbers=account.coerce_numbers,
            accept_old_shapes=account.accept_old_shapes,
            has_call_action_webhook=has_webhook,
        )

    def policy_for(sub_account_id: str) -> RequestPolicy:
        has_webhook = store.has_webhook(sub_account_id, WebhookKind.VCA)
        policy = known.get((sub_account_id, has_webhook))
        if policy is None:
            policy = known[sub_account_id, has_webhook] = settled(sub_account_id, has_webhook=has_webhook)
        own = store.reference_ids(sub_account_id).keys()
        if policy.caller_ids is not None and not own <= policy.caller_ids:
            return dataclasses.replace(policy, caller_ids=policy.caller_ids | own)
        return policy

    return policy_for


def summary_body(settings: Settings, store: Store) -> Callable[[SessionSummary], dict[str, object]]:
    """The VSS body as a sub-account has it: which virtual numbers are its own, how it reads legs."""

    account = functools.lru_cache(maxsize=ACCOUNTS_REMEMBERED)(settings.sub_account)

    def body(summary: SessionSummary) -> dict[str, object]:
        name = summary.sub_account_id
        return session_summary(
            summary,
            capital_leg_keys=account(name).capital_leg_keys,
            reference_ids=store.reference_ids(name),
        )

    return body


def recordings(
    settings: Settings, store: Store, egress: Egress, clock: Clock, on_owed: Callable[[], None]
) -> Recordings:
    """The shelf of recordings, with a way to every kind of place they are pushed to."""
    data = Path(settings.data)
    root = settings.recordings_folder
    known_hosts = settings.sftp_known_hosts
    host_keys = HostKeys(data / "host-keys", Path(known_hosts) if known_hosts else None)
    pushes: dict[str, Push] = {
        "S3": S3Push(egress.put, clock),
        "SFTP": _sftp(egress, host_keys),
        "LOCAL": LocalPush(Path(root) if root else None),
    }
    return Recordings(data / "recordings", store, pushes, clock, host_keys=host_keys, on_owed=on_owed)


def _sftp(egress: Egress, host_keys: HostKeys) -> Push:
    """Loaded by the first recording that goes there, on a thread: it takes a fifth of a second, and 8 MB."""

    async def push(parcel: Parcel) -> None:
        sftp = await asyncio.to_thread(importlib.import_module, "callwright.recordings.push.sftp")
        await sftp.SftpPush(egress.connect, host_keys)(parcel)

    return push


def metrics(board: Switchboard, telephony: Telephony) -> Metrics:
    """The process's one registry, with what can be read off the rooms."""
    metrics = Metrics()
    metrics.gauge("callwright_live_sessions", "sessions accepted and not over").read_from(
        lambda: float(board.live_sessions)
    )
    metrics.gauge("callwright_live_legs", "legs dialled and not over").read_from(lambda: float(telephony.legs))
    metrics.gauge("callwright_sip_transactions", "SIP transactions that have not terminated").read_from(
        lambda: float(telephony.transactions)
    )
    metrics.gauge("callwright_media_streams", "streams of sound that hold RTP ports").read_from(
        lambda: float(telephony.streams)
    )
    metrics.gauge("callwright_tasks", "asyncio tasks of the main process").read_from(
        lambda: float(len(asyncio.all_tasks()))
    )
    metrics.gauge("callwright_ready", "1 when calls are taken").read_from(
        lambda: float(telephony.ready and not board.draining)
    )
    return metrics


def trouble(telephony: Telephony, store: Store, membership: Membership) -> Callable[[], Awaitable[str | None]]:
    async def trouble() -> str | None:
        if not telephony.ready:
            return "telephony is not ready: the media process is being restarted"
        try:
            await store.has_sub_account(DEVELOPMENT_SUB_ACCOUNT)
        except CallwrightError as error:
            return f"the database does not answer: {error}"
        if not membership.holds():
            return "the other nodes may have given this one up: its lease was not moved on"
        return None

    return trouble
