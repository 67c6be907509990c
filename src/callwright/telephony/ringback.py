"""The tone that somebody hears while another phone rings: a prompt of our own, in every codec that a trunk speaks.

It lies in memory and not in a folder, so nothing is left behind however this process ends; the media process finds it
under our entry in /proc.
"""

import os
from collections.abc import Sequence

from callwright.audio import g711, tones
from callwright.audio.codecs import CODECS
from callwright.audio.prompt import Prompt

CADENCE_SECONDS = 5.0


class Ringback:
    """One second of tone and four of silence. `close` when nobody plays it any more."""

    def __init__(self, wide_codecs: Sequence[str] = ()) -> None:
        """In G.711, and in `wide_codecs`; what makes those is loaded only for them."""
        samples = tones.ringback(CADENCE_SECONDS)
        self._descriptors = []
        paths = {}
        forms = {codec: g711.whole_frames(codec, g711.encode(codec, samples)) for codec in g711.ENCODINGS}
        if wide_codecs:
            from callwright.audio.coding import encoded

            whole = len(samples) // g711.FRAME_SAMPLES
            for codec in wide_codecs:
                forms[codec] = encoded(codec, samples.tobytes(), g711.SAMPLE_RATE)[: whole * CODECS[codec].frame_bytes]
        for encoding, form in forms.items():
            descriptor = os.memfd_create(f"ringback.{encoding}")
            self._descriptors.append(descriptor)
            os.pwrite(descriptor, form, 0)
            paths[encoding] = f"/proc/{os.getpid()}/fd/{descriptor}"
        self.prompt = Prompt("ringback", CADENCE_SECONDS, paths)

    def close(self) -> None:
        """Give the memory back; may be called twice."""
        while self._descriptors:
            os.close(self._descriptors.pop())
