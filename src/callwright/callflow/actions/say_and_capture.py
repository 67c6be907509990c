"""sayAndCapture (contract §2.5): prompt, take keys, try again, say how it went.

Where the guide is silent:

* The first key stops the prompt (barge-in) and counts. `overallTimeout` runs from the prompt's end, or from that key.
* `digitTimeout` is the longest pause between two keys. When it runs out what was entered is taken as it is, like `#`;
  when `overallTimeout` runs out the try has failed.
* `maxDigits` reached ends the input whether or not `#` was awaited. Without `completeOnHash` a `#` is a key.
* The failure message is said after every failed try; a message that cannot be spoken ends the session as ERROR/-2005.
"""

from collections.abc import Generator

from callwright.callflow.actions.play import NEVER_REPORTED, due_until, play, ready
from callwright.callflow.actions.script import Report, Script, Turn, overdue
from callwright.callflow.commands import Listen, Play, StopListening, StopPlayback
from callwright.callflow.desk import Desk
from callwright.callflow.events import DigitPressed, Event, PlaybackFinished
from callwright.callflow.leg import Leg
from callwright.callflow.plan import SayAndCapture


def prompt_texts(action: SayAndCapture) -> dict[str, str]:
    """Part of a prompt id → text, for every message the action may need."""
    texts = {"prompt": action.prompt_message}
    if action.success_message:
        texts["success"] = action.success_message
    if action.failure_message:
        texts["failure"] = action.failure_message
    return texts


def say_and_capture(desk: Desk, leg: Leg, action: SayAndCapture, prompt_id: str) -> Script:
    """Report.captured holds the keys, or None after the last failed try."""
    yield Turn((Listen(leg.leg_id),), at_once=True)
    keys: str | None = None
    for _ in range(action.no_of_tries):
        outcome = yield from _one_try(desk, leg, action, f"{prompt_id}.prompt")
        if isinstance(outcome, Report):
            return outcome
        keys = outcome if outcome is not None and _in_range(outcome, action) else None
        message = action.failure_message if keys is None else action.success_message
        if message:
            said = yield from play(desk, leg, f"{prompt_id}.{'failure' if keys is None else 'success'}")
            if said.error is not None:
                return said
        if keys is not None:
            break
    yield Turn((StopListening(leg.leg_id),), at_once=True)
    return Report(captured=keys)


def _in_range(keys: str, action: SayAndCapture) -> bool:
    return max(1, action.min_digits or 1) <= len(keys) <= action.max_digits


def _one_try(
    desk: Desk, leg: Leg, action: SayAndCapture, prompt_id: str
) -> Generator[Turn, Event, str | Report | None]:
    """The keys as entered, None when time ran out, a Report when the prompt could not be played."""
    waited = yield from ready(desk, prompt_id)
    if waited.error is not None:
        return waited
    playback_id, until = desk.new_playback_id(), due_until(desk, prompt_id, 1)
    event = yield Turn((Play(leg.leg_id, playback_id, prompt_id, 1),), until)
    while not (isinstance(event, PlaybackFinished) and event.playback_id == playback_id):
        if overdue(event, until):
            return NEVER_REPORTED
        if _is_key(event, leg):
            yield Turn((StopPlayback(leg.leg_id, playback_id),), at_once=True)
            break
        event = yield Turn(until=until)
    return (yield from _keys(desk, leg, action, event))


def _keys(desk: Desk, leg: Leg, action: SayAndCapture, event: Event) -> Generator[Turn, Event, str | None]:
    """Collect keys, beginning with `event` if it is one."""
    keys = ""
    last_moment = until = desk.now + action.overall_timeout_ms / 1000
    while True:
        if isinstance(event, DigitPressed) and event.leg_id == leg.leg_id:
            if event.digit == "#" and action.complete_on_hash:
                return keys
            keys += event.digit
            if len(keys) >= action.max_digits:
                return keys
            if action.digit_timeout_ms is not None:
                until = min(last_moment, event.at + action.digit_timeout_ms / 1000)
        elif overdue(event, until):
            return keys if until < last_moment else None
        event = yield Turn(until=until)


def _is_key(event: Event, leg: Leg) -> bool:
    return isinstance(event, DigitPressed) and event.leg_id == leg.leg_id
