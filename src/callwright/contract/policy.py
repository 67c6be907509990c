"""What an installation or sub-account decides about requests, where the contract leaves a choice (§13)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CaptureDefaults:
    """What sayAndCapture does when it is not told (§2.5)."""

    max_digits: int
    overall_timeout_ms: int
    no_of_tries: int


GUIDE_DEFAULTS = CaptureDefaults(max_digits=25, overall_timeout_ms=30_000, no_of_tries=3)
OAS_DEFAULTS = CaptureDefaults(max_digits=1, overall_timeout_ms=5_000, no_of_tries=1)


@dataclass(frozen=True, slots=True)
class RequestPolicy:
    """The choices; the defaults are those §13 recommends."""

    caller_ids: frozenset[str] | None = None
    "numbers (E.164 with +) that may stand as `source`, others are -1014; None allows any"
    capture: CaptureDefaults = GUIDE_DEFAULTS
    "§13 row 2"
    strict_digit_timeout: bool = False
    "digitTimeout without overallTimeout is -1005 instead of taking the default (§13 row 4)"
    coerce_numbers: bool = False
    "numbers written as JSON integers are read instead of refused (§13 row 36)"
    has_call_action_webhook: bool = True
    "whether the sub-account has somewhere to send captured digits; if not, sayAndCapture is -1004"
    accept_old_shapes: bool = False
    "`/callflows` also takes the single action of early v1.2 that holds its own source and destination (§1.7)"
    most_actions: int = 50
    "actions in one callflow; more are -1010"
