"""What of a customer's text is spoken.

Text is always plain: nothing in it is markup, and nothing in it may end the synthesizer, which dies of some short
strings. Kept are letters with their marks, digits and simple punctuation; runs, overlong words and chains of
apostrophes are cut down. Pure functions.
"""

import re
import unicodedata
from functools import lru_cache

MOST_CHARACTERS = 3_000
TEXTS_REMEMBERED = 256
"""The same message is said to many."""
LONGEST_WORD = 40
LONGEST_RUN = 3
MOST_MARKS = 2
MOST_APOSTROPHES = 2

_PAUSES = ".,!?:;。、，！？：；।؟،"
_SYMBOLS = "%&+@#=/€$£¥"
_PUNCTUATION = frozenset(_PAUSES + _SYMBOLS)
_ALIKE = str.maketrans(dict.fromkeys("’ʼ＇‘", "'") | dict.fromkeys("‐‑−", "-"))
_LETTER_RUN = re.compile(r"([^\W\d_])\1{3,}")
_PUNCTUATION_RUN = re.compile(f"[{_PAUSES}]{{2,}}|[{_SYMBOLS}]{{2,}}")
_MARKS = re.compile(f"([\u0300-\u036f]{{{MOST_MARKS}}})[\u0300-\u036f]+")
_SPACES = re.compile(r"\s+")


@lru_cache(maxsize=TEXTS_REMEMBERED)
def sanitise(text: str) -> str:
    """The text as it may be given to a synthesizer; empty when nothing in it can be spoken."""
    plain = unicodedata.normalize("NFC", text).translate(_ALIKE)
    plain = "".join(character if _is_kept(character) else " " for character in plain)
    plain = _MARKS.sub(r"\1", plain)
    plain = _LETTER_RUN.sub(lambda run: run[1] * LONGEST_RUN, plain)
    plain = _PUNCTUATION_RUN.sub(lambda run: run[0][0], plain)
    words: list[str] = []
    for word in plain.split():
        pause_again = word in _PAUSES and (not words or words[-1][-1] in _PAUSES)
        if not pause_again:
            words += _plain_words(word)
    spoken = " ".join(words)
    return spoken if any(character.isalnum() for character in spoken) else ""


def letters_and_digits(text: str) -> str:
    """The text without any punctuation: the second attempt, after the synthesizer died of the first."""
    kept = (character if unicodedata.category(character)[0] in "LMN" else " " for character in sanitise(text))
    return _SPACES.sub(" ", "".join(kept)).strip()


def _is_kept(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd" or character in _PUNCTUATION or character in "'-"


def _plain_words(word: str) -> list[str]:
    """A word with apostrophes only inside it and few of them, hyphens only before a letter or digit, each ≤ 40 long."""
    kept: list[str] = []
    apostrophes = 0
    for position, character in enumerate(word):
        following = word[position + 1 : position + 2]
        if character == "'":
            apostrophes += 1
            inside = bool(kept) and kept[-1].isalpha() and following.isalpha()
            kept.append(character if inside and apostrophes <= MOST_APOSTROPHES else " ")
        elif character == "-":
            joins = following.isalnum() and (kept[-1].isalnum() if kept else following.isdigit())
            kept.append(character if joins else " ")
        else:
            kept.append(character)
    return [
        part[start : start + LONGEST_WORD]
        for part in "".join(kept).split()
        for start in range(0, len(part), LONGEST_WORD)
    ]


def readable(text: str) -> str:
    """The text as a speech service may be given it: everything but what cannot be read or what XML cannot hold.

    Control and format characters go, but the two joiners that scripts like Persian and Hindi need; punctuation, which
    tells a good voice how to speak, stays. Empty when nothing can be spoken.
    """
    plain = "".join(character if _is_readable(character) else " " for character in unicodedata.normalize("NFC", text))
    plain = _SPACES.sub(" ", plain).strip()
    return plain if any(character.isalnum() for character in plain) else ""


def _is_readable(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] != "C" or character in "\u200c\u200d"
