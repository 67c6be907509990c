"""libespeak-ng by ctypes. Runs inside worker processes only: the library is not thread-safe and dies of some texts."""

import ctypes

import espeakng_loader

from callwright.speech.synthesizer import MOST_SECONDS

# speak_lib.h of espeak-ng 1.52
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_POS_CHARACTER = 1
_RATE = 1
_EE_OK = 0
_LONGEST_DATA_PATH = 140

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class EspeakError(Exception):
    """The library refused; the text is a clause that says what."""


class Espeak:
    """The library, initialised once per process."""

    def __init__(self) -> None:
        data_path = espeakng_loader.get_data_path()
        if len(data_path) > _LONGEST_DATA_PATH:
            raise EspeakError(f"espeak-ng's data lies at a path longer than {_LONGEST_DATA_PATH} characters")
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.sample_rate_hz: int = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path.encode(), _INITIALIZE_DONT_EXIT
        )
        if self.sample_rate_hz <= 0:
            raise EspeakError("espeak-ng could not be initialised")
        # Once only: listing or choosing by name again and again overflows the library's voice table.
        self._library.espeak_ListVoices(None)
        self._pcm = bytearray()
        self._most_bytes = MOST_SECONDS * self.sample_rate_hz * 2
        self._callback = _Callback(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)
        self._voice: str | None = None

    def speak(self, text: str, voice: str, words_per_minute: int) -> bytes:
        """16-bit mono at `sample_rate_hz`."""
        if voice != self._voice:
            self._voice = None
            if self._library.espeak_SetVoiceByName(voice.encode()) != _EE_OK:
                raise EspeakError(f"espeak-ng has no voice {voice}")
            self._voice = voice
        if self._library.espeak_SetParameter(_RATE, words_per_minute, 0) != _EE_OK:
            raise EspeakError(f"espeak-ng does not speak {words_per_minute} words a minute")
        self._pcm.clear()
        encoded = text.encode() + b"\0"
        status = self._library.espeak_Synth(
            encoded, ctypes.c_size_t(len(encoded)), 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
        )
        if len(self._pcm) > self._most_bytes:
            raise EspeakError("the text takes longer than 10 minutes to speak")
        if status != _EE_OK:
            raise EspeakError(f"espeak-ng failed with status {status}")
        return bytes(self._pcm)

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int | None) -> int:
        """Called by the library for each piece of sound; 1 makes it stop."""
        if count > 0:
            self._pcm += ctypes.string_at(samples, count * 2)
        return int(len(self._pcm) > self._most_bytes)
