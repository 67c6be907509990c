"""A prompt: something that can be heard, decoded and encoded once, shared by every call that plays it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prompt:
    """Raw encoded audio on disk, one file per codec, whole 20 ms frames each, never changed once written."""

    key: str
    "content key: two prompts with one key sound the same"
    duration_seconds: float
    paths: Mapping[str, str]
    "RTP encoding name → file of payload bytes, frames of 20 ms of the size that codecs.py tells"
