"""Where the process is killed: names, and the function at whose beginning or end it happens.

The product knows nothing of this: a victim (`victim.py`) wraps the functions of its own process before it starts.
"""

import functools
import inspect
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from callwright.callflow.events import DigitPressed
from callwright.egress.client import Egress
from callwright.storage import steady
from callwright.storage.store import Store
from callwright.switchboard.customer import Customers
from callwright.switchboard.live import LiveSession
from callwright.telephony.datagrams import Datagrams
from callwright.telephony.line import Telephony
from callwright.telephony.signalling import Signalling

When = Literal["before", "after"]
Match = Callable[[tuple[Any, ...]], bool]


@dataclass(frozen=True, slots=True)
class Place:
    """A function, and which of its calls count."""

    owner: Any
    "class or module that holds it"
    name: str
    counts: Match


def _every(_: tuple[Any, ...]) -> bool:
    return True


def _sip(start: bytes, method: bytes = b"") -> Match:
    """A datagram that begins so and whose CSeq names the method; arguments are (self, data, peer)."""

    def match(arguments: tuple[Any, ...]) -> bool:
        data: bytes = arguments[1]
        return data.startswith(start) and (not method or b" " + method + b"\r\n" in data)

    return match


def _is_key(arguments: tuple[Any, ...]) -> bool:
    return isinstance(arguments[1], DigitPressed)


def _to(path: str) -> Match:
    return lambda arguments: str(arguments[1]).endswith(path)


_PLACES: Final[Mapping[str, Place]] = {
    "acceptance": Place(Store, "accept_session", _every),
    "intent": Place(Store, "record_dial_intent", _every),
    "commit": Place(steady, "run_batch", _every),
    "INVITE sent": Place(Datagrams, "send", _sip(b"INVITE ")),
    "180 received": Place(Signalling, "receive", _sip(b"SIP/2.0 180")),
    "200 received": Place(Signalling, "receive", _sip(b"SIP/2.0 200", b"INVITE")),
    "ACK sent": Place(Datagrams, "send", _sip(b"ACK ")),
    "dialog kept": Place(Store, "keep_dialog", _every),
    "play": Place(Telephony, "play", _every),
    "key": Place(LiveSession, "post", _is_key),
    "question": Place(Customers, "ask", _every),
    "bridge": Place(Telephony, "bridge", _every),
    "record": Place(Telephony, "record", _every),
    "CANCEL sent": Place(Datagrams, "send", _sip(b"CANCEL ")),
    "BYE sent": Place(Datagrams, "send", _sip(b"BYE ")),
    "BYE answered": Place(Signalling, "receive", _sip(b"SIP/2.0 200", b"BYE")),
    "terminal record": Place(Store, "finish_session", _every),
    "webhook": Place(Egress, "post", _to("/vss")),
    "try written": Place(Store, "record_attempt", _every),
}
POINTS: Final[Mapping[str, tuple[Place, When]]] = {
    f"{when} {name}": (place, when) for name, place in _PLACES.items() for when in ("before", "after")
}
"""Before and after each place: 38."""


def arm(name: str, nth: int) -> None:
    """Have this process killed when it reaches the point for the `nth` time."""
    place, when = POINTS[name]
    original = inspect.getattr_static(place.owner, place.name)
    left = nth

    def reached(arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if place.counts(arguments):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    if inspect.iscoroutinefunction(original):

        @functools.wraps(original)
        async def wrapped(*arguments: Any, **named: Any) -> Any:
            if when == "before":
                reached(arguments)
            result = await original(*arguments, **named)
            if when == "after":
                reached(arguments)
            return result

        setattr(place.owner, place.name, wrapped)
        return

    @functools.wraps(original)
    def wrapped_plain(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            reached(arguments)
        result = original(*arguments, **named)
        if when == "after":
            reached(arguments)
        return result

    setattr(place.owner, place.name, wrapped_plain)
