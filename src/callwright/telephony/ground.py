"""What telephony stands on: sockets, a media process, names and chance. This machine's, unless others are handed in."""

import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from callwright.audio.prompt import Prompt
from callwright.telemetry.clock import Clock
from callwright.telephony.media.events import MediaEvent
from callwright.telephony.media.plane import MediaPlane
from callwright.telephony.resolver import NameSystem
from callwright.telephony.ringback import Ringback
from callwright.telephony.signalling import bind_sip_pair, sip_token

MakeMedia = Callable[[str, range, Clock, Callable[[MediaEvent], None], float, str, str], MediaPlane]
"""`MediaPlane` with all its parameters."""


class Tone(Protocol):
    """What somebody hears while another phone rings."""

    prompt: Prompt

    def close(self) -> None:
        """Nobody plays it any more; may be called twice."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where telephony touches the machine. A simulation hands in its own."""

    bind: Callable[[str, int], tuple[socket.socket, socket.socket]] = bind_sip_pair
    "host and port → a UDP and a TCP socket; TelephonyError when they cannot be had"
    media: MakeMedia = MediaPlane
    ringback: Callable[[Sequence[str]], Tone] = Ringback
    "told which codecs besides G.711 it is needed in"
    names: NameSystem | None = None
    "None: this machine's name servers and hosts file"
    token: Callable[[], str] = sip_token
    chance: random.Random = field(default_factory=random.SystemRandom)
    "a source that nobody guesses: leg and SDP session ids, and the choice among trunks"
