"""Whose voice may stand in for whose: the language must be the same, the country preferably. Pure."""

from callwright.contract.voice_table import DEFAULT_LOCALES, LOCALES

# Written alike, spoken differently: nobody who asks for Cantonese gets Mandarin.
_SPOKEN_APART = {"zh-HK": "yue"}


def language_of(locale: str) -> str:
    """What must agree: `en` for en-IE."""
    return _SPOKEN_APART.get(locale, locale.partition("-")[0])


def locales_like(locale: str) -> list[str]:
    """The locale itself, the usual one of its language, then the language's others."""
    language = language_of(locale)
    others = (row.code for row in LOCALES if language_of(row.code) == language)
    usual = DEFAULT_LOCALES.get(language)
    return list(dict.fromkeys((locale, *((usual,) if usual else ()), *others)))
