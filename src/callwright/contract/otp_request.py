"""Voice OTP: the body of `POST /api/v2/subaccounts/{id}/sessions` and the query of a check (§11.5).

callwright can only call: `channel` must be `call`. Its default, sms, is refused like every other channel, since a call
that nobody asked for is worse than an error. A template without `{code}` is refused too.

`destination` may be local when `country` is given, may be written with spaces, dashes, dots and brackets, and may be a
JSON integer, as the API's samples have it. With `country` and without `+` it is international if it begins with the
country's calling code and is a number in that country's plan when read so; local otherwise.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    NumberParseException,
    PhoneNumber,
    country_code_for_region,
    is_valid_number,
    national_significant_number,
    parse,
)

from callwright.contract.actions import HTTP_URL, LONGEST_NUMBER, LONGEST_TEXT, LONGEST_URL, SPEEDS, check_characters
from callwright.contract.envelope import read_object
from callwright.contract.otp_code import (
    LONGEST_CODE,
    SHORTEST_CODE,
    CodeType,
    make_code,
    spoken_text,
)
from callwright.contract.platform_errors import PlatformCode, invalid_parameter, platform_refusal
from callwright.contract.schema import Fields
from callwright.contract.voices import LONGEST_PROFILE, resolve_language, resolve_profile
from callwright.errors import ContractError
from callwright.numbers import parse_msisdn

CHANNELS = ("sms", "call", "whatsapp", "viber", "sma")
DEFAULT_LANGUAGE = "en-US"
DEFAULT_TEMPLATE = "Your verification code is {code}"
BRAND_TEMPLATE = "{brand}: Your verification code is {code}"
LONGEST_BRAND = 30
LONGEST_CLIENT_IP = 45

_PUNCTUATION = re.compile(r"[\s().\-]")
_LOCAL = re.compile(r"[0-9]{3,15}")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_REGIONS = frozenset(region for regions in COUNTRY_CODE_TO_REGION_CODE.values() for region in regions)


@dataclass(frozen=True, slots=True)
class VerificationRequest:
    """A code to be made and spoken, completed with defaults."""

    destination: str
    "E.164 with +"
    source: str | None
    "E.164 with +; None: the sub-account's usual caller id"
    voice_profile: str
    speed: float
    repetition: int
    template: str
    "holds {code}, may hold {brand}"
    brand: str
    code_type: CodeType
    code_length: int
    code_validity_seconds: int
    resending_interval_seconds: int
    reset_session: bool
    callback_url: str | None
    client_ip: str | None


def parse_verification(body: bytes, caller_ids: frozenset[str] | None = None) -> VerificationRequest:
    """The request in `body`; `caller_ids` are the numbers that may be its source, None any.

    ContractError 1000, 1002, 1004, 1005 or 1009 with HTTP 400 (413 above 256 KiB).
    """
    fields = read_object(body, invalid_parameter)
    _check_channel(fields)
    call = _object(fields, "call")
    brand = fields.optional_string("brand", LONGEST_BRAND) or ""
    code_type = CodeType.NUMERIC
    if fields.values.get("codeType") is not None:
        code_type = CodeType(fields.one_of("codeType", tuple(each.value for each in CodeType)))
    code_length = fields.integer("codeLength", SHORTEST_CODE, LONGEST_CODE) or 4
    return VerificationRequest(
        destination=_destination(fields),
        source=_source(call, caller_ids),
        voice_profile=_voice(fields, call),
        speed=call.number("speed", *SPEEDS) or 0.8,
        repetition=call.integer("repetition", 1, 3) or 2,
        template=_template(fields, brand, code_type, code_length),
        brand=brand,
        code_type=code_type,
        code_length=code_length,
        code_validity_seconds=fields.integer("codeValidity", 30, 7200) or 300,
        resending_interval_seconds=fields.integer("resendingInterval", 10, 7200) or 10,
        reset_session=fields.boolean("resetSession") or False,
        callback_url=_callback_url(fields),
        client_ip=fields.optional_string("clientIp", LONGEST_CLIENT_IP),
    )


def parse_check(query: Iterable[tuple[str, str]]) -> str | None:
    """The `code` of a check's query, None when only the state is asked for; ContractError 1000.

    Other parameters are ignored.
    """
    codes = [value for name, value in query if name == "code"]
    if not codes:
        return None
    if len(codes) > 1 or not SHORTEST_CODE <= len(codes[0]) <= LONGEST_CODE:
        raise invalid_parameter(f"code: must be one text of {SHORTEST_CODE} to {LONGEST_CODE} characters")
    return codes[0]


def _check_channel(fields: Fields) -> None:
    channel = "sms" if fields.values.get("channel") is None else fields.one_of("channel", CHANNELS)
    if channel != "call":
        raise fields.wrong("channel", f"{channel} is not served here, only call")


def _object(fields: Fields, name: str) -> Fields:
    value = fields.values.get(name)
    if value is not None and not isinstance(value, dict):
        raise fields.wrong_kind(name, "object")
    return Fields(value or {}, f"{fields.path}.{name}", fields.refuse)


def _destination(fields: Fields) -> str:
    if fields.values.get("destination") is None:
        raise fields.missing("destination")
    text = _PUNCTUATION.sub("", _digits(fields, "destination"))
    country = fields.optional_string("country", LONGEST_PROFILE)
    if country and (not _COUNTRY.fullmatch(country) or country.upper() not in _REGIONS):
        raise platform_refusal(PlatformCode.INVALID_COUNTRY)
    destination = _local(text, country.upper()) if country and _LOCAL.fullmatch(text) else parse_msisdn(text)
    if destination is None:
        raise platform_refusal(PlatformCode.INVALID_MSISDN)
    return destination


def _local(digits: str, country: str) -> str | None:
    """Digits without + as E.164."""
    number = _parsed(f"+{digits}", None)
    if number is None or number.country_code != country_code_for_region(country) or not is_valid_number(number):
        number = _parsed(digits, country)
    return parse_msisdn(f"+{number.country_code}{national_significant_number(number)}") if number else None


def _parsed(text: str, country: str | None) -> PhoneNumber | None:
    try:
        return parse(text, country)
    except NumberParseException:
        return None


def _source(call: Fields, caller_ids: frozenset[str] | None) -> str | None:
    if call.values.get("source") is None:
        return None
    source = parse_msisdn(_digits(call, "source"))
    if source is None or (caller_ids is not None and source not in caller_ids):
        raise platform_refusal(PlatformCode.INVALID_SOURCE)
    return source


def _digits(fields: Fields, name: str) -> str:
    value = fields.values[name]
    if type(value) is int and 0 < value < 10**15:
        return str(value)
    return fields.string(name, most=LONGEST_NUMBER)


def _voice(fields: Fields, call: Fields) -> str:
    code = call.optional_string("voiceProfile", LONGEST_PROFILE)
    if code is not None:
        if resolve_profile(code) is None:
            raise call.wrong("voiceProfile", "is no known voice")
        return code
    voice = resolve_language(fields.optional_string("language", LONGEST_PROFILE) or DEFAULT_LANGUAGE)
    if voice is None:
        raise fields.wrong("language", "is no known language")
    return voice.code


def _template(fields: Fields, brand: str, code_type: CodeType, code_length: int) -> str:
    template = fields.optional_string("template", LONGEST_TEXT) or (BRAND_TEMPLATE if brand else DEFAULT_TEMPLATE)
    if "{code}" not in template:
        raise fields.wrong("template", "must hold {code}")
    text = spoken_text(template, make_code(code_type, code_length, bytes(32)), brand)
    if len(text) > LONGEST_TEXT:
        raise fields.wrong("template", f"may only be {LONGEST_TEXT} characters long when it is filled in")
    try:
        check_characters(text)
    except ContractError:
        raise platform_refusal(PlatformCode.INVALID_TEXT) from None
    return template


def _callback_url(fields: Fields) -> str | None:
    if fields.values.get("callbackUrl") in (None, ""):
        return None
    url = fields.matching("callbackUrl", HTTP_URL, LONGEST_URL)
    try:
        check_characters(url)
    except ContractError:
        raise fields.wrong("callbackUrl", "may not hold control characters") from None
    return url
