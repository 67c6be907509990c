"""What some trunks need and most lines do not: coders for G.722 and Opus, libsrtp, the ringing tone in those codecs.

It is there when a trunk needs it, from the start or from the moment in which such a trunk comes, and stays: calls
outlive their trunks.
"""

import asyncio
from collections.abc import Sequence

from callwright.audio.prompt import Prompt
from callwright.telephony.ground import Ground, Tone
from callwright.telephony.media.plane import MediaPlane
from callwright.telephony.media.planes import MediaPlanes
from callwright.telephony.trunk import Trunk, wide_codecs


class Equipment:
    """Of one line. `fit` each plane that is made, `start`, `get_ready` before trunks change, `close` at the end."""

    def __init__(self, ground: Ground, trunks: Sequence[Trunk]) -> None:
        self._ground = ground
        self._trunks = tuple(trunks)
        "all that there ever were, as far as they needed more than those before"
        self._tones: list[Tone] = []
        "the last one is played from now on; the others may be heard still"

    @property
    def ringback(self) -> Prompt:
        """What somebody hears while another phone rings."""
        return self._tones[-1].prompt

    def fit(self, plane: MediaPlane) -> MediaPlane:
        """A plane that was not started yet: its process loads what is needed before it takes calls."""
        plane.wide, plane.srtp = bool(wide_codecs(self._trunks)), _has_srtp(self._trunks)
        return plane

    def start(self) -> None:
        """Make the tone."""
        self._tones = [self._ground.ringback(wide_codecs(self._trunks))]

    async def get_ready(self, trunks: Sequence[Trunk], media: MediaPlanes) -> None:
        """Before calls go over these trunks: what they need besides is made, beside the calls that are up."""
        before, wanted = wide_codecs(self._trunks), wide_codecs([*self._trunks, *trunks])
        if wanted != before:
            self._tones.append(await asyncio.to_thread(self._ground.ringback, wanted))
        needing = [one for one in trunks if wide_codecs([one]) or one.srtp != "off"]
        if wanted != before or _has_srtp(needing) > _has_srtp(self._trunks):
            self._trunks += tuple(needing)
            media.load(wide=bool(wanted), srtp=_has_srtp(self._trunks))

    def close(self) -> None:
        """Nobody plays a tone any more."""
        for tone in self._tones:
            tone.close()


def _has_srtp(trunks: Sequence[Trunk]) -> bool:
    return any(trunk.srtp != "off" for trunk in trunks)
