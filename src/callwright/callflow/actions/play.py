"""say and playFile (contract §2.3, §2.4): wait for the prompt, play it, wait for its end."""

from callwright.callflow.actions.script import DONE, Report, Script, Turn, failed, overdue
from callwright.callflow.commands import Play
from callwright.callflow.desk import Desk
from callwright.callflow.events import PlaybackFinished
from callwright.callflow.leg import Leg
from callwright.errors import ErrorCode

PROMPT_SECONDS = 60.0
"""Speech and files have budgets of their own, well below; this one keeps a call from waiting for a lost answer."""

GRACE_SECONDS = 15.0
"""A playback whose end is not reported this long after it was due is a fault of ours, not of the callee."""

NEVER_REPORTED = failed(ErrorCode.INTERNAL, "the end of the message was never reported")


def ready(desk: Desk, prompt_id: str) -> Script:
    """Wait until a prompt is ready; a Report with an error when it will not be."""
    until = desk.now + PROMPT_SECONDS
    while not desk.prompts.settled(prompt_id):
        event = yield Turn(until=until)
        if overdue(event, until):
            return failed(ErrorCode.INTERNAL, "the message was not ready in time")
    failure = desk.prompts.failure(prompt_id)
    return DONE if failure is None else failed(failure.error, failure.reason)


def due_until(desk: Desk, prompt_id: str, repetition: int) -> float:
    """When the end of a playback that begins now must have been reported."""
    return desk.now + desk.prompts.duration_seconds(prompt_id) * repetition + GRACE_SECONDS


def play(desk: Desk, leg: Leg, prompt_id: str, repetition: int = 1) -> Script:
    """Play `prompt_id` on `leg`, `repetition` times without a gap."""
    waited: Report = yield from ready(desk, prompt_id)
    if waited.error is not None:
        return waited
    playback_id, until = desk.new_playback_id(), due_until(desk, prompt_id, repetition)
    event = yield Turn((Play(leg.leg_id, playback_id, prompt_id, repetition),), until)
    while not (isinstance(event, PlaybackFinished) and event.playback_id == playback_id):
        if overdue(event, until):
            return NEVER_REPORTED
        event = yield Turn(until=until)
    return DONE
