"""The body that asks for a spoken code, and the query of a check (§11.5)."""

import json
from dataclasses import replace

import pytest

from callwright.contract.otp_code import CodeType
from callwright.contract.otp_request import VerificationRequest, parse_check, parse_verification
from callwright.errors import ContractError

DEFAULTS = VerificationRequest(
    destination="+6598765432",
    source=None,
    voice_profile="en-US-AriaNeural",
    speed=0.8,
    repetition=2,
    template="Your verification code is {code}",
    brand="",
    code_type=CodeType.NUMERIC,
    code_length=4,
    code_validity_seconds=300,
    resending_interval_seconds=10,
    reset_session=False,
    callback_url=None,
    client_ip=None,
)


def parsed(**fields: object) -> VerificationRequest:
    return parse_verification(json.dumps({"destination": "+6598765432", "channel": "call"} | fields).encode())


def refused(**fields: object) -> tuple[int, int, str]:
    with pytest.raises(ContractError) as caught:
        parsed(**fields)
    return caught.value.status_code, caught.value.http_status, caught.value.message


def test_what_is_not_said_is_filled_in() -> None:
    request = parsed()
    assert request.voice_profile.startswith("en-US-")
    names = (
        "country brand codeLength codeValidity codeType template language resetSession resendingInterval callbackUrl "
        "clientIp call"
    )
    nulls = dict.fromkeys(names.split())
    assert parsed(**nulls) == request
    assert request == replace(DEFAULTS, voice_profile=request.voice_profile)


def test_everything_said_is_read() -> None:
    call = {"source": "6512345678", "speed": 1.5, "repetition": 3, "voiceProfile": "en-US-Kimberly"}
    assert parsed(
        call=call,
        brand="ABC",
        codeLength=7,
        codeValidity=60,
        codeType="NUMERIC_WITH_DASH",
        template="{brand}, {code}",
        language="de-DE",
        resetSession=True,
        resendingInterval=30,
        callbackUrl="https://example.com/otp",
        clientIp="192.0.2.1",
    ) == VerificationRequest(
        destination="+6598765432",
        source="+6512345678",
        voice_profile="en-US-Kimberly",
        speed=1.5,
        repetition=3,
        template="{brand}, {code}",
        brand="ABC",
        code_type=CodeType.NUMERIC_WITH_DASH,
        code_length=7,
        code_validity_seconds=60,
        resending_interval_seconds=30,
        reset_session=True,
        callback_url="https://example.com/otp",
        client_ip="192.0.2.1",
    )


def test_a_brand_speaks_first() -> None:
    assert parsed(brand="ABC").template == "{brand}: Your verification code is {code}"


def test_the_language_chooses_the_voice() -> None:
    assert parsed(language="de-DE").voice_profile.startswith("de-DE-")


@pytest.mark.parametrize(
    ("fields", "destination"),
    [
        pytest.param({"destination": "6598765432"}, "+6598765432", id="international without +"),
        pytest.param({"destination": "+65(876)54321"}, "+6587654321", id="brackets"),
        pytest.param({"destination": "+65 8765-4321"}, "+6587654321", id="spaces and dashes"),
        pytest.param({"destination": 6598765432}, "+6598765432", id="a JSON integer"),
        pytest.param({"destination": 87654321, "country": "SG"}, "+6587654321", id="local, a JSON integer"),
        pytest.param({"destination": "087654321", "country": "TH"}, "+6687654321", id="local, leading 0 removed"),
        pytest.param({"destination": "0151 23456789", "country": "de"}, "+4915123456789", id="small country letters"),
        pytest.param({"destination": "06 69876543", "country": "IT"}, "+390669876543", id="Italy keeps its 0"),
        pytest.param({"destination": "(212) 555-0123", "country": "US"}, "+12125550123", id="North America"),
        pytest.param({"destination": "6598765432", "country": "SG"}, "+6598765432", id="international with a country"),
        pytest.param(
            {"destination": "62812345678", "country": "ID"}, "+62812345678", id="either way, so international"
        ),
        pytest.param({"destination": "65876543", "country": "SG"}, "+6565876543", id="local that begins with the code"),
        pytest.param(
            {"destination": "6598765432", "country": "US"}, "+16598765432", id="local, another country's code"
        ),
        pytest.param({"destination": "+6598765432", "country": "US"}, "+6598765432", id="+ beats the country"),
    ],
)
def test_a_destination_is_made_international(fields: dict[str, object], destination: str) -> None:
    assert parsed(**fields).destination == destination


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [("codeLength", 3, 10), ("codeValidity", 30, 7200), ("resendingInterval", 10, 7200)],
)
def test_numbers_have_limits(field: str, least: int, most: int) -> None:
    assert parsed(**{field: least}) != parsed(**{field: most})
    assert refused(**{field: least - 1}) == (
        1000,
        400,
        f"Invalid parameter. $.{field}: must have a minimum value of {least}",
    )
    assert refused(**{field: most + 1})[2] == f"Invalid parameter. $.{field}: must have a maximum value of {most}"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"speed": 0.4}, "$.call.speed: must have a minimum value of 0.5"),
        ({"speed": 2.1}, "$.call.speed: must have a maximum value of 2"),
        ({"repetition": 0}, "$.call.repetition: must have a minimum value of 1"),
        ({"repetition": 4}, "$.call.repetition: must have a maximum value of 3"),
        ({"voiceProfile": "x" * 51}, "$.call.voiceProfile: may only be 50 characters long"),
        ({"voiceProfile": "nobody"}, "$.call.voiceProfile: is no known voice"),
        ("yes", "$.call: string found, object expected"),
    ],
)
def test_a_wrong_call_is_refused(call: object, words: str) -> None:
    assert refused(call=call) == (1000, 400, f"Invalid parameter. {words}")


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        pytest.param(
            {"destination": None}, (1000, "$.destination: is missing but it is required"), id="no destination"
        ),
        pytest.param({"destination": True}, (1000, "$.destination: boolean found, string expected"), id="kind"),
        pytest.param({"destination": "12"}, (1002, ""), id="1002 too short"),
        pytest.param({"destination": "87654321"}, (1002, ""), id="1002 local without a country"),
        pytest.param({"destination": "12", "country": "SG"}, (1002, ""), id="1002 local, too short"),
        pytest.param({"destination": "0000", "country": "SG"}, (1002, ""), id="1002 zeros"),
        pytest.param({"destination": "call me", "country": "SG"}, (1002, ""), id="1002 letters"),
        pytest.param({"country": "XX"}, (1009, ""), id="1009 no such country"),
        pytest.param({"country": "SGP"}, (1009, ""), id="1009 three letters"),
        pytest.param({"call": {"source": "private"}}, (1005, ""), id="1005"),
        pytest.param({"channel": "sms"}, (1000, "$.channel: sms is not served here, only call"), id="sms"),
        pytest.param({"channel": None}, (1000, "$.channel: sms is not served here, only call"), id="sms by default"),
        pytest.param(
            {"channel": "fax"},
            (1000, "$.channel: does not have a value in the enumeration [sms, call, whatsapp, viber, sma]"),
            id="no channel",
        ),
        pytest.param({"brand": "x" * 31}, (1000, "$.brand: may only be 30 characters long"), id="brand"),
        pytest.param(
            {"codeType": "HEX"},
            (
                1000,
                f"$.codeType: does not have a value in the enumeration [{', '.join(CodeType)}]",
            ),
            id="codeType",
        ),
        pytest.param({"template": "Hello."}, (1000, "$.template: must hold {code}"), id="template without a code"),
        pytest.param(
            {"template": "{code}" + "x" * 2991},
            (1000, "$.template: may only be 3000 characters long when it is filled in"),
            id="template too long when filled",
        ),
        pytest.param({"template": "{code}\x00"}, (1004, ""), id="1004 template"),
        pytest.param({"template": "{brand}{code}", "brand": "\x07"}, (1004, ""), id="1004 brand"),
        pytest.param({"language": "tlh"}, (1000, "$.language: is no known language"), id="language"),
        pytest.param({"resetSession": 1}, (1000, "$.resetSession: integer found, boolean expected"), id="resetSession"),
        pytest.param(
            {"callbackUrl": "example.com"},
            (1000, "$.callbackUrl: does not match the regex pattern ^https?://\\S+$"),
            id="callbackUrl",
        ),
        pytest.param(
            {"callbackUrl": "https://example.com/\x7f"},
            (1000, "$.callbackUrl: may not hold control characters"),
            id="callbackUrl with a control",
        ),
    ],
)
def test_a_wrong_request_is_refused(fields: dict[str, object], refusal: tuple[int, str]) -> None:
    words = {
        1000: "Invalid parameter",
        1002: "Invalid MSISDN",
        1004: "Invalid Text",
        1005: "Invalid Source",
        1009: "Invalid Country Code",
    }
    code, detail = refusal
    assert refused(**fields) == (code, 400, f"{words[code]}. {detail}" if detail else words[code])


def test_a_source_must_be_allowed() -> None:
    body = b'{"destination":"+6598765432","channel":"call","call":{"source":6512345678}}'
    assert parse_verification(body, frozenset({"+6512345678"})).source == "+6512345678"
    with pytest.raises(ContractError) as caught:
        parse_verification(body, frozenset())
    assert caught.value.status_code == 1005


@pytest.mark.parametrize(
    ("body", "http_status"), [(b"", 400), (b"{", 400), (b"[]", 400), (b"{}", 400), (b" " * 300_000, 413)]
)
def test_what_is_no_request_is_refused(body: bytes, http_status: int) -> None:
    with pytest.raises(ContractError) as caught:
        parse_verification(body)
    assert (caught.value.status_code, caught.value.http_status) == (1000, http_status)


@pytest.mark.parametrize(
    ("query", "code"),
    [([], None), ([("code", "4719")], "4719"), ([("x", "1"), ("code", "234-3294")], "234-3294")],
)
def test_a_check_names_a_code(query: list[tuple[str, str]], code: str | None) -> None:
    assert parse_check(query) == code


@pytest.mark.parametrize("query", [[("code", "")], [("code", "12")], [("code", "x" * 11)], [("code", "123")] * 2])
def test_a_wrong_check_is_refused(query: list[tuple[str, str]]) -> None:
    with pytest.raises(ContractError) as caught:
        parse_check(query)
    assert (caught.value.status_code, caught.value.http_status) == (1000, 400)
