"""What somebody hears while another phone rings: one cadence, made once, played until it is stopped."""

import os
from pathlib import Path

from callwright.audio import g711, tones
from callwright.audio.prompt import Prompt

CADENCE_SECONDS = 5.0
"""One second of tone, four of silence (ITU-T E.180: 425 Hz)."""
ENCODINGS = ("PCMU", "PCMA")


def ringback_prompt(folder: Path) -> Prompt:
    """The cadence as a prompt below `folder`, which is made. OSError when it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = tones.ringback(CADENCE_SECONDS)
    paths = {}
    for encoding in ENCODINGS:
        path = folder / f"ringback.{encoding.lower()}"
        draft = path.with_suffix(f".{os.getpid()}")  # another process may be reading the old one
        draft.write_bytes(g711.whole_frames(encoding, g711.encode(encoding, samples)))
        draft.replace(path)
        paths[encoding] = str(path)
    return Prompt("ringback", CADENCE_SECONDS, paths)
