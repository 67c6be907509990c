"""Local engines run in processes that some texts end: then the text is tried once more without its punctuation."""

from collections.abc import Awaitable, Callable

from callwright.errors import SpeechFailed
from callwright.speech.synthesizer import Spoken
from callwright.speech.text import letters_and_digits
from callwright.speech.workers import Died, Done


async def spoken_by(job: Callable[[str], Awaitable[Done | Died]], text: str, sample_rate_hz: int) -> Spoken:
    """What `job` makes of the text, or of its letters and digits if a worker dies of it. Raises SpeechFailed.

    `sample_rate_hz` is that of the sound which `job` makes.
    """
    outcome = await job(text)
    simplified = isinstance(outcome, Died)
    if simplified:
        plain = letters_and_digits(text)
        if plain:
            outcome = await job(plain)
    if isinstance(outcome, Died):
        raise SpeechFailed(f"The text could not be spoken: {outcome.reason}.")
    if outcome.head.get("ok") is not True:
        raise SpeechFailed(f"The text could not be spoken: {outcome.head.get('reason')}.")
    if not any(outcome.body):
        raise SpeechFailed("The text could not be spoken: the engine has no sound for it.")
    return Spoken(outcome.body, simplified, sample_rate_hz)
