"""Session timers (RFC 4028): a session that nobody refreshes ends, on both sides, even when the BYE got lost.

Whoever is the refresher sends UPDATE or re-INVITE after half of the interval; the other side hangs up shortly before
the interval is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from callwright.sip.lexis import decimal
from callwright.sip.message import Headers, Request, Response

LEAST_SECONDS = 90
"""RFC 4028 §5: no session interval is shorter."""
MOST_SECONDS = 86_400
RETRY_SECONDS = 3.0
"""Until a refresh that was refused for the moment (491, 500, 503) is tried again; the RFC asks for 2.1 to 4 s."""
OPTION_TAG = "timer"


@dataclass(frozen=True, slots=True)
class SessionExpires:
    """A Session-Expires header."""

    seconds: int
    refresher: str = ""
    "`uac`, `uas`, or empty when the sender leaves it open"


def read_session_expires(headers: Headers) -> SessionExpires | None:
    """The Session-Expires header; None when there is none that can be read."""
    value, *params = (headers.get("Session-Expires") or "").split(";")
    seconds = decimal(value.strip(), 2**31 - 1)
    if seconds is None:
        return None
    named = {name.strip().lower(): text.strip().lower() for name, _, text in (part.partition("=") for part in params)}
    refresher = named.get("refresher", "")
    return SessionExpires(min(seconds, MOST_SECONDS), refresher if refresher in ("uac", "uas") else "")


def least_seconds(headers: Headers) -> int:
    """What Min-SE asks for; the RFC's minimum when it is missing or less."""
    return max(LEAST_SECONDS, decimal((headers.get("Min-SE") or "").partition(";")[0].strip(), MOST_SECONDS) or 0)


def supports(message: Request | Response, tag: str) -> bool:
    """Whether Supported or Require names an option."""
    tags = [*message.headers.all("Supported"), *message.headers.all("Require")]
    return any(tag == part.strip().lower() for line in tags for part in line.split(","))


def is_too_brief(request: Request) -> bool:
    """Whether a request is to be refused with 422 and our Min-SE (RFC 4028 §9)."""
    asked = read_session_expires(request.headers)
    return asked is not None and asked.seconds < LEAST_SECONDS and supports(request, OPTION_TAG)


class SessionTimer:
    """When to refresh, and when to hang up because nobody did. Pure; `deadline` is in platform time."""

    __slots__ = ("_ends_at", "deadline", "seconds", "we_refresh")

    def __init__(self, now: float, seconds: int, *, we_refresh: bool) -> None:
        """A session of that interval begins, or was just refreshed."""
        self.seconds = max(seconds, LEAST_SECONDS)
        self.we_refresh = we_refresh
        # "the side not performing refreshes [...] SHOULD send a BYE [...] the minimum of 32 seconds and one third of
        # the session interval before the session expires".
        self._ends_at = now + self.seconds - min(32.0, self.seconds / 3)
        self.deadline = now + self.seconds / 2 if we_refresh else self._ends_at

    def is_over(self, now: float) -> bool:
        """Nobody refreshed in time."""
        return now >= self._ends_at

    def refreshing(self) -> None:
        """A refresh is under way."""
        self.deadline = self._ends_at

    def again(self, now: float) -> None:
        """The refresh did not work now: try again soon."""
        self.deadline = min(now + RETRY_SECONDS, self._ends_at)


def request_headers(seconds: int, least: int, refresher: str = "") -> list[tuple[str, str]]:
    """What a request that begins or refreshes a session says; nothing when `seconds` is 0."""
    if not seconds:
        return []
    headers = [("Session-Expires", f"{seconds}{f';refresher={refresher}' if refresher else ''}")]
    return [*headers, ("Min-SE", str(least))] if least > LEAST_SECONDS else headers


def timer_of_answer(now: float, response: Response) -> SessionTimer | None:
    """What a 2xx to our request means for us (RFC 4028 §7.2); None when the session does not expire."""
    agreed = read_session_expires(response.headers)
    if agreed is None:
        return None
    return SessionTimer(now, agreed.seconds, we_refresh=agreed.refresher != "uas")


def answer_request(now: float, request: Request) -> tuple[SessionTimer | None, Sequence[tuple[str, str]]]:
    """The timer that a peer's request begins or refreshes, and what our 2xx says of it (RFC 4028 §9)."""
    asked = read_session_expires(request.headers)
    if asked is None:
        return None, ()
    can = supports(request, OPTION_TAG)
    refresher = (asked.refresher or "uac") if can else "uas"
    seconds = max(asked.seconds, LEAST_SECONDS)
    # "If the refresher parameter in the Session-Expires header field in the 2xx response has a value of 'uac', the UAS
    # MUST place a Require header field into the response with the value 'timer'."
    require = [("Require", OPTION_TAG)] if refresher == "uac" else []
    headers = [*require, ("Session-Expires", f"{seconds};refresher={refresher}")]
    return SessionTimer(now, seconds, we_refresh=refresher == "uas"), headers
