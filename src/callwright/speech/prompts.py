"""What can be heard: texts and files, made into prompts once and kept.

Which voice speaks is decided here: the first synthesizer that has the asked voice's language, in the order of the
configuration; the decision is written into the call's trace, as is what came from the cache and how long it took.
"""

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from callwright.audio.prompt import Prompt
from callwright.contract.voices import resolve_profile
from callwright.egress import Egress
from callwright.errors import EgressError, FileFailed, SpeechFailed
from callwright.speech.cache import MOST_BYTES, PromptCache
from callwright.speech.providers.espeak import EspeakSynthesizer
from callwright.speech.sharing import Shared, Stopped
from callwright.speech.synthesizer import EngineVoice, Synthesizer, VoiceLike
from callwright.speech.text import MOST_CHARACTERS, sanitise
from callwright.speech.workers import Died, WorkerPool
from callwright.telemetry.clock import Clock
from callwright.telemetry.trace import Trace

MOST_FILE_BYTES = 5_242_880
FILE_CACHED_SECONDS = 3_600.0
DECODE_SECONDS = 20.0
SLOWEST, FASTEST = 0.5, 2.0
_MOST_FILES_REMEMBERED = 10_000
_FILE_FORM = "file 1"
"""Part of a file's content key: changes when the same file would be decoded into another sound."""


@dataclass(frozen=True, slots=True)
class _Choice:
    synthesizer: Synthesizer
    voice: EngineVoice


@dataclass(frozen=True, slots=True)
class _Made:
    prompt: Prompt
    note: str
    "what the trace should tell of how it was made; empty when nothing"


@dataclass(frozen=True, slots=True)
class _FetchedPrompt:
    prompt: Prompt
    fetched_at: float
    description: str


class Prompts:
    """Speech and files for every call. `start` before use, `stop` at the end.

    `synthesizers` are asked in order and default to the local engine with `workers` processes; `resolve` tells what
    voice a profile name means; `cache_bytes` bounds the folder.
    """

    def __init__(
        self,
        folder: Path,
        egress: Egress,
        clock: Clock,
        *,
        synthesizers: Sequence[Synthesizer] | None = None,
        resolve: Callable[[str], VoiceLike | None] = resolve_profile,
        workers: int = 2,
        cache_bytes: int = MOST_BYTES,
    ) -> None:
        self._egress = egress
        self._clock = clock
        self._synthesizers = [EspeakSynthesizer(workers)] if synthesizers is None else list(synthesizers)
        self._decoders = WorkerPool("decode", workers)
        self._resolve = resolve
        self._cache = PromptCache(folder, clock, cache_bytes)
        self._speaking: Shared[_Made] = Shared()
        self._fetching: Shared[_FetchedPrompt] = Shared()
        self._files: OrderedDict[tuple[str, str], _FetchedPrompt] = OrderedDict()

    async def start(self) -> None:
        """Open the cache and start the worker processes. OSError when the folder cannot be used."""
        await asyncio.to_thread(self._cache.open)
        await asyncio.gather(self._decoders.start(), *(synthesizer.start() for synthesizer in self._synthesizers))

    async def stop(self) -> None:
        """End what is under way and every worker process."""
        await self._speaking.stop()
        await self._fetching.stop()
        await asyncio.gather(self._decoders.stop(), *(synthesizer.stop() for synthesizer in self._synthesizers))

    async def speech(self, text: str, voice_profile: str, speed: float, trace: Trace) -> Prompt:
        """A text spoken by the voice `voice_profile` at `speed` (0.5 to 2.0). Raises SpeechFailed."""
        began = self._clock()
        choice = self._choose(voice_profile, speed, trace)
        if len(text) > MOST_CHARACTERS:
            raise SpeechFailed(f"The text is longer than {MOST_CHARACTERS} characters.")
        plain = sanitise(text)
        if not plain:
            raise SpeechFailed("The text holds no letter and no digit that could be spoken.")
        key = _content_key(
            choice.synthesizer.engine, choice.synthesizer.version, choice.voice.name, f"{speed:.3f}", plain
        )
        prompt = self._cache.find(key)
        made = _Made(prompt, "") if prompt else await self._spoken(key, plain, choice, speed)
        trace.add(
            self._clock(),
            "speech.cache",
            hit=prompt is not None,
            key=key[:16],
            seconds=round(made.prompt.duration_seconds, 2),
            ms=round((self._clock() - began) * 1000, 1),
            note=made.note or None,
        )
        return made.prompt

    async def file(self, sub_account_id: str, url: str, trace: Trace) -> Prompt:
        """A customer's mp3 or wav file of at most 5,242,880 bytes, kept for an hour by URL. Raises FileFailed."""
        began = self._clock()
        place = (sub_account_id, url)
        known = self._files.get(place)
        if known is not None and (began - known.fetched_at >= FILE_CACHED_SECONDS or not self._still_there(known)):
            del self._files[place]
            known = None
        fetched = known or await self._fetched(place)
        trace.add(
            self._clock(),
            "speech.file",
            hit=known is not None,
            url=url,
            form=fetched.description,
            key=fetched.prompt.key[:16],
            seconds=round(fetched.prompt.duration_seconds, 2),
            ms=round((self._clock() - began) * 1000, 1),
        )
        return fetched.prompt

    def _choose(self, voice_profile: str, speed: float, trace: Trace) -> _Choice:
        profile = self._resolve(voice_profile)
        if profile is None:
            raise SpeechFailed(f"The voice {voice_profile} is not known.")
        if not (math.isfinite(speed) and SLOWEST <= speed <= FASTEST):
            raise SpeechFailed(f"The speed {speed} is not between {SLOWEST} and {FASTEST}.")
        for synthesizer in self._synthesizers:
            voice = synthesizer.voice_for(profile)
            if voice is not None:
                trace.add(
                    self._clock(),
                    "speech.voice",
                    profile=voice_profile,
                    engine=synthesizer.engine,
                    voice=voice.name,
                    fallback=not voice.exact,
                    speed=speed,
                )
                return _Choice(synthesizer, voice)
        raise SpeechFailed(f"No speech engine here speaks {profile.locale}, the language of {voice_profile}.")

    async def _spoken(self, key: str, text: str, choice: _Choice, speed: float) -> _Made:
        async def make() -> _Made:
            spoken = await choice.synthesizer.synthesize(text, choice.voice, speed)
            try:
                prompt = await asyncio.to_thread(self._cache.store, key, spoken.pcm)
            except OSError as error:
                raise SpeechFailed(f"The spoken text could not be kept: {error.strerror}.") from error
            return _Made(prompt, "only letters and digits were spoken: the engine died of the text" * spoken.simplified)

        try:
            return await self._speaking.run(key, make)
        except Stopped:
            raise SpeechFailed("The text was not spoken: callwright is stopping.") from None
        except SpeechFailed as error:
            raise SpeechFailed(str(error)) from error  # one of its own for each caller that shares the job

    def _still_there(self, known: _FetchedPrompt) -> bool:
        return self._cache.find(known.prompt.key) is not None

    async def _fetched(self, place: tuple[str, str]) -> _FetchedPrompt:
        async def make() -> _FetchedPrompt:
            fetched = await self._fetch_and_decode(place[1])
            self._files[place] = fetched
            while len(self._files) > _MOST_FILES_REMEMBERED:
                self._files.popitem(last=False)
            return fetched

        try:
            return await self._fetching.run(place, make)
        except Stopped:
            raise FileFailed("The file was not fetched: callwright is stopping.") from None
        except FileFailed as error:
            raise FileFailed(str(error)) from error  # one of its own for each caller that shares the job

    async def _fetch_and_decode(self, url: str) -> _FetchedPrompt:
        try:
            fetched = await self._egress.fetch(url, MOST_FILE_BYTES)
        except EgressError as error:
            raise FileFailed(f"The file could not be fetched. {error}") from error
        fetched_at = self._clock()
        outcome = await self._decoders.run({}, fetched.body, DECODE_SECONDS)
        if isinstance(outcome, Died):  # perhaps of something else than this file
            outcome = await self._decoders.run({}, fetched.body, DECODE_SECONDS)
        if isinstance(outcome, Died):
            raise FileFailed(f"The file cannot be played: decoding it failed, {outcome.reason}.")
        if outcome.head.get("ok") is not True:
            raise FileFailed(f"The file cannot be played: {outcome.head.get('reason')}.")
        key = _content_key(_FILE_FORM, hashlib.sha256(fetched.body).hexdigest())
        try:
            prompt = self._cache.find(key)
            if prompt is None:
                prompt = await asyncio.to_thread(self._cache.store, key, outcome.body)
        except OSError as error:
            raise FileFailed(f"The file could not be kept: {error.strerror}.") from error
        description = "{codec} {sample_rate_hz} Hz {channels} ch".format(**outcome.head)
        return _FetchedPrompt(prompt, fetched_at, f"{description}, {len(fetched.body)} bytes")


def _content_key(*parts: str) -> str:
    """Two prompts with one key sound the same. Lengths keep parts apart."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()
