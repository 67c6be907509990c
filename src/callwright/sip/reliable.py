"""Provisional answers that must arrive (100rel, RFC 3262): RSeq and RAck, and the repetition until the PRACK comes."""

from dataclasses import dataclass

from callwright.sip.lexis import decimal
from callwright.sip.message import Request, Response
from callwright.sip.session_timer import supports
from callwright.sip.transactions.timers import Timers

OPTION_TAG = "100rel"
MOST_RSEQ = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RAck:
    """Which provisional answer a PRACK acknowledges (RFC 3262 §7.2)."""

    rseq: int
    cseq: int
    method: str


def rseq_of(response: Response) -> int | None:
    """The number of a provisional answer that must be acknowledged; None for all others."""
    if not 101 <= response.status <= 199 or not any(
        part.strip().lower() == OPTION_TAG for line in response.headers.all("Require") for part in line.split(",")
    ):
        return None
    number = decimal((response.headers.get("RSeq") or "").strip(), MOST_RSEQ)
    return number or None


def read_rack(request: Request) -> RAck | None:
    """The RAck header of a PRACK; None when it cannot be read."""
    words = (request.headers.get("RAck") or "").split()
    if len(words) != 3:
        return None
    rseq, cseq = decimal(words[0], 2**32 - 1), decimal(words[1], MOST_RSEQ)
    return None if rseq is None or cseq is None else RAck(rseq, cseq, words[2])


def wants_reliable(request: Request, *, has_sdp: bool) -> bool:
    """Whether our provisional answer to this INVITE is to be sent reliably.

    It must be when the caller requires it. When the caller merely can, early media is worth it: without the session
    description nothing is heard.
    """
    required = any(value.lower() == OPTION_TAG for value in request.headers.values("Require"))
    return required or (has_sdp and supports(request, OPTION_TAG))


class RepeatedRinging:
    """A provisional answer of ours, repeated until it is acknowledged."""

    __slots__ = ("_interval", "_timers", "data", "ends_at", "has_sdp", "repeat_at", "rseq")

    def __init__(self, now: float, timers: Timers, rseq: int, data: bytes, *, has_sdp: bool) -> None:
        self._timers = timers
        self._interval = timers.t1
        self.rseq = rseq
        self.data = data
        self.has_sdp = has_sdp
        self.repeat_at = now + self._interval
        self.ends_at = now + timers.give_up

    def repeated(self, now: float) -> None:
        """It was sent again."""
        # RFC 3262 §3: "retransmitted with an exponential backoff [...] starts at T1 seconds, and doubles".
        self._interval *= 2
        self.repeat_at = now + self._interval
