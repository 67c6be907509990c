"""The shape of an action: a generator that reads step by step.

A script yields a `Turn` (what to do now, and until when to wait), is sent the next event, and returns a `Report`. It
sees every event of its session; legs, prompts and the desk are already brought up to date when it does.
"""

from collections.abc import Generator
from dataclasses import dataclass

from callwright.callflow.commands import Command
from callwright.callflow.events import Event, Tick
from callwright.callflow.outcome import CallStatus
from callwright.errors import ErrorCode


@dataclass(frozen=True, slots=True)
class Turn:
    """What a script wants before it sees its next event."""

    commands: tuple[Command, ...] = ()
    until: float | None = None
    "hand in a Tick at this time if nothing else happens; None: wait as long as it takes"
    at_once: bool = False
    "go on without waiting for an event"


@dataclass(frozen=True, slots=True)
class Report:
    """How an action went."""

    ends_as: CallStatus | None = None
    "None: the flow goes on; else it ends here, and a leg that was never answered ends as this"
    error: ErrorCode | None = None
    "set when the whole session is an ERROR"
    reason: str = ""
    captured: str | None = None
    "keys of a successful capture"


DONE = Report()


def failed(error: ErrorCode, reason: str) -> Report:
    """The action cannot be done, and so the session is an ERROR."""
    return Report(CallStatus.CANCELED, error, reason)


Script = Generator[Turn, Event, Report]


def overdue(event: Event, until: float) -> bool:
    """The wait of a turn ran out."""
    return isinstance(event, Tick) and event.at >= until
