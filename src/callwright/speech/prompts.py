"""What can be heard: texts and files, made into prompts once and kept.

Who speaks is decided by the chain (chain.py). When an engine fails, the next one is asked; each decision with what
spoke against the others, each failure, what came from the cache and how long it took is written into the call's trace.
"""

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from callwright.audio.codecs import CODECS
from callwright.audio.g711 import ENCODINGS
from callwright.audio.prompt import Prompt
from callwright.contract.voices import resolve_profile
from callwright.egress import Egress
from callwright.errors import EgressError, FileFailed, SpeechFailed, SpeechUnavailable
from callwright.speech.cache import MOST_BYTES, PromptCache
from callwright.speech.chain import Chain, Choice
from callwright.speech.halving import halved
from callwright.speech.messages import Head
from callwright.speech.providers.espeak import EspeakSynthesizer
from callwright.speech.sharing import Shared, Stopped
from callwright.speech.synthesizer import SAMPLE_RATE_HZ, WIDE_SAMPLE_RATE_HZ, Synthesizer, VoiceLike
from callwright.speech.text import MOST_CHARACTERS, TEXTS_REMEMBERED
from callwright.speech.workers import Died, WorkerPool
from callwright.telemetry.clock import Clock
from callwright.telemetry.trace import Trace

MOST_FILE_BYTES = 5_242_880
FILE_CACHED_SECONDS = 3_600.0
DECODE_SECONDS = 20.0
ENCODE_SECONDS = 60.0
"""Ten minutes of Opus take a third of it."""
SLOWEST, FASTEST = 0.5, 2.0
_MOST_FILES_REMEMBERED = 10_000
_FILE_FORM = "file 1"
"""Part of a file's content key: changes when the same file would be decoded into another sound."""


class _EncodingFailed(Exception):
    """A worker died of a sound, or of its own accord; the text is a clause that says how."""


class _Job:
    """A text as one engine is to speak it; prepared only if that engine's turn comes."""

    def __init__(self, choice: Choice, text: str, speed: float) -> None:
        self.choice = choice
        self.speed = speed
        self.engine = choice.synthesizer.engine
        self._given = text

    @cached_property
    def text(self) -> str:
        return self.choice.synthesizer.prepared(self._given)

    @cached_property
    def key(self) -> str:
        version, voice = self.choice.synthesizer.version, self.choice.voice.name
        return _content_key(self.engine, version, voice, f"{self.speed:.3f}", self.text)


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
    voice a profile name means; `cache_bytes` bounds the folder. `wide_codecs` are made besides G.711, once for each
    prompt, for the trunks that speak them.
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
        wide_codecs: Sequence[str] = (),
    ) -> None:
        self._egress = egress
        self._clock = clock
        self._wide_codecs = tuple(wide_codecs)
        self._sample_rate_hz = WIDE_SAMPLE_RATE_HZ if wide_codecs else SAMPLE_RATE_HZ
        local = EspeakSynthesizer(workers, self._sample_rate_hz)
        self._synthesizers: list[Synthesizer] = [local] if synthesizers is None else list(synthesizers)
        self._chain = Chain(self._synthesizers, clock)
        self._decoders = WorkerPool("decode", workers)
        self._resolve = resolve
        self._cache = PromptCache(folder, clock, cache_bytes, self._wide_codecs)
        self._speaking: Shared[_Made] = Shared()
        self._fetching: Shared[_FetchedPrompt] = Shared()
        self._files: OrderedDict[tuple[str, str], _FetchedPrompt] = OrderedDict()
        self._stopped = False

    async def start(self) -> None:
        """Open the cache and start the engines. OSError when the folder cannot be used.

        What decodes files is started by the first file: many installations play none, and a process is 15 MB.
        """
        await asyncio.to_thread(self._cache.open)
        await asyncio.gather(*(synthesizer.start() for synthesizer in self._synthesizers))

    async def stop(self) -> None:
        """End what is under way and every worker process."""
        self._stopped = True
        await self._speaking.stop()
        await self._fetching.stop()
        await asyncio.gather(self._decoders.stop(), *(synthesizer.stop() for synthesizer in self._synthesizers))

    def widen(self, codecs: Sequence[str]) -> None:
        """From now on every prompt is made in these codecs, too; one that lacks them is made anew when it is wanted."""
        wide = tuple(codec for codec in CODECS if codec in {*self._wide_codecs, *codecs} - set(ENCODINGS))
        if wide == self._wide_codecs:
            return
        self._wide_codecs, self._sample_rate_hz = wide, WIDE_SAMPLE_RATE_HZ
        self._cache.need(wide)
        for synthesizer in self._synthesizers:
            synthesizer.widen()

    async def speech(self, text: str, voice_profile: str, speed: float, trace: Trace) -> Prompt:
        """A text spoken by the voice `voice_profile` at `speed` (0.5 to 2.0). Raises SpeechFailed."""
        profile = self._resolve(voice_profile)
        if profile is None:
            raise SpeechFailed(f"The voice {voice_profile} is not known.")
        if not (math.isfinite(speed) and SLOWEST <= speed <= FASTEST):
            raise SpeechFailed(f"The speed {speed} is not between {SLOWEST} and {FASTEST}.")
        if len(text) > MOST_CHARACTERS:
            raise SpeechFailed(f"The text is longer than {MOST_CHARACTERS} characters.")
        if not any(character.isalnum() for character in text):
            raise SpeechFailed("The text holds no letter and no digit that could be spoken.")
        choices = self._chain.choices(profile)
        if not choices:
            raise SpeechFailed(f"No speech engine here speaks {profile.locale}, the language of {voice_profile}.")
        jobs = [_Job(choice, text, speed) for choice in choices]
        against = self._chain.objections(profile, choices)
        resting: set[str] = set()
        for job in jobs:
            why = self._chain.why_resting(job.engine)
            # What is there already needs no engine, so a resting one's voice is still heard.
            if why is not None and self._cache.find(job.key) is None:
                against[job.engine] = why
                resting.add(job.engine)
        jobs.sort(key=lambda job: job.engine in resting)
        for job in jobs:
            against.pop(job.engine, None)
            self._tell_choice(trace, voice_profile, job, against)
            try:
                return await self._said(job, trace)
            except SpeechFailed as error:
                trace.add(
                    self._clock(), "speech.failed", engine=job.engine, voice=job.choice.voice.name, reason=str(error)
                )
                if self._stopped or len(jobs) == 1:
                    raise
                against[job.engine] = str(error)
        raise SpeechFailed("Nobody could speak the text: " + " ".join(against[job.engine] for job in jobs))

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

    def _tell_choice(self, trace: Trace, voice_profile: str, job: _Job, against: Mapping[str, str]) -> None:
        skipped = "; ".join(f"{engine}: {why}" for engine, why in against.items())
        trace.add(
            self._clock(),
            "speech.voice",
            profile=voice_profile,
            engine=job.engine,
            voice=job.choice.voice.name,
            fallback=not job.choice.voice.exact,
            speed=job.speed,
            key=job.key[:16],
            **({"skipped": skipped} if skipped else {}),
        )

    async def _said(self, job: _Job, trace: Trace) -> Prompt:
        """From the cache, or made now. Raises SpeechFailed."""
        began = self._clock()
        prompt = self._cache.find(job.key)
        made = _Made(prompt, "") if prompt else await self._spoken(job)
        trace.add(
            self._clock(),
            "speech.cache",
            hit=prompt is not None,
            key=job.key[:16],
            seconds=round(made.prompt.duration_seconds, 2),
            ms=round((self._clock() - began) * 1000, 1),
            note=made.note or None,
        )
        return made.prompt

    async def _spoken(self, job: _Job) -> _Made:
        async def make() -> _Made:
            if not job.text:
                raise SpeechFailed("The text holds no letter and no digit that could be spoken.")
            try:
                spoken = await job.choice.synthesizer.synthesize(job.text, job.choice.voice, job.speed)
            except SpeechUnavailable:
                self._chain.let_rest(job.engine)
                raise
            try:
                prompt = await self._keep(job.key, spoken.pcm, spoken.sample_rate_hz)
            except OSError as error:
                raise SpeechFailed(f"The spoken text could not be kept: {error.strerror}.") from error
            except _EncodingFailed as error:
                raise SpeechFailed(f"The spoken text could not be encoded: {error}.") from error
            return _Made(prompt, "only letters and digits were spoken: the engine died of the text" * spoken.simplified)

        try:
            made = await self._speaking.run(job.key, make)
            while self._lacks_forms(made.prompt):  # another codec came while it was made
                made = await self._speaking.run(job.key, make)
        except Stopped:
            raise SpeechFailed("The text was not spoken: callwright is stopping.") from None
        except SpeechFailed as error:
            raise SpeechFailed(str(error)) from error  # one of its own for each caller that shares the job
        return made

    async def _keep(self, key: str, pcm: bytes, sample_rate_hz: int) -> Prompt:
        """Encode a sound for every trunk and keep it. OSError, _EncodingFailed."""
        wide = {codec: await self._encoded(codec, pcm, sample_rate_hz) for codec in self._wide_codecs}
        return await asyncio.to_thread(self._store, key, pcm, sample_rate_hz, wide)

    def _store(self, key: str, pcm: bytes, sample_rate_hz: int, wide: Mapping[str, bytes]) -> Prompt:
        return self._cache.store(key, pcm if sample_rate_hz == SAMPLE_RATE_HZ else halved(pcm), wide)

    async def _encoded(self, codec: str, pcm: bytes, sample_rate_hz: int) -> bytes:
        head: Head = {"codec": codec, "sample_rate_hz": sample_rate_hz}
        outcome = await self._decoders.run(head, pcm, ENCODE_SECONDS)
        if isinstance(outcome, Died):
            raise _EncodingFailed(f"{codec}: {outcome.reason}")
        return outcome.body

    def _lacks_forms(self, prompt: Prompt) -> bool:
        return not prompt.paths.keys() >= set(self._wide_codecs)

    def _still_there(self, known: _FetchedPrompt) -> bool:
        return not self._lacks_forms(known.prompt) and self._cache.find(known.prompt.key) is not None

    async def _fetched(self, place: tuple[str, str]) -> _FetchedPrompt:
        async def make() -> _FetchedPrompt:
            fetched = await self._fetch_and_decode(place[1])
            self._files[place] = fetched
            while len(self._files) > _MOST_FILES_REMEMBERED:
                self._files.popitem(last=False)
            return fetched

        try:
            fetched = await self._fetching.run(place, make)
            while self._lacks_forms(fetched.prompt):
                fetched = await self._fetching.run(place, make)
        except Stopped:
            raise FileFailed("The file was not fetched: callwright is stopping.") from None
        except FileFailed as error:
            raise FileFailed(str(error)) from error  # one of its own for each caller that shares the job
        return fetched

    async def _fetch_and_decode(self, url: str) -> _FetchedPrompt:
        try:
            fetched = await self._egress.fetch(url, MOST_FILE_BYTES)
        except EgressError as error:
            raise FileFailed(f"The file could not be fetched. {error}") from error
        fetched_at = self._clock()
        rate = self._sample_rate_hz
        form: Head = {"sample_rate_hz": rate}
        outcome = await self._decoders.run(form, fetched.body, DECODE_SECONDS)
        if isinstance(outcome, Died):  # perhaps of something else than this file
            outcome = await self._decoders.run(form, fetched.body, DECODE_SECONDS)
        if isinstance(outcome, Died):
            raise FileFailed(f"The file cannot be played: decoding it failed, {outcome.reason}.")
        if outcome.head.get("ok") is not True:
            raise FileFailed(f"The file cannot be played: {outcome.head.get('reason')}.")
        key = _content_key(_FILE_FORM, hashlib.sha256(fetched.body).hexdigest())
        try:
            prompt = self._cache.find(key)
            if prompt is None:
                prompt = await self._keep(key, outcome.body, rate)
        except OSError as error:
            raise FileFailed(f"The file could not be kept: {error.strerror}.") from error
        except _EncodingFailed as error:
            raise FileFailed(f"The file cannot be played: encoding it failed, {error}.") from error
        description = "{codec} {sample_rate_hz} Hz {channels} ch".format(**outcome.head)
        return _FetchedPrompt(prompt, fetched_at, f"{description}, {len(fetched.body)} bytes")


@lru_cache(maxsize=TEXTS_REMEMBERED)
def _content_key(*parts: str) -> str:
    """Two prompts with one key sound the same. Lengths keep parts apart."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()
