"""The tone that somebody hears while another phone rings: a prompt of our own, in every codec.

It lies in memory and not in a folder, so nothing is left behind however this process ends; the media process finds it
under our entry in /proc.
"""

import os

from callwright.audio import g711, tones
from callwright.audio.prompt import Prompt

CADENCE_SECONDS = 5.0


class Ringback:
    """One second of tone and four of silence. `close` when nobody plays it any more."""

    def __init__(self) -> None:
        samples = tones.ringback(CADENCE_SECONDS)
        self._descriptors = []
        paths = {}
        for encoding in g711.ENCODINGS:
            descriptor = os.memfd_create(f"ringback.{encoding}")
            self._descriptors.append(descriptor)
            os.pwrite(descriptor, g711.whole_frames(encoding, g711.encode(encoding, samples)), 0)
            paths[encoding] = f"/proc/{os.getpid()}/fd/{descriptor}"
        self.prompt = Prompt("ringback", CADENCE_SECONDS, paths)

    def close(self) -> None:
        """Give the memory back; may be called twice."""
        while self._descriptors:
            os.close(self._descriptors.pop())
