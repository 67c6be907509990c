import pytest

from callwright.sip.message import Headers, Request
from callwright.telephony.caller import called_number, calling_number, forwarding_of


def invite(uri: str = "sip:+6512345678@192.0.2.1", **headers: str) -> Request:
    fields = {"From": "<sip:+6531350000@192.0.2.2>;tag=1", "To": "<sip:+6512345678@192.0.2.1>"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("INVITE", uri, Headers(list(fields.items())), b"")


@pytest.mark.parametrize(
    "uri",
    [
        "sip:+6512345678@192.0.2.1",
        "sip:6512345678@192.0.2.1:5060",
        "sip:006512345678@192.0.2.1",
        "sips:+65-1234-5678@example.com",
        "sip:%2B6512345678@192.0.2.1",
        "sip:+6512345678;npdi;rn=+6590000000@192.0.2.1;user=phone",
        "tel:+65-1234-5678;phone-context=example.com",
    ],
)
def test_the_called_number_is_read_in_every_spelling(uri: str) -> None:
    assert called_number(invite(uri, To="<sip:x@192.0.2.1>")) == "+6512345678"


def test_a_trunk_that_calls_its_registered_contact_says_the_number_in_to() -> None:
    assert called_number(invite("sip:callwright@192.0.2.1:5060")) == "+6512345678"


@pytest.mark.parametrize(
    "uri", ["sip:192.0.2.1", "sip:reception@192.0.2.1", "sip:12@192.0.2.1", "mailto:a@example.com"]
)
def test_what_is_no_number_is_none(uri: str) -> None:
    assert called_number(invite(uri, To="<sip:reception@192.0.2.1>")) is None


def test_the_asserted_identity_counts_more_than_from() -> None:
    asserted = '"Ann" <sip:+6590001111@example.com>, <tel:+6590002222>'
    assert calling_number(invite(P_Asserted_Identity=asserted)) == "+6590001111"
    assert calling_number(invite(P_Asserted_Identity="<sip:ann@example.com>, <tel:+65-9000-2222>")) == "+6590002222"
    assert calling_number(invite(P_Asserted_Identity='"broken')) == "+6531350000"
    assert calling_number(invite()) == "+6531350000"


@pytest.mark.parametrize(
    "headers",
    [
        {"Privacy": "id"},
        {"Privacy": "header;id;critical"},
        {"Privacy": "user"},
        {"From": '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1'},
        {"From": "<sip:Anonymous@192.0.2.2>;tag=1"},
    ],
)
def test_who_hides_is_nobody_even_when_the_trunk_knows_better(headers: dict[str, str]) -> None:
    assert calling_number(invite(P_Asserted_Identity="<sip:+6590001111@example.com>", **headers)) == ""


@pytest.mark.parametrize(
    "value", ["<sip:ann@example.com>;tag=1", "<sip:example.com>;tag=1", "<sip:12@192.0.2.2>;tag=1"]
)
def test_a_caller_without_a_number_is_nobody(value: str) -> None:
    assert calling_number(invite(From=value)) == ""


def test_no_privacy_hides_nothing() -> None:
    assert calling_number(invite(Privacy="none")) == "+6531350000"
    assert calling_number(invite(From="<tel:+6531350000>;tag=1")) == "+6531350000"


def test_who_sent_a_call_on_is_told_as_it_was_said() -> None:
    headers = Headers(
        [
            ("Diversion", "<sip:+6561111111@example.com>;reason=no-answer"),
            ("Diversion", "<sip:+6562222222@example.com>;reason=busy"),
            ("History-Info", "<sip:+6563333333@example.com>;index=1, <sip:+6564444444@example.com>;index=1.1"),
        ]
    )
    assert forwarding_of(Request("INVITE", "sip:x", headers)) == {
        "diversion": "<sip:+6561111111@example.com>;reason=no-answer, <sip:+6562222222@example.com>;reason=busy",
        "history_info": "<sip:+6563333333@example.com>;index=1, <sip:+6564444444@example.com>;index=1.1",
    }
    assert forwarding_of(Request("INVITE", "sip:x", Headers())) == {}
    long = forwarding_of(Request("INVITE", "sip:x", Headers([("Diversion", "x" * 5_000)])))
    assert len(str(long["diversion"])) == 1_000
