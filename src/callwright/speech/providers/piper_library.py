"""Piper inside a worker process: voice models on onnxruntime, phonemes from its own espeak-ng.

Models are read from local files and kept, the three used last; nothing is ever downloaded.
"""

from collections import OrderedDict
from pathlib import Path

import msgspec
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state
from piper.config import PiperConfig, SynthesisConfig
from piper.voice import PiperVoice

from callwright.speech.synthesizer import MOST_SECONDS

MOST_VOICES = 3
_THREADS = 2
_HIGHEST_RATE_HZ = 96_000
_ONNX_ERRORS = (
    *(state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf),
    *(state.NoSuchFile, state.NotImplemented, state.RuntimeException),
)


class PiperError(Exception):
    """The voice cannot be loaded or does not speak; the text is a clause that says what."""


class Piper:
    """The voices of one process."""

    def __init__(self) -> None:
        self._voices: OrderedDict[str, PiperVoice] = OrderedDict()

    def speak(self, text: str, path: str, speed: float) -> tuple[bytes, int]:
        """16-bit mono and its sample rate."""
        voice = self._voice(path)
        rate = voice.config.sample_rate
        scale = voice.config.length_scale / speed
        sound = bytearray()
        try:
            for chunk in voice.synthesize(text, SynthesisConfig(length_scale=scale)):
                sound += chunk.audio_int16_bytes
                if len(sound) > MOST_SECONDS * rate * 2:
                    raise PiperError("the text takes longer than 10 minutes to speak")
        except (*_ONNX_ERRORS, ValueError, IndexError, KeyError, RuntimeError) as error:
            raise PiperError(f"the voice failed: {_first_line(error)}") from error
        return bytes(sound), rate

    def _voice(self, path: str) -> PiperVoice:
        if path not in self._voices:
            self._voices[path] = _loaded(Path(path))
            while len(self._voices) > MOST_VOICES:
                self._voices.popitem(last=False)
        self._voices.move_to_end(path)
        return self._voices[path]


def _loaded(path: Path) -> PiperVoice:
    options = onnxruntime.SessionOptions()
    # By default it takes a thread, with a stack and an arena, for each core of the machine.
    options.intra_op_num_threads = _THREADS
    options.inter_op_num_threads = 1
    try:
        config = PiperConfig.from_dict(msgspec.json.decode(Path(f"{path}.json").read_bytes()))
        session = onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    except OSError as error:
        raise PiperError(f"the voice file {path.name} cannot be read: {error.strerror}") from error
    except (*_ONNX_ERRORS, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise PiperError(f"the voice file {path.name} or its .json is not Piper's: {_first_line(error)}") from error
    if not 0 < config.sample_rate <= _HIGHEST_RATE_HZ:
        raise PiperError(f"the voice file {path.name} has a sample rate of {config.sample_rate} Hz")
    return PiperVoice(session=session, config=config)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
