"""What the switchboard asks of the rooms below it. The real rooms fit as they are; a simulation hands in its own."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from callwright.audio.prompt import Prompt
from callwright.callflow.plan import Callflow
from callwright.callflow.summary import SessionSummary
from callwright.storage.records import StoredSession
from callwright.telemetry.trace import Trace
from callwright.telephony.line import Route


class Lines(Protocol):
    """Places and carries legs: `telephony.line.Telephony`."""

    def route(self, destination: str) -> Route:
        """Choose a trunk and a SIP Call-ID for a call; TelephonyError when nobody would take it."""

    def dial(self, leg_id: str, source: str, destination: str, route: Route, trace: Trace) -> None:
        """Send the INVITE."""

    def hang_up(self, leg_id: str) -> None:
        """End a leg in any state."""

    def play(self, leg_id: str, playback_id: str, prompt: Prompt, repetition: int) -> None:
        """Play a prompt on an answered leg."""

    def stop_playback(self, leg_id: str, playback_id: str) -> None:
        """Cut a playback short."""


class PromptMaker(Protocol):
    """Makes what is to be heard: `speech.prompts.Prompts`."""

    async def speech(self, text: str, voice_profile: str, speed: float, trace: Trace) -> Prompt:
        """Text → prompt; SpeechFailed."""

    async def file(self, sub_account_id: str, url: str, trace: Trace) -> Prompt:
        """URL → prompt; FileFailed."""


class Records(Protocol):
    """Keeps what must survive: `storage.store.Store`."""

    async def accept_session(self, session_id: str, sub_account_id: str, callflow: Callflow, at: float) -> None:
        """Durable when it returns."""

    async def record_dial_intent(self, session_id: str, leg_id: str, sip_call_id: str, trunk: str, at: float) -> None:
        """Durable when it returns; only then may the INVITE leave."""

    async def finish_session(self, summary: SessionSummary, vss_body: bytes, trace: Trace, at: float) -> bool:
        """Write the one terminal record; False when there was one already."""

    async def unfinished_sessions(self) -> Sequence[StoredSession]:
        """Accepted, but without a terminal record."""


EncodeSummary = Callable[[SessionSummary], bytes]
"""The VSS body of a finished session (contract §5)."""

Sleep = Callable[[float], Awaitable[None]]
