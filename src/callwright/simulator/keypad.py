"""A handset's keypad: which packets, tones and messages a press becomes, 20 ms beat by 20 ms beat."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from callwright.audio import g711, tones
from callwright.rtp.telephone_event import EventFrame, press
from callwright.telephony.keys import KeyWay

BEAT_MS = 20


@dataclass(slots=True)
class Beat:
    """What is to be sent in one beat on account of keys."""

    events: list[tuple[int, EventFrame]] = field(default_factory=list)
    "each with the beat in which its press began"
    tone: g711.Samples | None = None
    "20 ms of sound instead of what the handset says"
    told: list[tuple[str, int]] = field(default_factory=list)
    "keys that came up now and are told by INFO, with how long they were down in ms"
    hushed: bool = False
    "the handset says nothing meanwhile, as phones do that send telephone-events"


class Keypad:
    """Presses that are not sent yet."""

    def __init__(self) -> None:
        self._beats: defaultdict[int, Beat] = defaultdict(Beat)
        self._free_from = 0

    def press(
        self, keys: str, ways: Collection[KeyWay], first_beat: int, hold_ms: int = 100, pause_ms: int = 100
    ) -> None:
        """Press keys one after the other from a beat on, or after what is being pressed; RtpError for no key."""
        beat = max(first_beat, self._free_from)
        for key in keys:
            self._press_one(key, ways, beat, hold_ms)
            beat += (hold_ms + pause_ms) // BEAT_MS
        self._free_from = beat

    def _press_one(self, key: str, ways: Collection[KeyWay], begins: int, hold_ms: int) -> None:
        beats = hold_ms // BEAT_MS
        frames = list(press(key, hold_ms))
        if KeyWay.EVENT in ways:
            for offset, frame in enumerate(frames):
                self._beats[begins + offset].events.append((begins, frame))
            for beat in range(begins, begins + beats):
                self._beats[beat].hushed = KeyWay.TONE not in ways
        if KeyWay.TONE in ways:
            sound = tones.dtmf(key, hold_ms / 1000)
            for offset in range(beats):
                at = offset * g711.FRAME_SAMPLES
                self._beats[begins + offset].tone = sound[at : at + g711.FRAME_SAMPLES]
        if KeyWay.INFO in ways:
            self._beats[begins + beats].told.append((key, hold_ms))

    def take(self, beat: int) -> list[tuple[int, Beat]]:
        """What this beat asks for, and those before it that were missed, each with its number, in their order.

        What was missed is made up for at once: it keeps its place in time, for its timestamps say when it was due.
        """
        due = sorted(number for number in self._beats if number <= beat)
        return [(number, self._beats.pop(number)) for number in due]
