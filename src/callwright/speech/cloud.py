"""What all speech services over HTTP share: asking within a budget, one retry, and doubting the answer.

A request has 8 seconds in all. It is sent once more, after a short pause, when no connection came about or the service
was overloaded (429, 5xx), if there is time left. What a service says about a failure is shown only for requests it
found wrong, cut short and with every secret taken out; keys appear in no message, trace or exception.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from callwright.egress import Answer, Egress
from callwright.errors import EgressError, EgressRefused, SpeechFailed, SpeechUnavailable
from callwright.settings_table import Secret
from callwright.speech.synthesizer import MOST_SECONDS, SAMPLE_RATE_HZ

_BYTES_PER_SAMPLE = 2
MOST_BYTES = MOST_SECONDS * SAMPLE_RATE_HZ * _BYTES_PER_SAMPLE
_AS_LONG_AS_THE_LIMIT = 0.999
"""Some services cut at ten minutes without a word; a sound of that length is a text that was too long."""

_LEAST_SECONDS = 0.1
_FASTEST_CHARACTERS_PER_SECOND = 60
"""At normal speed; the fastest speakers stay below a third of it. A shorter sound has been cut off."""

_LEAST_TRY_SECONDS = 1.0
_LONGEST_EXCERPT = 160
_NOT_SOUND = ("text/", "application/json", "application/xml", "application/x-amz-json")
# Refusals that come with status 400 and mean something else.
_WRONG_KEY = b"API_KEY_INVALID"
_OVERLOADED = "ThrottlingException"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a service may take."""

    within_seconds: float = 8.0
    "from the first byte sent to the last received, both tries together"
    pause_seconds: float = 0.25
    "before the second try"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A POST. Its text form shows neither headers nor body."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Service:
    """A speech service as it is asked."""

    name: str
    "for people"
    egress: Egress
    secrets: Sequence[Secret]
    patience: Patience

    async def ask(self, request: Callable[[], HttpRequest], most_bytes: int) -> Answer:
        """The accepted answer to `request()`, which is called anew for the second try. SpeechFailed says why not."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.patience.within_seconds
        outcome, again = await self._try(request(), most_bytes, self.patience.within_seconds)
        if again and until - loop.time() > self.patience.pause_seconds + _LEAST_TRY_SECONDS:
            await asyncio.sleep(self.patience.pause_seconds)
            outcome, _ = await self._try(request(), most_bytes, until - loop.time())
        if isinstance(outcome, SpeechFailed):
            raise outcome
        return outcome

    async def _try(
        self, request: HttpRequest, most_bytes: int, within_seconds: float
    ) -> tuple[Answer | SpeechFailed, bool]:
        """The answer, or why there is none and whether trying again may help."""
        try:
            answer = await self.egress.post(
                request.url, request.body, request.headers, within_seconds=within_seconds, most_bytes=most_bytes
            )
        except EgressRefused as error:
            return SpeechUnavailable(f"{self.name} is not asked. {self._without_secrets(str(error))}"), False
        except EgressError as error:
            return SpeechUnavailable(f"{self.name} did not answer. {self._without_secrets(str(error))}"), True
        if not answer.accepted:
            return self._refusal(answer)
        if answer.truncated:
            return SpeechFailed(f"{self.name} answered with more than {most_bytes:,} bytes."), False
        return answer, False

    def _refusal(self, answer: Answer) -> tuple[SpeechFailed, bool]:
        status = answer.status
        if status in (401, 403) or _WRONG_KEY in answer.body:
            return SpeechUnavailable(f"{self.name} does not accept the key (status {status})."), False
        if status == 429 or answer.headers.get("x-amzn-errortype", "").startswith(_OVERLOADED):
            return SpeechUnavailable(f"{self.name} has had too many requests (status {status})."), True
        if status >= 500:
            return SpeechUnavailable(f"{self.name} is out of order (status {status})."), True
        if status < 400 or status in (404, 405, 407):
            return SpeechUnavailable(f"{self.name} is not at this endpoint (status {status})."), False
        return SpeechFailed(f"{self.name} refuses the request (status {status}){self._excerpt(answer.body)}."), False

    def _excerpt(self, body: bytes) -> str:
        text = _complaint(body[:4_096].decode(errors="replace"))
        plain = " ".join("".join(c if c.isprintable() else " " for c in self._without_secrets(text)).split())
        return f": {plain[:_LONGEST_EXCERPT].rstrip('. ')}" if plain else ""

    def _without_secrets(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret.reveal(), "••••")
        return text

    def sound_of(self, answer: Answer) -> bytes:
        """The body of an answer that should be raw sound. SpeechFailed when it says that it is something else."""
        form = answer.headers.get("content-type", "").strip().lower()
        if form.startswith(_NOT_SOUND):
            raise SpeechFailed(f"{self.name} answered with {form[:40]} instead of sound.")
        return answer.body

    def doubted(self, pcm: bytes, text: str, speed: float) -> bytes:
        """16-bit mono at 8 kHz, if it can be `text` spoken at `speed`; SpeechFailed otherwise."""
        if len(pcm) % _BYTES_PER_SAMPLE:
            raise SpeechFailed(f"{self.name} answered with half a sample: the sound is damaged.")
        if len(pcm) >= MOST_BYTES * _AS_LONG_AS_THE_LIMIT:
            raise SpeechFailed(f"{self.name} needs 10 minutes or more for the text.")
        spoken = sum(character.isalnum() for character in text)
        least = max(_LEAST_SECONDS, spoken / (_FASTEST_CHARACTERS_PER_SECOND * speed))
        seconds = len(pcm) / (SAMPLE_RATE_HZ * _BYTES_PER_SAMPLE)
        if seconds < least:
            raise SpeechFailed(f"{self.name} answered with {seconds:.2f} s of sound, too little for the text.")
        if not any(pcm):
            raise SpeechFailed(f"{self.name} answered with silence.")
        return pcm


async def all_of(jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of jobs done at once, in order; when one fails, the others are ended and its exception is raised."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _complaint(text: str) -> str:
    """What the service says, out of the JSON it usually says it in."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return "" if text.lstrip().startswith("<") else text
    inner = document.get("error", document) if isinstance(document, dict) else None
    message = (inner.get("message") or inner.get("Message")) if isinstance(inner, dict) else None
    return message if isinstance(message, str) else ""
