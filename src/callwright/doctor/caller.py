"""A line of the doctor's own, and one call over it: out over the trunk, and perhaps in again.

The caller says one tone and keys, the called end another tone; both are recorded, and listened to afterwards. When the
number leads back to us both ends are ours.
"""

import asyncio
import contextlib
import logging
import re
import wave
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from callwright.audio import tones
from callwright.audio.compare import SAMPLE_RATE, find_tones
from callwright.callflow.events import Answered, DigitPressed, Event, HungUp, NotAnswered
from callwright.doctor.judge import OUR_HZ, THEIR_HZ, Heard
from callwright.doctor.names import NamesAsked
from callwright.errors import SipSyntaxError
from callwright.sip.address import Via
from callwright.telemetry.clock import Clock
from callwright.telemetry.trace import Trace, TraceEntry
from callwright.telephony.ground import Ground
from callwright.telephony.incoming import Received
from callwright.telephony.line import RecordingDone, Telephony, TelephonySettings
from callwright.telephony.resolver import SystemNames
from callwright.telephony.ringback import ToneHeld
from callwright.telephony.trunk import wide_codecs

log = logging.getLogger(__name__)

KEYS = "147"
AFTER_SECONDS = 0.7
"""What was said last has to come back."""
PICK_UP_SECONDS = 30.0
_VIA = re.compile(r"^(?:via|v)[ \t]*:[ \t]*([^\r\n,]+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Called:
    """What became of a call."""

    status: int | None
    "SIP's last word when it was not answered; None when it was, or when nothing was dialled"
    reason: str
    codec: str
    "empty: it was not answered"
    local_media: str
    "what we told the trunk, address and port"
    remote_media: str
    "where we were told to send; empty when it was not answered"
    has_events: bool
    "telephone-events are agreed upon"
    ours: Heard | None
    theirs: Heard | None
    "the other end, when the call came back to us"
    via: Via | None
    "how the trunk saw our INVITE"


class DoctorsLine:
    """Telephony over one trunk. `async with` starts and stops it."""

    def __init__(self, settings: TelephonySettings, clock: Clock, folder: Path, tone_seconds: float) -> None:
        """What is heard is kept in `folder`."""
        self._tone_seconds = tone_seconds
        self.names = NamesAsked(SystemNames())
        self._clock = clock
        self._folder = folder
        self._events: dict[str, list[Event]] = defaultdict(list)
        self._traces: dict[str, Trace] = {}
        self._news = asyncio.Event()
        self._done: dict[str, RecordingDone] = {}
        self._back: str = ""
        "our leg at the other end"
        self._trunk = settings.trunks[0]
        self.telephony = Telephony(
            settings,
            clock,
            self._post,
            received=self._received,
            recorded=self._recorded,
            ground=Ground(names=self.names),
        )

    async def __aenter__(self) -> Self:
        await self.telephony.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.telephony.stop()

    # --- what telephony tells --------------------------------------------------------------------------------------

    def _post(self, leg_id: str, event: Event) -> None:
        self._events[leg_id].append(event)
        self._news.set()

    def _received(self, call: Received) -> None:
        if self._back:
            self.telephony.refuse(call.leg_id, busy=True)
            return
        self._back = call.leg_id
        self._traces[call.leg_id] = Trace("doctor")
        self.telephony.take(call.leg_id, self._traces[call.leg_id])
        self.telephony.pick_up(call.leg_id)

    def _recorded(self, done: RecordingDone) -> None:
        self._done[done.leg_id] = done
        self._news.set()

    async def _until(self, look: Callable[[], bool], seconds: float) -> bool:
        """Whether it came about in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not look():
                    self._news.clear()
                    await self._news.wait()
        return look()

    def _has(self, leg_id: str, *kinds: type[Event]) -> bool:
        return any(isinstance(event, kinds) for event in self._events[leg_id])

    # --- one call --------------------------------------------------------------------------------------------------

    async def call(self, source: str, number: str) -> Called:
        """Call, speak, listen, hang up. TelephonyError when no trunk takes it."""
        leg_id = "out"
        trace = self._traces[leg_id] = Trace("doctor")
        self.telephony.dial(leg_id, source, number, self.telephony.route(number, source), trace)
        await self._until(lambda: self._has(leg_id, Answered, NotAnswered, HungUp), PICK_UP_SECONDS)
        if self._has(leg_id, Answered):
            await self._speak(leg_id)
        self.telephony.hang_up(leg_id)
        await self._until(lambda: self._has(leg_id, NotAnswered, HungUp), PICK_UP_SECONDS)
        if self._back:
            await self._until(lambda: self._has(self._back, NotAnswered, HungUp), PICK_UP_SECONDS)
        return self._called(leg_id)

    async def _speak(self, leg_id: str) -> None:
        if self._back:
            await self._until(lambda: self._has(self._back, Answered, NotAnswered, HungUp), PICK_UP_SECONDS)
        wide = wide_codecs([self._trunk])
        ours = ToneHeld("doctor", tones.sine(OUR_HZ, self._tone_seconds), wide)
        theirs = ToneHeld("doctor-back", tones.sine(THEIR_HZ, self._tone_seconds), wide)
        keys = ToneHeld("doctor-keys", tones.dial_string(KEYS, 0.12, 0.12), wide)
        try:
            self.telephony.record(leg_id, "out", self._folder / "out.wav")
            if self._back:
                self.telephony.record(self._back, "back", self._folder / "back.wav")
            self.telephony.play(leg_id, "tone", ours.prompt, 1)
            if self._back:
                self.telephony.play(self._back, "tone", theirs.prompt, 1)
            await asyncio.sleep(self._tone_seconds + AFTER_SECONDS)
            self.telephony.listen(self._back or leg_id, wanted=True)
            self.telephony.play(leg_id, "keys", keys.prompt, 1)
            await asyncio.sleep(len(KEYS) * 0.24 + AFTER_SECONDS)
            for one in filter(None, (leg_id, self._back)):
                self.telephony.stop_recording(one)
            await self._until(lambda: all(one in self._done for one in filter(None, (leg_id, self._back))), 5.0)
        finally:
            for sound in (ours, theirs, keys):
                sound.close()

    def _called(self, leg_id: str) -> Called:
        media, via = self._last(leg_id, "telephony.media"), self._via(leg_id)
        answered = next((one for one in self._events[leg_id] if isinstance(one, Answered)), None)
        failed = next((one for one in self._events[leg_id] if isinstance(one, NotAnswered)), None)
        return Called(
            status=failed.sip_code if failed is not None else None,
            reason=failed.reason if failed is not None else "",
            codec=answered.codec if answered is not None else "",
            local_media=self._offered(leg_id),
            remote_media=str(media.get("remote", "")),
            has_events=bool(media.get("telephone_events")),
            ours=self._heard(leg_id) if answered is not None else None,
            theirs=self._heard(self._back) if self._back and self._has(self._back, Answered) else None,
            via=via,
        )

    def _entries(self, leg_id: str, kind: str) -> list[TraceEntry]:
        return [entry for entry in self._traces[leg_id].entries if entry.kind == kind]

    def _last(self, leg_id: str, kind: str) -> dict[str, object]:
        entries = self._entries(leg_id, kind)
        return dict(entries[-1].fields) if entries else {}

    def _offered(self, leg_id: str) -> str:
        """The address that our INVITE asks for sound at."""
        for entry in self._entries(leg_id, "sip.sent"):
            found = re.search(r"^c=IN IP[46] ([^\s/]+)", str(entry.fields["text"]), re.MULTILINE)
            if found:
                return found[1]
        return ""

    def _via(self, leg_id: str) -> Via | None:
        for entry in self._entries(leg_id, "sip.received"):
            found = _VIA.search(str(entry.fields["text"]))
            if found and str(entry.fields["line"]).startswith("SIP/2.0 "):
                with contextlib.suppress(SipSyntaxError):
                    return Via.parse(found[1].strip())
        return None

    def _heard(self, leg_id: str) -> Heard:
        figures = self._last(leg_id, "rtp.report")

        def number(name: str) -> float:
            value = figures.get(name)
            return float(value) if isinstance(value, int | float) else 0.0

        remote = figures.get("remote_loss_rate")
        return Heard(
            received=int(number("received")),
            refused=int(number("refused")),
            sent=int(number("sent")),
            send_errors=int(number("send_errors")),
            loss_rate=number("loss_rate"),
            jitter_ms=number("jitter_ms"),
            remote_loss_rate=float(remote) if isinstance(remote, int | float) else None,
            tones_hz=self._tones(leg_id),
            keys="".join(event.digit for event in self._events[leg_id] if isinstance(event, DigitPressed)),
        )

    def _tones(self, leg_id: str) -> tuple[float, ...]:
        done = self._done.get(leg_id)
        if done is None or not done.path.exists():
            return ()
        try:
            with wave.open(str(done.path), "rb") as file:
                rate, frames = file.getframerate(), file.readframes(file.getnframes())
        except (wave.Error, OSError, EOFError) as error:
            log.warning("what was heard cannot be listened to: %s", error)
            return ()
        said = np.frombuffer(frames, dtype="<i2").reshape(-1, 2)[:, 0]  # left: what the other end says
        said = said[:: max(1, rate // SAMPLE_RATE)]
        return tuple(find_tones(said[: int((self._tone_seconds + AFTER_SECONDS) * SAMPLE_RATE)]))


def quiet(settings: TelephonySettings) -> TelephonySettings:
    """The same line without what a running one does in between: groups, limits, questions."""
    trunks = tuple(
        replace(trunk, group="", max_calls=0, calls_per_second=0, options_seconds=0) for trunk in settings.trunks
    )
    return replace(settings, trunks=trunks)
