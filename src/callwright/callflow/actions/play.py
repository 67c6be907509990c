"""say and playFile (contract §2.3, §2.4): wait for the prompt, play it, wait for its end."""

from callwright.callflow.actions.script import DONE, Script, Turn, failed, overdue
from callwright.callflow.commands import Play
from callwright.callflow.events import PlaybackFinished
from callwright.callflow.leg import Leg
from callwright.callflow.prompts import PromptBook
from callwright.errors import ErrorCode

PROMPT_SECONDS = 60.0
"""Speech and files have budgets of their own, well below; this one keeps a call from waiting for a lost answer."""

GRACE_SECONDS = 15.0
"""A playback whose end is not reported this long after it was due is a fault of ours, not of the callee."""


def play(leg: Leg, prompts: PromptBook, prompt_id: str, repetition: int, now: float) -> Script:
    """Play `prompt_id` on `leg`, `repetition` times without a gap."""
    until = now + PROMPT_SECONDS
    while not prompts.settled(prompt_id):
        event = yield Turn(until=until)
        now = event.at
        if overdue(event, until):
            return failed(ErrorCode.INTERNAL, "the message was not ready in time")
    failure = prompts.failure(prompt_id)
    if failure is not None:
        return failed(failure.error, failure.reason)
    until = now + prompts.duration_seconds(prompt_id) * repetition + GRACE_SECONDS
    event = yield Turn((Play(leg.leg_id, prompt_id, prompt_id, repetition),), until)
    while not (isinstance(event, PlaybackFinished) and event.playback_id == prompt_id):
        if overdue(event, until):
            return failed(ErrorCode.INTERNAL, "the end of the message was never reported")
        event = yield Turn(until=until)
    return DONE
