"""What the switchboard asks of the rooms below it. The real rooms fit as they are; a simulation hands in its own."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from callwright.audio.prompt import Prompt
from callwright.callflow.plan import Callflow
from callwright.callflow.summary import SessionSummary
from callwright.storage.idempotency import KeptAnswer
from callwright.storage.records import StoredSession, VirtualNumber
from callwright.telemetry.trace import Trace
from callwright.telephony.line import Route


class Lines(Protocol):
    """Places and carries legs: `telephony.line.Telephony`."""

    def route(self, destination: str, source: str) -> Route:
        """Choose a trunk and a SIP Call-ID for a call; TelephonyError when nobody would take it."""

    def dial(self, leg_id: str, source: str, destination: str, route: Route, trace: Trace) -> None:
        """Send the INVITE."""

    async def end_orphan(self, leg_id: str, trunk: str, dialog: str, trace: Trace) -> None:
        """End a leg of a process that is gone, from what it wrote down."""

    def hang_up(self, leg_id: str) -> None:
        """End a leg in any state."""

    def play(self, leg_id: str, playback_id: str, prompt: Prompt, repetition: int) -> None:
        """Play a prompt on an answered leg."""

    def stop_playback(self, leg_id: str, playback_id: str) -> None:
        """Cut a playback short."""

    def take(self, leg_id: str, trace: Trace) -> None:
        """Let a call that came in ring; from now on its events are posted."""

    def refuse(self, leg_id: str, *, busy: bool = False) -> None:
        """Turn a call that came in away: like every stranger's, or, if `busy`, as one to try elsewhere."""

    def pick_up(self, leg_id: str) -> None:
        """Answer a call that came in."""

    def ring_back(self, leg_id: str, playback_id: str) -> None:
        """Let a leg hear that another phone rings, until `stop_playback`."""

    def bridge(self, leg_id: str, other_leg_id: str) -> None:
        """Let two answered legs hear each other until one of them is over."""

    def listen(self, leg_id: str, wanted: bool) -> None:
        """Find keys among a leg's sounds, or stop doing so."""

    def record(self, leg_id: str, recording_id: str, path: Path) -> None:
        """Record both directions of a leg into a file until it is over."""


class PromptMaker(Protocol):
    """Makes what is to be heard: `speech.prompts.Prompts`."""

    async def speech(self, text: str, voice_profile: str, speed: float, trace: Trace) -> Prompt:
        """Text → prompt; SpeechFailed."""

    async def file(self, sub_account_id: str, url: str, trace: Trace) -> Prompt:
        """URL → prompt; FileFailed."""


class Records(Protocol):
    """Keeps what must survive: `storage.store.Store`."""

    async def accept_session(
        self, session_id: str, sub_account_id: str, callflow: Callflow, at: float, kept: KeptAnswer | None = None
    ) -> None:
        """Durable when it returns; with `kept`, what the request is answered too."""

    async def accept_incoming(
        self,
        session_id: str,
        sub_account_id: str,
        leg_id: str,
        source: str,
        destination: str,
        sip_call_id: str,
        trunk: str,
        at: float,
        dialog: str,
    ) -> None:
        """A session that somebody else began; durable when it returns."""

    async def record_dial_intent(
        self,
        session_id: str,
        leg_id: str,
        sip_call_id: str,
        trunk: str,
        at: float,
        *,
        source: str | None = None,
        destination: str | None = None,
        dialog: str = "",
    ) -> None:
        """Durable when it returns; only then may the INVITE leave."""

    async def find_number(self, msisdn: str) -> VirtualNumber | None:
        """A virtual number and whose it is."""

    async def finish_session(self, summary: SessionSummary, vss_body: bytes, trace: Trace, at: float) -> bool:
        """Write the one terminal record; False when there was one already, or it is another node's to write."""

    async def claim_sessions(self, *, at_start: bool = False) -> Sequence[StoredSession]:
        """Some of those that were accepted, have no terminal record, and are nobody's: they are ours now."""


class RecordingShelf(Protocol):
    """Where recordings begin: `recordings.shelf.Recordings`."""

    async def begin(
        self, recording_id: str, session_id: str, sub_account_id: str, leg_id: str, at: float
    ) -> str | None:
        """Note a recording that is about to be made; the file it goes to, None when recordings go nowhere."""


EncodeSummary = Callable[[SessionSummary], bytes]
"""The VSS body of a finished session (contract §5)."""

Sleep = Callable[[float], Awaitable[None]]
