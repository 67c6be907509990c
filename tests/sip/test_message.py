"""Headers are an ordered multimap whose names compare without case and in both forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.errors import SipSyntaxError
from callwright.sip.message import COMPACT_FORMS, Headers


def test_names_compare_without_case_and_in_compact_form() -> None:
    headers = Headers([("v", "one"), ("VIA", "two"), ("x-Odd", "three")])
    assert headers.get("Via") == "one"
    assert headers.all("via") == ["one", "two"]
    assert headers.get("X-ODD") == "three"
    assert "V" in headers
    assert "Route" not in headers


@pytest.mark.parametrize(("letter", "name"), COMPACT_FORMS.items())
def test_a_compact_form_is_written_long(letter: str, name: str) -> None:
    assert list(Headers([(letter, "x"), (letter.upper(), "y")])) == [(name, "x"), (name, "y")]


def test_known_names_get_their_usual_spelling_and_unknown_ones_keep_theirs() -> None:
    assert list(Headers([("CALL-id", "1"), ("cseq", "2"), ("x-My-HEADER", "3")])) == [
        ("Call-ID", "1"),
        ("CSeq", "2"),
        ("x-My-HEADER", "3"),
    ]


def test_values_split_at_commas_outside_quotes_and_brackets() -> None:
    headers = Headers(
        [("Contact", '"A, B" <sip:a@example.com;x="1,2">;q=1, <sip:b,c@example.com>'), ("m", "sip:d@e.org")]
    )
    assert headers.values("Contact") == [
        '"A, B" <sip:a@example.com;x="1,2">;q=1',
        "<sip:b,c@example.com>",
        "sip:d@e.org",
    ]
    assert len(headers.all("Contact")) == 2


def test_an_empty_header_is_an_empty_list() -> None:
    assert Headers([("Supported", "")]).values("Supported") == []


@pytest.mark.parametrize("value", ["a,,b", "a,", ",", '"open', "<sip:a", "<<sip:a>>"])
def test_a_broken_list_is_refused(value: str) -> None:
    with pytest.raises(SipSyntaxError):
        Headers([("Route", value + ",x")]).values("Route")


def test_insert_first_stands_before_its_own_kind() -> None:
    headers = Headers([("To", "t"), ("Via", "old"), ("From", "f")])
    headers.insert_first("Via", "new")
    headers.insert_first("Route", "r")
    assert list(headers) == [("Route", "r"), ("To", "t"), ("Via", "new"), ("Via", "old"), ("From", "f")]


def test_set_leaves_one_line_in_the_place_of_the_first() -> None:
    headers = Headers([("P", "1"), ("Q", "2"), ("P", "3")])
    headers.set("p", "4")
    headers.set("Z", "5")
    assert list(headers) == [("p", "4"), ("Q", "2"), ("Z", "5")]


def test_remove_takes_all_and_none_is_fine() -> None:
    headers = Headers([("P", "1"), ("Q", "2"), ("P", "3")])
    headers.remove("P")
    headers.remove("Z")
    assert list(headers) == [("Q", "2")]
    assert len(headers) == 1


def test_a_copy_is_independent() -> None:
    headers = Headers([("A", "1")])
    other = headers.copy()
    other.add("B", "2")
    assert len(headers) == 1
    assert headers != other
    assert headers == Headers([("a", "1")])


@given(st.lists(st.tuples(st.sampled_from(["Via", "v", "To", "X-A", "x-a", "Route"]), st.text(max_size=5))))
def test_all_keeps_every_line_in_order(items: list[tuple[str, str]]) -> None:
    headers = Headers(items)
    assert [value for _, value in headers] == [value for _, value in items]
    assert headers.all("Via") == [value for name, value in items if name.lower() in ("via", "v")]
    assert Headers(headers) == headers
