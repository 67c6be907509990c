"""One stream as telephony sees it: our end, their end, and the figures when it is over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

CLOCK_RATES = {"PCMU": 8000, "PCMA": 8000, "G722": 8000, "OPUS": 48_000}
"""Encoding name → ticks of its RTP clock in a second (RFC 3551 §4.5, RFC 7587 §4.1)."""


class Direction(StrEnum):
    """Who may send, from our point of view (RFC 8866 §6.7); our answer's attribute, not the peer's."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Do we send?"""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Does the peer send?"""
        return self in (Direction.SENDRECV, Direction.RECVONLY)


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """Our end: what goes into our session description."""

    host: str
    port: int
    "RTP, even; RTCP is the port above"


@dataclass(frozen=True, slots=True)
class Srtp:
    """A suite of RFC 4568 or 6188, and the keys that were exchanged."""

    suite: str
    sending: bytes = field(repr=False)
    "master key and, behind it, the salt"
    receiving: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemoteMedia:
    """Their end, as the session descriptions agreed upon it. Only packets from this address and port are taken."""

    address: str
    "IPv4 or IPv6 literal of our host's family"
    port: int
    codec: str
    "RTP encoding name of what we send: PCMU, PCMA, G722 or OPUS"
    payload_type: int
    "the number that stands for it, on what we send"
    event_payload_type: int | None = None
    "the number under which the peer sends us telephone-events: the one our description names; None when not agreed"
    direction: Direction = Direction.SENDRECV
    sent_event_payload_type: int | None = None
    "the number under which the peer takes telephone-events from us; None when it takes none"
    rtcp_address: str | None = None
    "from a=rtcp (RFC 3605); None is `address`"
    rtcp_port: int | None = None
    "from a=rtcp (RFC 3605); None is the port above `port`"
    ptime_ms: int = 20
    "sound in each packet that we send: 10 to 60 in steps of 10"
    heard: Mapping[int, str] = field(default_factory=dict)
    "payload type → encoding name of the sound that the peer may send; empty: `payload_type` and `codec`"
    event_clock_rate: int = 8000
    "of the telephone-events that the peer takes from us"
    heard_event_clock_rate: int = 8000
    "of those that it sends"
    rtcp_mux: bool = False
    "RTCP comes and goes over the RTP port (RFC 5761)"
    srtp: Srtp | None = None
    "None: in the clear"
    symmetric: bool = False
    "the first source that sends what was agreed upon is believed instead of `address` and `port`, and sent to"

    @property
    def sounds(self) -> Mapping[int, str]:
        """Payload type → encoding name of the sound that the peer may send."""
        return self.heard or {self.payload_type: self.codec}


@dataclass(frozen=True, slots=True)
class StreamReport:
    """One stream in figures, from the first connect to close."""

    packets_sent: int
    packets_received: int
    packets_lost: int
    "expected minus received by their sequence numbers; negative when packets were doubled"
    loss_rate: float
    "0.01 = 1 %"
    jitter_ms: float
    "interarrival jitter (RFC 3550 §6.4.1)"
    mos: float | None
    "of what we received, 1.0 to 4.5 (E-model); None when nothing was received"
    gaps: int
    "frames that were not sent because we were late for them"
    send_errors: int
    "frames the system refused to send, such as to a port that is closed"
    malformed: int
    "datagrams that were no RTP or RTCP"
    refused: int
    "datagrams from another source, another SSRC, or with a payload type not agreed upon"
    round_trip_ms: float | None = None
    "from the peer's reception reports; None when it sent none"
    remote_loss_rate: float | None = None
    "what the peer says it lost of ours; None when it sent no report"
    remote_jitter_ms: float | None = None
    "the jitter the peer says it saw; None when it sent no report"
    unauthentic: int = 0
    "SRTP packets that were sealed with another key, or changed on their way"
    replayed: int = 0
    "SRTP packets that came before"
