"""How a trunk is doing: what its calls, its OPTIONS and its registrar say of it."""

from dataclasses import dataclass, field

from callwright.sip.registration import Registration, RegistrationState
from callwright.telephony.admission import Admission


@dataclass(slots=True)
class Condition:
    """What is known of one trunk; it outlives changes of the trunk's settings."""

    admission: Admission
    doubted_until: float = 0.0
    "it did not answer, and is tried last until then"
    closed_until: float = 0.0
    "it asked for quiet (Retry-After)"
    answers_options: bool = True
    options_said: str = ""
    "how the last OPTIONS ended; empty when none did"
    registration: Registration | None = None
    question_count: int = 0
    call_ids: dict[str, str] = field(default_factory=dict)

    @property
    def is_registered(self) -> bool:
        """Whether its registrar knows us."""
        return self.registration is not None and self.registration.state is RegistrationState.REGISTERED


@dataclass(frozen=True, slots=True)
class TrunkReport:
    """How a trunk is doing, for operators."""

    name: str
    calls: int
    "that it carries now"
    waiting: int
    "for room"
    is_healthy: bool
    "nothing that was asked or called there went unanswered lately"
    is_registered: bool | None
    "None: it needs no registration"
    closed_until: float | None
    "platform time; it asked for no calls until then"
    options: str
    "what the last OPTIONS was answered; empty: it was not asked"
    registration: str
    "what the registrar answered last; empty: nothing yet"


def report(name: str, condition: Condition, now: float, *, registers: bool) -> TrunkReport:
    """What operators are told."""
    registration = condition.registration
    said = f"{registration.status} {registration.reason}".strip() if registration and registration.status else ""
    return TrunkReport(
        name,
        condition.admission.calls,
        condition.admission.waiting,
        condition.answers_options and now >= condition.doubted_until,
        condition.is_registered if registers else None,
        condition.closed_until if now < condition.closed_until else None,
        condition.options_said,
        said,
    )
