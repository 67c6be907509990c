"""A worker process: `python -m callwright.speech.worker ROLE`, one job at a time over its standard streams.

It holds no secrets (its environment is emptied by who starts it), opens no network connection, and has limits on memory
and processor time, because hostile text and files may kill it or take it over. A decoding worker cannot open anything
at all once it is ready: files, sockets and pipes beyond those it has are over its limit. At the end of its input it
ends.
"""

import os
import resource
import sys
from collections.abc import Callable
from typing import BinaryIO

from callwright.speech import messages
from callwright.speech.synthesizer import SAMPLE_RATE_HZ, WIDE_SAMPLE_RATE_HZ

MEMORY_BYTES = 768 * 1024 * 1024
PIPER_MEMORY_BYTES = 2048 * 1024 * 1024
"""Address space, not memory in use: onnxruntime reserves far more than it touches."""

JOB_CPU_SECONDS = 15
ENCODING_CPU_SECONDS = 60
"""Ten minutes of Opus take 16."""
PIPER_JOB_CPU_SECONDS = 60
_SPEAK_OPEN_FILES = 24

Job = Callable[[messages.Head, bytes], tuple[messages.Head, bytes]]


def main(role: str) -> None:
    """Serve jobs until the input ends."""
    # Whatever a library prints must not end up among the answers.
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_AS, PIPER_MEMORY_BYTES if role == "piper" else MEMORY_BYTES)
    job = {"speak": _speaking, "piper": _speaking_with_piper, "decode": _decoding}[role]()
    _limit(resource.RLIMIT_NOFILE, answers.fileno() + 1 if role == "decode" else _SPEAK_OPEN_FILES)
    _answer(answers, {"ready": True}, b"")
    while (message := messages.read(jobs)) is not None:
        _grant_cpu_seconds(_cpu_seconds(role, message[0]))
        _answer(answers, *job(*message))


def _cpu_seconds(role: str, head: messages.Head) -> int:
    if role == "piper":
        return PIPER_JOB_CPU_SECONDS
    return ENCODING_CPU_SECONDS if "codec" in head else JOB_CPU_SECONDS


def _speaking() -> Job:
    from callwright.speech.providers.espeak_library import Espeak, EspeakError
    from callwright.speech.sound import TooLong, downsampled

    espeak = Espeak()

    def speak(head: messages.Head, body: bytes) -> tuple[messages.Head, bytes]:
        try:
            sound = espeak.speak(body.decode(), str(head["voice"]), int(head["words_per_minute"]))
            return {"ok": True}, downsampled(sound, espeak.sample_rate_hz, _rate_of(head))
        except EspeakError as error:
            return {"ok": False, "reason": str(error)}, b""
        except TooLong:
            return {"ok": False, "reason": "the text takes longer than 10 minutes to speak"}, b""
        except MemoryError:
            return {"ok": False, "reason": "it needs too much memory"}, b""

    # The first resampling loads what the rest needs.
    downsampled(bytes(4_410), espeak.sample_rate_hz)
    return speak


def _speaking_with_piper() -> Job:
    from callwright.speech.providers.piper_library import Piper, PiperError
    from callwright.speech.sound import TooLong, downsampled

    piper = Piper()

    def speak(head: messages.Head, body: bytes) -> tuple[messages.Head, bytes]:
        try:
            sound, sample_rate_hz = piper.speak(body.decode(), str(head["voice"]), float(head["speed"]))
            return {"ok": True}, downsampled(sound, sample_rate_hz, _rate_of(head))
        except PiperError as error:
            return {"ok": False, "reason": str(error)}, b""
        except TooLong:
            return {"ok": False, "reason": "the text takes longer than 10 minutes to speak"}, b""
        except MemoryError:
            return {"ok": False, "reason": "it needs too much memory"}, b""

    downsampled(bytes(4_410), 22_050)
    return speak


def _decoding() -> Job:
    import av.logging

    from callwright.audio.codecs import CODECS
    from callwright.audio.coding import encoded
    from callwright.speech.decode import Undecodable, decode

    av.logging.set_level(None)
    # Everything that is loaded on first use is loaded now, before the process may open nothing more.
    for warm in (_smallest_wav(), b"ID3" + bytes(100)):
        try:
            decode(warm)
        except Undecodable:
            continue

    for codec in CODECS:
        encoded(codec, bytes(3_200), WIDE_SAMPLE_RATE_HZ)

    def undo(head: messages.Head, body: bytes) -> tuple[messages.Head, bytes]:
        sample_rate_hz = _rate_of(head)
        if "codec" in head:
            return {"ok": True}, encoded(str(head["codec"]), body, sample_rate_hz)
        try:
            decoded = decode(body, sample_rate_hz)
        except Undecodable as error:
            return {"ok": False, "reason": str(error)}, b""
        except MemoryError:
            return {"ok": False, "reason": "it needs too much memory"}, b""
        answer: messages.Head = {
            "ok": True,
            "codec": decoded.codec,
            "sample_rate_hz": decoded.sample_rate_hz,
            "channels": decoded.channels,
            "bad_packets": decoded.bad_packets,
        }
        return answer, decoded.pcm

    return undo


def _rate_of(head: messages.Head) -> int:
    """What the sound is to have, or has."""
    return int(head.get("sample_rate_hz", SAMPLE_RATE_HZ))


def _smallest_wav() -> bytes:
    rate = 16_000
    form = b"fmt \x10\0\0\0\x01\0\x01\0" + rate.to_bytes(4, "little") + (2 * rate).to_bytes(4, "little") + b"\2\0\x10\0"
    data = b"data" + (640).to_bytes(4, "little") + bytes(640)
    return b"RIFF" + (4 + len(form) + len(data)).to_bytes(4, "little") + b"WAVE" + form + data


def _answer(answers: BinaryIO, head: messages.Head, body: bytes) -> None:
    answers.write(messages.serialize(head, body))
    answers.flush()


def _limit(what: int, most: int) -> None:
    """Lower a limit for good; one that is already lower stays."""
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def _grant_cpu_seconds(seconds: int) -> None:
    """From now on this many seconds of processor time; the limit counts from the start of the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    until = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until if hard == resource.RLIM_INFINITY else min(until, hard), hard))


if __name__ == "__main__":
    main(sys.argv[1])
