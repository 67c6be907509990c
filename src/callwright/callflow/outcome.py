"""How legs and sessions end (contract §5.3, §5.4), and how a leg sounded."""

from dataclasses import dataclass
from enum import StrEnum


class CallStatus(StrEnum):
    """The end of one leg."""

    COMPLETED = "COMPLETED"
    NO_ANSWER = "NO_ANSWER"
    BUSY = "BUSY"
    CANCELED = "CANCELED"
    FAILED = "FAILED"
    ERROR = "ERROR"
    "refused by ourselves before dialling (§13 row 13)"


class HungUpBy(StrEnum):
    """Who ended an answered leg."""

    US = "us"
    THEM = "them"
    NETWORK = "network"
    "the peer went silent or the signalling failed"


class CallHappening(StrEnum):
    """What the customer is told of a leg while it lives (contract §6)."""

    INITIATED = "CALL_INITIATED"
    RECEIVED = "CALL_RECEIVED"
    CONNECTED = "CALL_CONNECTED"
    DISCONNECTED = "CALL_DISCONNECTED"
    DIGIT = "DTMF_RECEIVED"


@dataclass(frozen=True, slots=True)
class CallQuality:
    """What was heard of the callee, measured by us (RFC 3550 §6.4.1; MOS by the E-model, G.107)."""

    mos: float
    "1.0 to 4.5"
    packet_loss_rate: float
    "0.01 = 1 %"
    jitter_ms: int
