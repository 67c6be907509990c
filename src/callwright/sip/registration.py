"""Being known to a registrar (RFC 3261 §10.2): when to send REGISTER, what to ask for, what its answers mean.

Whoever carries it sends a REGISTER with `expires` whenever `deadline` is reached, and hands the outcome to `answered`.

    WAITING ──deadline──▶ ASKING ──2xx──▶ REGISTERED ──deadline──▶ ASKING ...
       ▲                    │ 423: ask again at once, for longer
       └── anything else ───┘
"""

from enum import Enum

from callwright.errors import SipSyntaxError
from callwright.sip.address import NameAddr, SipUri
from callwright.sip.lexis import decimal
from callwright.sip.message import Headers

MOST_SECONDS = 86_400
FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 300.0
_INTERVAL_TOO_BRIEF = 423
_MOST_RETRY_AFTER_SECONDS = 3600


class RegistrationState(Enum):
    """Whether the registrar knows us."""

    WAITING = "waiting"
    "not registered; `deadline` says when to try"
    ASKING = "asking"
    REGISTERED = "registered"


class Registration:
    """One binding of ours at one registrar. Pure: `now` is platform time, `draw` random numbers from 0 to 1."""

    __slots__ = ("_failures", "contact", "deadline", "expires", "good_until", "reason", "state", "status")

    def __init__(self, now: float, contact: str, expires: int) -> None:
        """`contact` is our Contact URI; `expires` how long to be known, in seconds."""
        self.contact = contact
        self._failures = 0
        self.expires = expires
        self.state = RegistrationState.WAITING
        self.deadline: float | None = now
        "when to send the next REGISTER; None while one is under way"
        self.good_until = 0.0
        "how long the registrar knows us"
        self.status = 0
        "what it said last; 0 before"
        self.reason = ""

    def asked(self) -> None:
        """A REGISTER is under way."""
        self.state = RegistrationState.ASKING
        self.deadline = None

    def answered(self, now: float, status: int, reason: str, headers: Headers | None, draw: float) -> None:
        """The REGISTER came to an end; `draw` spreads retries."""
        self.status, self.reason = status, reason
        if status // 100 == 2:
            granted = granted_seconds(headers or Headers(), self.contact, self.expires)
            self.state = RegistrationState.REGISTERED if granted > 0 else RegistrationState.WAITING
            self._failures = 0
            self.good_until = now + granted
            # Early enough that a lost REGISTER can be repeated, and a slow registrar answer, before it forgets us.
            self.deadline = now + max(granted - max(32.0, granted * 0.1), granted * 0.5, 1.0)
            return
        least = decimal(headers.get("Min-Expires") or "", MOST_SECONDS) if headers is not None else None
        if status == _INTERVAL_TOO_BRIEF and least is not None and least > self.expires:
            # "the UA SHOULD retry the registration after making the expiration interval of all contact addresses in
            # the REGISTER request equal to or greater than the expiration interval within the Min-Expires".
            self.expires = least
            self.deadline = now
        else:
            wait = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2**self._failures) * (0.75 + 0.5 * draw)
            self._failures = min(self._failures + 1, 16)
            self.deadline = now + max(wait, retry_after_seconds(headers) or 0.0)
        self.state = RegistrationState.REGISTERED if now < self.good_until else RegistrationState.WAITING


def granted_seconds(headers: Headers, contact: str, asked: int) -> int:
    """For how long a 2xx says that it knows `contact`: its own expires, else the Expires header, else what we asked."""
    usual = decimal(headers.get("Expires") or "", MOST_SECONDS)
    try:
        ours = SipUri.parse(contact)
        for value in headers.values("Contact"):
            known = NameAddr.parse(value)
            if known.uri.lower().startswith("sip") and known.sip_uri.matches(ours):
                own = decimal(known.params.get("expires") or "", MOST_SECONDS)
                return own if own is not None else usual if usual is not None else asked
    except SipSyntaxError:
        return asked if usual is None else usual
    return asked if usual is None else usual


def retry_after_seconds(headers: Headers | None) -> float | None:
    """What a Retry-After header asks for (RFC 3261 §20.33), an hour at most; None without one."""
    text = (headers.get("Retry-After") or "") if headers is not None else ""
    text = text.partition("(")[0].partition(";")[0].strip()
    if not text.isascii() or not text.isdigit():
        return None
    seconds = decimal(text, _MOST_RETRY_AFTER_SECONDS)
    return float(_MOST_RETRY_AFTER_SECONDS if seconds is None else seconds)
