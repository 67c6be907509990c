"""The tone that somebody hears while another phone rings: a prompt of our own, in every codec."""

from pathlib import Path

from callwright.audio import g711, tones
from callwright.audio.prompt import Prompt
from callwright.errors import TelephonyError

CADENCE_SECONDS = 5.0


def ringback_prompt(folder: Path) -> Prompt:
    """Write one second of tone and four of silence into `folder`; TelephonyError when that cannot be done."""
    samples = tones.ringback(CADENCE_SECONDS)
    paths = {}
    for encoding in g711.ENCODINGS:
        path = folder / f"ringback.{encoding.lower()}"
        try:
            path.write_bytes(g711.whole_frames(encoding, g711.encode(encoding, samples)))
        except OSError as error:
            raise TelephonyError(f"the ringback tone cannot be written to {path}: {error.strerror}") from error
        paths[encoding] = str(path)
    return Prompt("ringback", CADENCE_SECONDS, paths)
