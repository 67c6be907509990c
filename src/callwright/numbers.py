"""Telephone numbers: which text is one, whose country it is, how it is shown in logs, and where calls may go.

Inside callwright a number ("msisdn") is always E.164 text with a leading `+`. Whether a number is *assigned* is not
judged: numbering plans change faster than their published tables, and the API's own example, +6512345678, is in none.

The numbering plan of a country is read from disk when its first number comes (below 1 ms, but some 6 ms for the
twenty-five countries behind +1); `warm` reads them all, in about 50 ms.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
    format_number,
    format_out_of_country_calling_number,
    is_emergency_number,
    is_possible_number_with_reason,
    is_valid_short_number_for_region,
    national_significant_number,
    number_type,
    region_code_for_number,
)

NUMBERS_REMEMBERED = 4_096
"""One call asks for its two numbers several times: at the door, before it is dialled, in its summary."""
_MSISDN = re.compile(r"\+?([1-9][0-9]{6,14})")
_NOT_A_COUNTRY = "001"
_NOT_POSSIBLE = {
    ValidationResult.INVALID_COUNTRY_CODE,
    ValidationResult.TOO_SHORT,
    ValidationResult.TOO_LONG,
    ValidationResult.INVALID_LENGTH,
}
_COSTLY_KINDS = {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST}
_GLOBAL_CALLING_CODES = {870, 881, 882, 883, 979}
"Inmarsat, satellite phones, international networks (two) and international premium rate"


def parse_msisdn(text: str) -> str | None:
    """`text` as E.164 with `+`, or `None` if it is no possible number.

    Seven to fifteen ASCII digits after an optional `+`, nothing else, of an existing country calling code, in a length
    that country uses. A trunk prefix (+44 0…) is not cut out: such a text is no number of E.164.
    """
    found = _MSISDN.fullmatch(text)
    return "+" + found[1] if found and _is_possible(found[1]) else None


def national_form(msisdn: str, country: str) -> str:
    """The number as it is dialled in `country` (two letters), digits only: `02071234567`, `0044…` from abroad.

    Text that is no number comes back without its `+`.
    """
    found = _MSISDN.fullmatch(msisdn)
    if not found:
        return msisdn.removeprefix("+")
    dialled = format_out_of_country_calling_number(_number(found[1]), country)
    if country_code(msisdn) == country:
        dialled = format_number(_number(found[1]), PhoneNumberFormat.NATIONAL)
    digits = "".join(character for character in dialled if character.isdigit())
    # A country with several international prefixes has none that everybody dials.
    return f"00{digits}" if dialled.startswith("+") else digits


def country_code(msisdn: str) -> str | None:
    """ISO 3166-1 alpha-2 code of the number's country, by its calling code if it is in no numbering plan.

    `None` for numbers that belong to no country (+800, +870 …) and for text that is no number.
    """
    found = _MSISDN.fullmatch(msisdn)
    if not found:
        return None
    return _country(found[1])


def masked(msisdn: str) -> str:
    """The number as logs may show it: `+65••••5678`; of short numbers only two digits stay, of other text nothing."""
    found = _MSISDN.fullmatch(msisdn)
    if not found:
        return "••••"
    calling_code, national = _split(found[1])
    return f"+{calling_code}••••{national[-4:] if len(national) > 6 else national[-2:]}"


def destination_allowed(msisdn: str, allowed_prefixes: Sequence[str]) -> bool:
    """Whether a call may go to `msisdn`: some entry of `allowed_prefixes` is its beginning. None listed, none allowed.

    Entries are written with or without `+`; `*` or a lone `+` stands for every number. Numbers that cost or endanger
    (premium and shared-cost numbers, +870, +881, +882, +883, +979, short and emergency numbers, numbers too short to be
    dialled from abroad) are blocked whatever prefix is listed, unless an entry is that number in full.
    """
    number = parse_msisdn(msisdn)
    if number is None:
        return False
    entries = ["+" if entry == "*" else "+" + entry.removeprefix("+") for entry in allowed_prefixes if entry]
    if number in entries:
        return True
    return number.startswith(tuple(entries)) and not _always_blocked(_number(number[1:]))


def warm() -> None:
    """Read the numbering plans of all countries now, so that no call pays for it."""
    PhoneMetadata.load_all()


@lru_cache(maxsize=NUMBERS_REMEMBERED)
def _is_possible(digits: str) -> bool:
    return is_possible_number_with_reason(_number(digits)) not in _NOT_POSSIBLE


@lru_cache(maxsize=NUMBERS_REMEMBERED)
def _country(digits: str) -> str | None:
    region = _region(_number(digits))
    return None if region == _NOT_A_COUNTRY else region


def _always_blocked(number: PhoneNumber) -> bool:
    if number.country_code in _GLOBAL_CALLING_CODES or number_type(number) in _COSTLY_KINDS:
        return True
    if is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
        return True
    region = _region(number)
    return region != _NOT_A_COUNTRY and (
        is_emergency_number(national_significant_number(number), region)
        or is_valid_short_number_for_region(number, region)
    )


def _region(number: PhoneNumber) -> str:
    """The number's country; the first of its calling code when no numbering plan has it; 001 for none."""
    regions = COUNTRY_CODE_TO_REGION_CODE.get(number.country_code or 0, (_NOT_A_COUNTRY,))
    return regions[0] if len(regions) == 1 else region_code_for_number(number) or regions[0]


def _number(digits: str) -> PhoneNumber:
    """The digits of an international number as phonenumbers sees them.

    Its own parser also reads extensions, letters and other scripts, cuts trunk prefixes out, and takes ten times as
    long.
    """
    calling_code, national = _split(digits)
    zeros = len(national) - len(national.lstrip("0")) if int(national) else len(national) - 1
    return PhoneNumber(
        country_code=int(calling_code),
        national_number=int(national),
        italian_leading_zero=True if zeros else None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )


def _split(digits: str) -> tuple[str, str]:
    """Country calling code and national number; codes are one to three digits, none the beginning of another."""
    for length in (1, 2, 3):
        if int(digits[:length]) in COUNTRY_CODE_TO_REGION_CODE:
            return digits[:length], digits[length:]
    return digits[:3], digits[3:]
