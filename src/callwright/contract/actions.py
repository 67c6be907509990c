"""The five actions in their wire form, read and checked (contract §2): JSON objects in, plan actions out.

Used for the callflow of a request, which must open with makeCall, and for the callflow in a webhook's reply, which need
not. Whatever is wrong with the flow, the first of these steps that finds something says so:

 1. the flow is an array of no more entries than allowed                      -1009, -1010
 2. every entry is an object with an action and params of the right type      -1009
 3. every action is one we know, none a scenario                              -1007, -1018…-1020
 4. every param is there, of its type and within its limits                   -1009 (-1011 for a list of destinations)
 5. the actions fit together: how many calls, the first action, hangup        -1010, -1013, -1012
 6. digits can be reported; digits and timeouts of sayAndCapture fit together -1004, -1003, -1008, -1005, -1006
 7. every voice or language exists                                            -1002
 8. every spoken text and every URL is free of control characters             -1016
 9. every destination is one number, then every source is an allowed one      -1011, -1017, -1014

Within a step the first action in the flow wins. Params we do not know are ignored (§13 row 19), and `null` stands for a
param that was not given (row 20).

Not in the public contract, decided here: the action `executeScenario` (params `scenarioName`) is recognised only to be
refused with the codes made for it, since no installation has scenarios. In `say` and `sayAndCapture`, `language` is
read when `voiceProfile` is absent (§1.7); beside one it is ignored.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from callwright.callflow.plan import Action, HangUp, MakeCall, PlayFile, Say, SayAndCapture
from callwright.contract.codes import StatusCode, entry_refusal, refusal
from callwright.contract.policy import RequestPolicy
from callwright.contract.schema import Fields, kind
from callwright.contract.voices import LONGEST_PROFILE, resolve_language, resolve_profile
from callwright.numbers import parse_msisdn

LONGEST_TEXT = 3000
LONGEST_URL = 2048
LONGEST_NUMBER = 1000
MOST_DIGITS = 25
MOST_MAKE_CALLS = 2
MOST_REPETITIONS = 3
SPEEDS = (0.5, 2)

HTTP_URL = re.compile(r"^https?://\S+$", re.IGNORECASE)
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")
_SCENARIO = "executeScenario"


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of the callflow array: the action's name, and its params."""

    action: str
    params: Fields
    path: str


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """sayAndCapture as it was asked for; None where nothing was said."""

    action: SayAndCapture
    "texts, voice and speed; its digits and timeouts are not settled yet"
    params: Fields
    complete_on_hash: bool
    min_digits: int | None
    max_digits: int | None
    digit_timeout_ms: int | None
    overall_timeout_ms: int | None
    no_of_tries: int | None


def read_actions(
    flow: Fields, policy: RequestPolicy, *, opens_with_call: bool, most_calls: int = MOST_MAKE_CALLS
) -> tuple[Action, ...]:
    """The actions in `flow.values["callflow"]`, checked and completed; raises ContractError for what is wrong first."""
    entries = read_entries(flow, policy.most_actions)
    return settle_entries(entries, policy, opens_with_call=opens_with_call, most_calls=most_calls)


def settle_entries(
    entries: list[Entry], policy: RequestPolicy, *, opens_with_call: bool, most_calls: int = MOST_MAKE_CALLS
) -> tuple[Action, ...]:
    """Steps 3 to 9: entries become actions. More than `most_calls` calls are -1010."""
    for entry in entries:
        if entry.action not in _READERS and entry.action != _SCENARIO:
            raise refusal(StatusCode.ACTION_UNKNOWN, f"{entry.path}.action")
    names = [entry.action for entry in entries]
    if _SCENARIO in names:
        raise _scenario_refused(entries)
    if policy.coerce_numbers:
        for entry in entries:
            _coerce_numbers(entry.params)
    read = [_READERS[entry.action](entry.params) for entry in entries]
    _check_order(names, opens_with_call=opens_with_call, most_calls=most_calls)
    actions = [_settle_capture(each, policy) if isinstance(each, CaptureRequest) else each for each in read]
    for action in actions:
        _check_voice(action)
    for action in actions:
        _check_texts(action)
    actions = [_with_destination(action) if isinstance(action, MakeCall) else action for action in actions]
    return tuple([_with_source(action, policy) if isinstance(action, MakeCall) else action for action in actions])


def check_characters(text: str) -> None:
    """Raise -1016 if `text` holds a control character other than tab and line ends."""
    if _CONTROL_CHARACTERS.search(text):
        raise refusal(StatusCode.CHARACTERS_INVALID)


def _settle_capture(request: CaptureRequest, policy: RequestPolicy) -> SayAndCapture:
    """Apply the rules between the digits and timeouts of one sayAndCapture (§2.5) and fill in what was not given."""
    if not policy.has_call_action_webhook:
        raise refusal(StatusCode.NO_DTMF_CALLBACK)
    max_digits = _most_digits(request) or policy.capture.max_digits
    return replace(
        request.action,
        complete_on_hash=request.complete_on_hash,
        min_digits=request.min_digits,
        max_digits=max_digits,
        digit_timeout_ms=request.digit_timeout_ms,
        overall_timeout_ms=_overall_timeout(request, policy),
        no_of_tries=request.no_of_tries or policy.capture.no_of_tries,
    )


def read_entries(flow: Fields, most: int) -> list[Entry]:
    """Steps 1 and 2: the flow as it stands, at most `most` entries."""
    if "callflow" not in flow.values:
        raise flow.missing("callflow")
    items = flow.values["callflow"]
    if not isinstance(items, list):
        raise flow.wrong_kind("callflow", "array")
    if not items:
        raise flow.wrong("callflow", "there must be a minimum of 1 items in the array")
    if len(items) > most:
        raise refusal(StatusCode.TOO_MANY_ACTIONS)
    return [_entry(item, f"{flow.path}.callflow[{position}]") for position, item in enumerate(items)]


def _entry(item: object, path: str) -> Entry:
    if not isinstance(item, dict):
        raise entry_refusal(f"{path}: {kind(item)} found, object expected")
    fields = Fields(item, path)
    action = fields.string("action")
    params = item.get("params")
    if params is None and action not in _READERS_WITHOUT_PARAMS and action in _READERS:
        raise fields.wrong_kind("params", "object") if "params" in item else fields.missing("params")
    if params is not None and not isinstance(params, dict):
        raise fields.wrong_kind("params", "object")
    return Entry(action, Fields(params or {}, f"{path}.params"), path)


def _make_call(params: Fields) -> MakeCall:
    destinations = params.values.get("destination")
    if isinstance(destinations, list) and len(destinations) > 1:
        raise refusal(StatusCode.MANY_DESTINATIONS)
    return MakeCall(
        source=params.string("source", most=LONGEST_NUMBER),
        destination=params.string("destination", most=LONGEST_NUMBER),
        call_recording=params.boolean("callRecording") or False,
    )


def _coerce_numbers(params: Fields) -> None:
    """Write `source` and `destination` out as text where a client's template left the quotes away (§13 row 36)."""
    for name in ("source", "destination"):
        value = params.values.get(name)
        if type(value) is int and 0 < value < 10**15:
            params.values[name] = str(value)


def _say(params: Fields) -> Say:
    return Say(
        text=params.string("text", 1, LONGEST_TEXT),
        voice_profile=_voice_name(params),
        speed=params.number("speed", *SPEEDS) or 1.0,
        repetition=params.integer("repetition", 1, MOST_REPETITIONS) or 1,
    )


def _play_file(params: Fields) -> PlayFile:
    return PlayFile(
        file_url=params.matching("fileUrl", HTTP_URL, LONGEST_URL),
        repetition=params.integer("repetition", 1, MOST_REPETITIONS) or 1,
    )


def _say_and_capture(params: Fields) -> CaptureRequest:
    complete_on_hash = params.boolean("completeOnHash")
    return CaptureRequest(
        action=SayAndCapture(
            prompt_message=params.string("promptMessage", 1, LONGEST_TEXT),
            voice_profile=_voice_name(params),
            speed=params.number("speed", *SPEEDS) or 1.0,
            success_message=_unless_blank(params.optional_string("successMessage", LONGEST_TEXT)),
            failure_message=_unless_blank(params.optional_string("failureMessage", LONGEST_TEXT)),
        ),
        params=params,
        complete_on_hash=True if complete_on_hash is None else complete_on_hash,
        min_digits=params.integer("minDigits", 1),
        max_digits=params.integer("maxDigits"),
        digit_timeout_ms=params.integer("digitTimeout", 1),
        overall_timeout_ms=params.integer("overallTimeout"),
        no_of_tries=params.integer("noOfTries", 1),
    )


def _voice_name(params: Fields) -> str:
    """The profile asked for; for a language alone, the profile that speaks it. Whether it exists is judged later."""
    if params.values.get("voiceProfile") is None and params.values.get("language") is not None:
        language = params.string("language", most=LONGEST_PROFILE)
        voice = resolve_language(language)
        return voice.code if voice else language
    return params.string("voiceProfile")


def _unless_blank(text: str | None) -> str | None:
    return text if text and not text.isspace() else None


_READERS: dict[str, Callable[[Fields], Action | CaptureRequest]] = {
    "makeCall": _make_call,
    "say": _say,
    "playFile": _play_file,
    "sayAndCapture": _say_and_capture,
    "hangup": lambda _: HangUp(),
}
_READERS_WITHOUT_PARAMS = {"hangup"}


def _scenario_refused(entries: list[Entry]) -> Exception:
    if len(entries) > 1:
        return refusal(StatusCode.SCENARIO_NOT_ALONE)
    name = entries[0].params.values.get("scenarioName")
    if name is None or (isinstance(name, str) and not name.strip()):
        return refusal(StatusCode.SCENARIO_NAME_EMPTY)
    return refusal(StatusCode.SCENARIO_INVALID)


def _check_order(names: list[str], *, opens_with_call: bool, most_calls: int) -> None:
    if names.count("makeCall") > most_calls:
        raise refusal(StatusCode.TOO_MANY_ACTIONS)
    if opens_with_call and names[0] != "makeCall":
        raise refusal(StatusCode.FIRST_ACTION_NOT_MAKE_CALL)
    if "hangup" in names[:-1]:
        raise refusal(StatusCode.HANGUP_MISUSED)


def _most_digits(request: CaptureRequest) -> int | None:
    given = request.max_digits
    valid = given is not None and 1 <= given <= MOST_DIGITS
    if request.min_digits is not None and (not valid or given is None or given < request.min_digits):
        raise refusal(StatusCode.MAX_DIGITS_WITH_MIN_DIGITS)
    if not request.complete_on_hash and not valid:
        raise refusal(StatusCode.MAX_DIGITS_WITHOUT_HASH)
    request.params.integer("maxDigits", 1, MOST_DIGITS)
    return given


def _overall_timeout(request: CaptureRequest, policy: RequestPolicy) -> int:
    given, digit_timeout_ms = request.overall_timeout_ms, request.digit_timeout_ms
    if digit_timeout_ms is not None and (given < 1 if given is not None else policy.strict_digit_timeout):
        raise refusal(StatusCode.OVERALL_TIMEOUT_MISSING)
    overall_timeout_ms = request.params.integer("overallTimeout", 1) or policy.capture.overall_timeout_ms
    if digit_timeout_ms is not None and digit_timeout_ms > overall_timeout_ms:
        raise refusal(StatusCode.OVERALL_TIMEOUT_TOO_SHORT)
    return overall_timeout_ms


def _check_voice(action: Action) -> None:
    if isinstance(action, Say | SayAndCapture) and resolve_profile(action.voice_profile) is None:
        raise refusal(StatusCode.VOICE_INVALID)


def _check_texts(action: Action) -> None:
    match action:
        case Say(text=text):
            spoken = text
        case SayAndCapture(prompt_message=prompt, success_message=success, failure_message=failure):
            spoken = f"{prompt}\n{success or ''}\n{failure or ''}"
        case PlayFile(file_url=url):
            spoken = url
        case _:
            return
    check_characters(spoken)


def _with_destination(action: MakeCall) -> MakeCall:
    destination = parse_msisdn(action.destination)
    if destination is None:
        listed = [part for part in re.split("[,;]", action.destination) if re.search("[0-9]", part)]
        raise refusal(StatusCode.MANY_DESTINATIONS if len(listed) > 1 else StatusCode.DESTINATION_INVALID)
    return replace(action, destination=destination)


def _with_source(action: MakeCall, policy: RequestPolicy) -> MakeCall:
    source = parse_msisdn(action.source)
    if source is None or (policy.caller_ids is not None and source not in policy.caller_ids):
        raise refusal(StatusCode.SOURCE_NOT_ALLOWED)
    return replace(action, source=source)
