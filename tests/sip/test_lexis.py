"""Quotes and brackets hide separators, and numbers stay small."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.errors import SipSyntaxError
from callwright.sip.lexis import decimal, is_token, params_text, parse_params, quote, split_list, unquote

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(TEXT)
def test_a_quoted_text_comes_back(text: str) -> None:
    assert unquote(quote(text)) == text


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_separators_inside_quotes_do_not_split(texts: list[str]) -> None:
    parts = [quote(text) for text in texts]
    assert split_list(" , ".join(parts), ",") == parts
    assert split_list(";".join(parts), ";") == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [""]),
        ("a , b,", ["a", "b", ""]),
        ('"a,b",<c,d>,e', ['"a,b"', "<c,d>", "e"]),
        ('"\\",",x', ['"\\","', "x"]),
        ('<a">,"b"', ['<a">', '"b"']),
    ],
)
def test_a_list_is_split(text: str, parts: list[str]) -> None:
    assert split_list(text, ",") == parts


@pytest.mark.parametrize("text", ['"', '"a\\"', "<", "<a<b>>", '"a">', '<"a"'])
def test_what_never_closes_is_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        split_list(text, ",")


@pytest.mark.parametrize(
    ("text", "most", "number"),
    [
        ("0", 9, 0),
        ("007", 9, 7),
        ("0" * 6_000 + "9", 9, 9),
        ("10", 9, None),
        ("9" * 6_000, 2**64, None),
        ("", 9, None),
        ("-1", 9, None),
        ("+1", 9, None),
        ("1_0", 99, None),
        (" 1", 9, None),
        ("²", 9, None),
        ("٣", 9, None),
    ],
)
def test_a_number_is_digits_up_to_its_limit(text: str, most: int, number: int | None) -> None:
    assert decimal(text, most) == number


def test_parameters_keep_order_and_spelling_of_values() -> None:
    params = parse_params(';Tag=A ; x = "y;z";lr')
    assert params == {"tag": "A", "x": '"y;z"', "lr": None}
    assert params_text(params) == ';tag=A;x="y;z";lr'
    assert parse_params("") == {}


@pytest.mark.parametrize("text", ["x", ";", ";;a", ";a=", ";=b", ";a b", ";a=b=;a", ";a=b c", ';a="b"c', ";a;A"])
def test_broken_parameters_are_refused(text: str) -> None:
    with pytest.raises(SipSyntaxError):
        parse_params(text)


@pytest.mark.parametrize(
    ("text", "answer"), [("INVITE", True), ("-.!%*_+`'~", True), ("", False), ("a b", False), ("é", False)]
)
def test_a_token_is_told(text: str, answer: bool) -> None:
    assert is_token(text) is answer
