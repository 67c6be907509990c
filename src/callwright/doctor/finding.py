"""What the doctor tells: one sentence a finding, and the setting that mends it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    "to know, or not tried"
    WARNING = "warning"
    "calls may work, or some of them"
    FAILURE = "failure"
    "calls do not work"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    trunk: str
    check: str
    "names, connection, certificate, options, address, registration, call, sound, keys"
    level: Level
    text: str
    "one sentence"
    mend: str = ""
    "what to set, or whom to ask; empty when all is well"
