"""A long text in pieces that a speech service takes, cut where a reader would pause. Pure."""

import re
import unicodedata
from collections.abc import Callable

# Best first: after a sentence, after a clause, between words.
_BORDERS = (
    re.compile(r"[.!?…؟।]+[\"'’”)\]]*\s+|[。！？]+"),
    re.compile(r"[,;:،؛]\s+|[、，；：]"),
    re.compile(r"\s+"),
)
_LEAST_SHARE = 4
"""A border in the first quarter of a piece is not worth a request of its own while a lesser one comes later."""


def pieces(text: str, most: int, weigh: Callable[[str], int]) -> list[str]:
    """The text in order, each piece at most `most` heavy by the sum of its characters' weights.

    A single character is at most `most` heavy. Nothing but white space at the cuts is lost.
    """
    found: list[str] = []
    rest = text.strip()
    while rest:
        end = _fitting(rest, most, weigh)
        if end < len(rest):
            end = _border(rest, end)
        found.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return found


def _fitting(text: str, most: int, weigh: Callable[[str], int]) -> int:
    weight = 0
    for position, character in enumerate(text):
        weight += weigh(character)
        if weight > most:
            return max(position, 1)
    return len(text)


def _border(text: str, end: int) -> int:
    """The best place to cut at or before `end`."""
    for pattern in _BORDERS:
        # White space that follows the piece costs nothing, so the border may reach one character past its end.
        last = max((found.end() for found in pattern.finditer(text, 0, end + 1)), default=0)
        if last * _LEAST_SHARE >= end:
            return min(last, end) if not text[end:last].isspace() else last
    while end > 1 and unicodedata.category(text[end])[0] == "M":  # marks stay with their letter
        end -= 1
    return end
