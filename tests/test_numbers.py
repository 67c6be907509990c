"""Telephone numbers: form, country, masking, and where calls may go."""

import subprocess
import sys

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callwright.numbers import country_code, destination_allowed, masked, parse_msisdn, warm


@pytest.mark.parametrize(
    ("text", "msisdn"),
    [
        pytest.param("+6512345678", "+6512345678", id="the API's own example, in no numbering plan"),
        pytest.param("6512345678", "+6512345678", id="plus is optional (§13 row 23)"),
        pytest.param("6588000000", "+6588000000", id="the caller id of CLID overwrite"),
        pytest.param("+12314377870", "+12314377870", id="United States"),
        pytest.param("+390612345678", "+390612345678", id="an Italian zero belongs to the number"),
        pytest.param("+80012345678", "+80012345678", id="international freephone"),
        pytest.param("+870773111632", "+870773111632", id="satellite: a number, though calls are blocked"),
    ],
)
def test_a_number_becomes_e164(text: str, msisdn: str) -> None:
    assert parse_msisdn(text) == msisdn


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "abc",
        "private",
        "+651234",
        "+0512345678",
        "0065512345678",
        "++6512345678",
        "+65 1234 5678",
        "+65-1234-5678",
        "tel:+6512345678",
        "+6512345678;ext=1",
        "+6512345678\n",
        " +6512345678",
        "+65123456780123456",
        "+65123456789",
        "+65123456789012",
        "+9991234567",
        "+4402079460000",
        "+٦٥١٢٣٤٥٦٧٨",
        "+６５１２３４５６７８",
        "+651234567²",
        "sip:6512345678@example.com",
        "+6512345678,+6512345679",
    ],
)
def test_other_text_is_no_number(text: str) -> None:
    assert parse_msisdn(text) is None


@pytest.mark.parametrize(
    ("msisdn", "country"),
    [
        ("+6512345678", "SG"),
        ("6568332048", "SG"),
        ("+12314377870", "US"),
        ("+14165550123", "CA"),
        ("+18765550123", "JM"),
        ("+19995550123", "US"),
        ("+442079460000", "GB"),
        ("+447624123456", "IM"),
        ("+77012345678", "KZ"),
        ("+74951234567", "RU"),
        ("+390612345678", "IT"),
        ("+80012345678", None),
        ("+870773111632", None),
        ("+9991234567", None),
        ("nonsense", None),
    ],
)
def test_a_number_has_the_country_of_its_calling_code(msisdn: str, country: str | None) -> None:
    assert country_code(msisdn) == country


@pytest.mark.parametrize(
    ("msisdn", "shown"),
    [
        ("+6512345678", "+65••••5678"),
        ("6512345678", "+65••••5678"),
        ("+12314377870", "+1••••7870"),
        ("+35312345678", "+353••••5678"),
        ("+290 2345", "••••"),
        ("+2902345", "+290••••45"),
        ("Bearer secret", "••••"),
        ("", "••••"),
    ],
)
def test_a_number_in_a_log_shows_its_country_and_its_end(msisdn: str, shown: str) -> None:
    assert masked(msisdn) == shown


@pytest.mark.parametrize(
    ("msisdn", "prefixes"),
    [
        pytest.param("+6512345678", ["+65"], id="a country"),
        pytest.param("6512345678", ["65"], id="without plus"),
        pytest.param("+6512345678", ["+1", "+651"], id="any entry"),
        pytest.param("+6512345678", ["+"], id="a lone plus means every number"),
        pytest.param("+6512345678", ["*"], id="so does a star"),
        pytest.param("+6512345678", ["+6512345678"], id="in full"),
        pytest.param("+19005550123", ["+19005550123"], id="premium, in full"),
        pytest.param("+870773111632", ["+870773111632"], id="satellite, in full"),
        pytest.param("+80012345678", ["+800"], id="international freephone"),
    ],
)
def test_calls_go_where_a_prefix_is_listed(msisdn: str, prefixes: list[str]) -> None:
    assert destination_allowed(msisdn, prefixes)


@pytest.mark.parametrize(
    ("msisdn", "prefixes"),
    [
        pytest.param("+6512345678", [], id="nothing listed"),
        pytest.param("+6512345678", [""], id="an empty entry lists nothing"),
        pytest.param("+6512345678", ["+1", "+66"], id="other countries"),
        pytest.param("+6512345678", ["+65123456789"], id="an entry longer than the number"),
        pytest.param("+19005550123", ["+1"], id="premium rate, North America"),
        pytest.param("+19005550123", ["*"], id="premium rate, everything listed"),
        pytest.param("+19005550123", ["+1900"], id="premium rate, listed as a range"),
        pytest.param("+449098790000", ["+44"], id="premium rate, United Kingdom"),
        pytest.param("+6519001234567", ["+65"], id="premium rate, Singapore"),
        pytest.param("+491801234567", ["+49"], id="shared cost, Germany"),
        pytest.param("+870773111632", ["+870"], id="Inmarsat"),
        pytest.param("+881612345678", ["+881", "+"], id="satellite phones"),
        pytest.param("+882161234567", ["+882", "+"], id="international networks 882"),
        pytest.param("+883510001234", ["+883", "+"], id="international networks 883"),
        pytest.param("+979123456789", ["+979", "+"], id="international premium rate"),
        pytest.param("+12345678", ["+1"], id="seven digits that need an area code"),
        pytest.param("+65995", ["+65"], id="emergency"),
        pytest.param("911", ["+", "911"], id="emergency without a country"),
        pytest.param("sip:100@example.com", ["+"], id="no number"),
    ],
)
def test_calls_go_nowhere_else(msisdn: str, prefixes: list[str]) -> None:
    assert not destination_allowed(msisdn, prefixes)


def test_short_numbers_are_blocked_behind_their_country_code() -> None:
    short = [
        number
        for region in phonenumbers.SUPPORTED_SHORT_REGIONS
        for code in ("112", "911", "999", "116111", "118118", "11414")
        if (number := f"+{phonenumbers.country_code_for_region(region)}{code}")
        and phonenumbers.is_valid_short_number_for_region(
            phonenumbers.PhoneNumber(
                country_code=phonenumbers.country_code_for_region(region), national_number=int(code)
            ),
            region,
        )
        and region == phonenumbers.region_code_for_country_code(phonenumbers.country_code_for_region(region))
    ]
    assert len(short) > 100
    assert [number for number in short if destination_allowed(number, ["+"])] == []


@given(st.from_regex(r"[1-9][0-9]{6,14}", fullmatch=True))
@example("6512345678")
@example("390612345678")
@example("22501020304")
def test_the_form_agrees_with_the_library_wherever_it_changes_no_digit(digits: str) -> None:
    ours = parse_msisdn(digits)
    try:
        theirs = phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        assert ours is None
        return
    if phonenumbers.format_number(theirs, phonenumbers.PhoneNumberFormat.E164) == "+" + digits:
        assert (ours is not None) == phonenumbers.is_possible_number(theirs)


@given(st.text())
def test_any_text_gets_an_answer(text: str) -> None:
    msisdn = parse_msisdn(text)
    assert msisdn is None or parse_msisdn(msisdn) == msisdn
    assert country_code(text) is None or len(country_code(text) or "") == 2
    assert "••••" in masked(text)
    assert not destination_allowed(text, [])


def test_warming_reads_every_plan() -> None:
    program = (
        "import sys, callwright.numbers as n; "
        "n.parse_msisdn('+6512345678'); before = [m for m in sys.modules if 'data.region_' in m]; "
        "n.warm(); after = [m for m in sys.modules if 'data.region_' in m]; print(len(before), len(after))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after = map(int, run.stdout.split())
    assert before < 5
    assert after > 200
    warm()
    assert country_code("+18765550123") == "JM"
