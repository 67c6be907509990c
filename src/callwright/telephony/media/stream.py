"""One stream as telephony sees it: our end, their end, and the figures when it is over."""

from dataclasses import dataclass
from enum import StrEnum


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
class RemoteMedia:
    """Their end, as the session descriptions agreed upon it. Only packets from this address and port are taken."""

    address: str
    "IPv4 or IPv6 literal of our host's family"
    port: int
    codec: str
    "RTP encoding name: PCMU or PCMA"
    payload_type: int
    "the number that stands for the codec, both ways"
    event_payload_type: int | None = None
    "the number under which the peer sends us telephone-events: the one our description names; None when not agreed"
    direction: Direction = Direction.SENDRECV
    sent_event_payload_type: int | None = None
    "the number under which the peer takes telephone-events from us; None when it takes none"
    rtcp_address: str | None = None
    "from a=rtcp (RFC 3605); None is `address`"
    rtcp_port: int | None = None
    "from a=rtcp (RFC 3605); None is the port above `port`"


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
