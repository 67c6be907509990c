"""G.711: 16-bit linear samples to A-law and µ-law codes and back, by table (ITU-T G.711 tables 1 and 2).

The encoding tables hold one code for each of the 65,536 samples. Negative samples are taken by their one's complement
before the magnitude is cut to 13 (A-law) or 14 bits (µ-law), so that both halves of the curve are mirror images.
A-law codes carry the even-bit inversion of the line (XOR 0x55), µ-law codes are inverted as a whole.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Codes = NDArray[np.uint8]

SAMPLE_RATE: Final = 8000
FRAME_SAMPLES: Final = 160
"""20 ms, and as many bytes once encoded."""
ENCODINGS: Final = ("PCMU", "PCMA")
"""RTP encoding names (RFC 3551 §4.5.14)."""


def _ulaw_codes(samples: NDArray[np.int32]) -> Codes:
    magnitude = np.where(samples < 0, ~samples, samples) >> 2
    biased = np.minimum(magnitude + 33, 0x1FFF)
    segment = np.floor(np.log2(biased)).astype(np.int32) - 5
    code = segment << 4 | (biased >> (segment + 1)) & 0x0F
    codes: Codes = (~np.where(samples < 0, code | 0x80, code) & 0xFF).astype(np.uint8)
    return codes


def _alaw_codes(samples: NDArray[np.int32]) -> Codes:
    magnitude = np.where(samples < 0, ~samples, samples) >> 4
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 3, 0)
    # Segments 0 and 1 have the same step.
    code = segment << 4 | (magnitude >> np.maximum(segment - 1, 0)) & 0x0F
    codes: Codes = (np.where(samples < 0, code, code | 0x80) ^ 0x55).astype(np.uint8)
    return codes


def _ulaw_samples(codes: NDArray[np.int32]) -> Samples:
    plain = ~codes & 0xFF
    magnitude = ((((plain & 0x0F) << 1) + 33) << (plain >> 4 & 7)) - 33
    return (np.where(plain & 0x80, -magnitude, magnitude) << 2).astype(np.int16)


def _alaw_samples(codes: NDArray[np.int32]) -> Samples:
    plain = codes ^ 0x55
    segment = plain >> 4 & 7
    mantissa = ((plain & 0x0F) << 1) + 1
    magnitude = np.where(segment == 0, mantissa, (mantissa + 32) << np.maximum(segment - 1, 0))
    return (np.where(plain & 0x80, magnitude, -magnitude) << 3).astype(np.int16)


# Indexed by the sample's 16 bits read as unsigned.
_EVERY_SAMPLE: Final = np.arange(1 << 16).astype(np.uint16).view(np.int16).astype(np.int32)
_EVERY_CODE: Final = np.arange(256, dtype=np.int32)
_ENCODE: Final = {"PCMU": _ulaw_codes(_EVERY_SAMPLE), "PCMA": _alaw_codes(_EVERY_SAMPLE)}
_DECODE: Final = {"PCMU": _ulaw_samples(_EVERY_CODE), "PCMA": _alaw_samples(_EVERY_CODE)}

SILENCE: Final = {encoding: int(table[0]) for encoding, table in _ENCODE.items()}
"""Encoding name → the code of a zero sample (0xFF, 0xD5)."""


TRANSCODE: Final = {
    (heard, sent): _ENCODE[sent][_DECODE[heard].view(np.uint16)].tobytes()
    for heard in ENCODINGS
    for sent in ENCODINGS
    if heard != sent
}
"""(encoding heard, encoding sent) → one code for each code, as `bytes.translate` takes it."""


def encode(encoding: str, samples: Samples) -> bytes:
    """One code per sample; `KeyError` for an encoding that is not G.711."""
    return _ENCODE[encoding][samples.view(np.uint16)].tobytes()


def decode(encoding: str, codes: bytes) -> Samples:
    """One sample per code, at most ±32,124 (PCMU) or ±32,256 (PCMA); `KeyError` for an encoding that is not G.711."""
    return _DECODE[encoding][np.frombuffer(codes, dtype=np.uint8)]


def whole_frames(encoding: str, codes: bytes) -> bytes:
    """The codes filled up with silence to a whole number of 20 ms frames."""
    return codes + bytes([SILENCE[encoding]]) * (-len(codes) % FRAME_SAMPLES)
