"""Which `voiceProfile` and `language` values exist, and what they mean: locale, gender, naming family (contract §10).

The API's full voice list is not public, so a name is accepted when it is

1. in the catalogue (`voice_table.py`);
2. the short form of a catalogued neural voice (`en-US-Jenny`), or generic (`generic-en-male`);
3. of an unmistakable naming pattern (§10.3) in a known locale: `…Neural`, `…RUS`, `…-Apollo`, or Google's
   `…-Standard-A`. A bare `{locale}-{Name}` outside the catalogue is refused: the lists of such names are closed, and a
   misspelt name should be heard of before the call, not in it.

Everything else, another spelling of the case included, is unknown: `None`, which becomes -1002.

Gender of a voice known only by its pattern: Google's by its letter (B, D, I, J and O are men), any other is a woman's.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypedDict

from callwright.contract.voice_table import DEFAULT_LOCALES, LOCALES, Locale

Family = Literal["azure-neural", "azure-legacy", "google", "polly", "short", "generic"]
Gender = Literal["F", "M"]

LONGEST_PROFILE = 50
_GOOGLE_MEN = frozenset("BDIJO")
_PATTERN = re.compile(
    r"(?P<locale>[a-z]{2,3}-[A-Z]{2})-"
    r"(?:(?P<neural>[A-Z][A-Za-z]*Neural)|(?P<legacy>[A-Z][A-Za-z]*(?:RUS|-Apollo))"
    r"|(?:Standard|Wavenet|Neural2|News|Studio|Polyglot|Casual|Journey)-(?P<letter>[A-Z]))"
)
_GENERIC = re.compile(r"generic-(?P<language>[a-z]{2,3}(?:-[A-Z]{2})?)-(?P<gender>male|female)")


@dataclass(frozen=True, slots=True)
class VoiceProfile:
    """What a voice name means to us."""

    code: str
    "the name as the customer writes it: `speechProfileCode`"
    locale: str
    "language and country, such as en-IE; always one of the catalogue's locales"
    gender: Gender
    family: Family
    "whose naming it is, which tells a speech provider whether the name is one of its own"


class SpeechProfile(TypedDict):
    """One entry of the profile list, in its wire form (§10.1)."""

    speechProfileCode: str
    localeCode: str
    localeDescription: str
    gender: Gender


def resolve_profile(code: str) -> VoiceProfile | None:
    """What the voice called `code` is; `None` if there is none (-1002)."""
    known = _CATALOGUE.get(code) or _SHORT_FORMS.get(code)
    if known or len(code) > LONGEST_PROFILE:
        return known
    if found := _PATTERN.fullmatch(code):
        if found["locale"] not in _LOCALES:
            return None
        if letter := found["letter"]:
            return VoiceProfile(code, found["locale"], "M" if letter in _GOOGLE_MEN else "F", "google")
        return VoiceProfile(code, found["locale"], "F", "azure-neural" if found["neural"] else "azure-legacy")
    if (found := _GENERIC.fullmatch(code)) and (locale := locale_of(found["language"])):
        return VoiceProfile(code, locale, "M" if found["gender"] == "male" else "F", "generic")
    return None


def resolve_language(language: str) -> VoiceProfile | None:
    """The voice for a language given without one: `en-US`, or `en` for its usual locale; `None` if unknown (-1002)."""
    locale = locale_of(language)
    return _FIRST_VOICES[locale] if locale else None


def catalogued_voice(locale: str, gender: Gender, family: Family) -> VoiceProfile | None:
    """The first voice of a family in a locale's row that has this gender; `None` if there is none."""
    voices = (voice for voice in _CATALOGUE.values() if voice.locale == locale and voice.family == family)
    return next((voice for voice in voices if voice.gender == gender), None)


def locale_of(language: str) -> str | None:
    """The catalogue's locale for `en-US` or the bare `en`; `None` if unknown."""
    return language if language in _LOCALES else _BARE_LANGUAGES.get(language)


def speech_profiles() -> list[SpeechProfile]:
    """The catalogue as the API lists it (§10.1), by locale, each name once."""
    return [
        {
            "speechProfileCode": voice.code,
            "localeCode": voice.locale,
            "localeDescription": _LOCALES[voice.locale].description,
            "gender": voice.gender,
        }
        for voice in _CATALOGUE.values()
    ]


def _voices(row: Locale) -> Iterator[VoiceProfile]:
    families: tuple[tuple[Family, str, str], ...] = (
        ("azure-neural", row.neural, "Neural"),
        ("azure-legacy", row.legacy, ""),
        ("google", row.google, ""),
        ("polly", row.polly, ""),
    )
    for family, names, suffix in families:
        for marked in names.split():
            name = marked.removesuffix("*")
            yield VoiceProfile(f"{row.code}-{name}{suffix}", row.code, "M" if marked.endswith("*") else "F", family)


def _short_forms() -> dict[str, VoiceProfile]:
    short: dict[str, VoiceProfile] = {}
    for voice in _CATALOGUE.values():
        if voice.family == "azure-neural":
            code = voice.code.removesuffix("Neural")
            short[code] = VoiceProfile(code, voice.locale, voice.gender, "short")
    return short


_LOCALES = {row.code: row for row in LOCALES}
_CATALOGUE = {voice.code: voice for row in LOCALES for voice in _voices(row)}
_SHORT_FORMS = _short_forms()
_FIRST_VOICES = {row.code: next(_voices(row)) for row in LOCALES}
_BARE_LANGUAGES = {code.partition("-")[0]: code for code in _LOCALES} | DEFAULT_LOCALES
