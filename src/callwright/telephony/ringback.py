"""Prompts that are made of tones, in every codec that a trunk speaks: what somebody hears while another phone rings.

They lie in memory and not in a folder, so nothing is left behind however this process ends; the media process finds
them under our entry in /proc.
"""

import os
from collections.abc import Sequence

from callwright.audio import g711, tones
from callwright.audio.codecs import CODECS
from callwright.audio.prompt import Prompt

CADENCE_SECONDS = 5.0


class ToneHeld:
    """A sound as a prompt. `close` when nobody plays it any more."""

    def __init__(self, key: str, samples: g711.Samples, wide_codecs: Sequence[str] = ()) -> None:
        """`samples` at 8 kHz, in G.711 and in `wide_codecs`; what makes those is loaded only for them."""
        self._descriptors = []
        paths = {}
        forms = {codec: g711.whole_frames(codec, g711.encode(codec, samples)) for codec in g711.ENCODINGS}
        if wide_codecs:
            from callwright.audio.coding import encoded

            whole = len(samples) // g711.FRAME_SAMPLES
            for codec in wide_codecs:
                forms[codec] = encoded(codec, samples.tobytes(), g711.SAMPLE_RATE)[: whole * CODECS[codec].frame_bytes]
        for encoding, form in forms.items():
            descriptor = os.memfd_create(f"{key}.{encoding}")
            self._descriptors.append(descriptor)
            os.pwrite(descriptor, form, 0)
            paths[encoding] = f"/proc/{os.getpid()}/fd/{descriptor}"
        self.prompt = Prompt(key, len(samples) / g711.SAMPLE_RATE, paths)

    def close(self) -> None:
        """Give the memory back; may be called twice."""
        while self._descriptors:
            os.close(self._descriptors.pop())


class Ringback(ToneHeld):
    """One second of tone and four of silence."""

    def __init__(self, wide_codecs: Sequence[str] = ()) -> None:
        """In G.711, and in `wide_codecs`."""
        super().__init__("ringback", tones.ringback(CADENCE_SECONDS), wide_codecs)
