"""One-time passwords: made, spoken, compared (§11.5)."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.contract.otp_code import RANDOM_BYTES, CodeType, codes_match, make_code, spoken_text

PATTERNS = {
    CodeType.NUMERIC: r"[0-9]{3,10}",
    CodeType.NUMERIC_WITH_DASH: r"[0-9\-]{3,10}",
    CodeType.ALPHANUMERIC: r"[a-zA-Z0-9]{3,10}",
    CodeType.ALPHANUMERIC_CAPITALS: r"[A-Z0-9]{3,10}",
    CodeType.ALPHANUMERIC_EASY: r"((?![IOQSZ])[A-Z0-9]){3,10}",
}
RANDOM = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


@given(st.sampled_from(CodeType), st.integers(3, 10), RANDOM)
def test_a_code_has_its_types_form_and_length(code_type: CodeType, length: int, random_bytes: bytes) -> None:
    code = make_code(code_type, length, random_bytes)
    assert len(code) == length
    assert re.fullmatch(PATTERNS[code_type], code)
    assert code == make_code(code_type, length, random_bytes)


@pytest.mark.parametrize(
    ("length", "form"),
    [
        (3, "[0-9]{3}"),
        (4, "[0-9]-[0-9]{2}"),
        (5, "[0-9]{2}-[0-9]{2}"),
        (6, "[0-9]{2}-[0-9]{3}"),
        (7, "[0-9]{3}-[0-9]{3}"),
        (8, "[0-9]{3}-[0-9]{4}"),
        (9, "[0-9]{4}-[0-9]{4}"),
        (10, "[0-9]{4}-[0-9]{5}"),
    ],
)
def test_the_dash_stands_in_the_middle(length: int, form: str) -> None:
    assert re.fullmatch(form, make_code(CodeType.NUMERIC_WITH_DASH, length, bytes(range(24))))


@pytest.mark.parametrize(
    ("code_type", "signs"),
    [
        (CodeType.NUMERIC, string.digits),
        (CodeType.ALPHANUMERIC, string.ascii_letters + string.digits),
        (CodeType.ALPHANUMERIC_CAPITALS, string.ascii_uppercase + string.digits),
        (CodeType.ALPHANUMERIC_EASY, "ABCDEFGHJKLMNPRTUVWXY" + string.digits),
    ],
)
def test_every_sign_is_reached_equally(code_type: CodeType, signs: str) -> None:
    size = len(signs)
    made = [make_code(code_type, 3, number.to_bytes(RANDOM_BYTES, "big")) for number in range(size**2)]
    assert {code[0] for code in made} == set(signs)
    assert len(set(made)) == size**2
    assert {sum(code[0] == sign for code in made) for sign in signs} == {size}
    assert {sum(code[1] == sign for code in made) for sign in signs} == {size}


@pytest.mark.parametrize(("length", "size"), [(2, 24), (11, 24), (4, 23), (4, 0)])
def test_too_little_is_refused(length: int, size: int) -> None:
    with pytest.raises(ValueError, match="a code"):
        make_code(CodeType.NUMERIC, length, bytes(size))


@pytest.mark.parametrize(
    ("template", "code", "brand", "text"),
    [
        ("Your verification code is {code}", "4719", "", "Your verification code is 4, 7, 1, 9"),
        ("{brand}: {code}", "234-3294", "ABC", "ABC: 2, 3, 4. 3, 2, 9, 4"),
        ("{code}. Again: {code}", "12F", "", "1, 2, F. Again: 1, 2, F"),
        ("Hello {brand}, {code}", "123", "", "Hello , 1, 2, 3"),
        ("{brand} {code}", "123", "{code}", "{code} 1, 2, 3"),
        ("{name} {code}", "123", "", "{name} 1, 2, 3"),
        (r"\1 {code}", "123", r"\g<0>", r"\1 1, 2, 3"),
    ],
)
def test_a_code_is_spoken_sign_by_sign(template: str, code: str, brand: str, text: str) -> None:
    assert spoken_text(template, code, brand) == text


@pytest.mark.parametrize(
    ("code", "given_code", "same"),
    [
        ("4719", "4719", True),
        ("4719", "4718", False),
        ("4719", "47190", False),
        ("4719", "", False),
        ("234-3294", "2343294", True),
        ("234-3294", "234 3294", True),
        ("fiQdAsr315", "FIQDASR315", True),
        ("4719", "٤٧١٩", False),
        ("4719", "471\ud800", False),
    ],
)
def test_codes_are_compared_as_they_are_heard(code: str, given_code: str, same: bool) -> None:
    assert codes_match(code, given_code) is same
