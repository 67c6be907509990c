"""Dialogs: route sets, targets and the order of requests (RFC 3261 §12)."""

import pytest

from callwright.sip.address import NameAddr
from callwright.sip.dialog import Dialog, dialog_of_client, dialog_of_server
from callwright.sip.envelope import Envelope, read_envelope
from callwright.sip.message import Headers, Request, Response

HOP = ("192.0.2.50", 5060)


def dialog(target: str = "sip:peer@192.0.2.2", routes: tuple[str, ...] = ()) -> Dialog:
    return Dialog(
        "call",
        NameAddr.parse("<sip:us@192.0.2.1>;tag=ours"),
        NameAddr.parse("<sip:peer@example.com>;tag=theirs"),
        target,
        routes,
        local_sequence=1,
        remote_sequence=None,
        fallback=HOP,
    )


def fields(to: str, *more: tuple[str, str]) -> Headers:
    return Headers(
        [
            ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
            ("From", "<sip:a@example.com>;tag=a"),
            ("To", to),
            ("Call-ID", "call"),
            ("CSeq", "5 INVITE"),
            *more,
        ]
    )


def envelope(message: Request | Response) -> Envelope:
    return read_envelope(message, ("192.0.2.9", 5090))


def test_a_request_carries_both_tags_the_next_number_and_the_target() -> None:
    call = dialog()
    bye = call.request("BYE")
    assert bye.uri == "sip:peer@192.0.2.2"
    assert bye.headers.get("From") == "<sip:us@192.0.2.1>;tag=ours"
    assert bye.headers.get("To") == "<sip:peer@example.com>;tag=theirs"
    assert bye.headers.get("CSeq") == "2 BYE"
    assert call.request("INFO").headers.get("CSeq") == "3 INFO"
    assert call.request("ACK", sequence=1).headers.get("CSeq") == "1 ACK"
    assert call.local_sequence == 3


def test_loose_routes_go_into_route_and_the_first_is_the_next_hop() -> None:
    call = dialog(routes=("<sip:192.0.2.3:5070;lr>", "<sip:192.0.2.4;lr>"))
    request = call.request("BYE")
    assert request.uri == "sip:peer@192.0.2.2"
    assert request.headers.all("Route") == ["<sip:192.0.2.3:5070;lr>", "<sip:192.0.2.4;lr>"]
    assert call.destination == ("192.0.2.3", 5070)


def test_a_strict_first_route_becomes_the_request_uri() -> None:
    call = dialog(routes=("<sip:192.0.2.3>", "<sip:192.0.2.4;lr>"))
    request = call.request("BYE")
    assert request.uri == "sip:192.0.2.3"
    assert request.headers.all("Route") == ["<sip:192.0.2.4;lr>", "<sip:peer@192.0.2.2>"]
    assert call.destination == ("192.0.2.3", 5060)


@pytest.mark.parametrize(
    ("target", "destination"),
    [
        ("sip:peer@192.0.2.2", ("192.0.2.2", 5060)),
        ("sip:peer@192.0.2.2:5080", ("192.0.2.2", 5080)),
        ("sip:peer@[2001:db8::2]:5080", ("2001:db8::2", 5080)),
        ("sip:peer@pbx.example.com", HOP),
        ("sip:peer@host1.example", HOP),
        ("tel:+15551234", HOP),
    ],
)
def test_names_and_other_schemes_are_reached_where_the_call_runs_already(
    target: str, destination: tuple[str, int]
) -> None:
    assert dialog(target).destination == destination


def test_a_caller_takes_the_routes_in_reverse() -> None:
    headers = fields(
        "<sip:b@example.com>;tag=b",
        ("Record-Route", "<sip:192.0.2.4;lr>, <sip:192.0.2.3;lr>"),
        ("Contact", "<sip:b@192.0.2.2>"),
    )
    response = Response(200, "OK", headers)
    call = dialog_of_client(Request("INVITE", "sip:b@example.com", Headers()), response, envelope(response), HOP)
    assert call.route_set == ("<sip:192.0.2.3;lr>", "<sip:192.0.2.4;lr>")
    assert (call.target, call.local.tag, call.remote_tag) == ("sip:b@192.0.2.2", "a", "b")
    assert (call.local_sequence, call.remote_sequence) == (5, None)


def test_a_callee_takes_the_routes_as_they_come() -> None:
    headers = fields(
        "<sip:b@example.com>",
        ("Record-Route", "<sip:192.0.2.4;lr>"),
        ("Record-Route", "<sip:192.0.2.3;lr>"),
        ("Contact", '"A" <sip:a@192.0.2.2>'),
    )
    request = Request("INVITE", "sip:b@example.com", headers)
    call = dialog_of_server(request, envelope(request), "b")
    assert call.route_set == ("<sip:192.0.2.4;lr>", "<sip:192.0.2.3;lr>")
    assert (call.target, call.local.tag, call.remote_tag) == ("sip:a@192.0.2.2", "b", "a")
    assert (call.local_sequence, call.remote_sequence) == (0, 5)


def test_without_a_contact_the_peer_is_reached_as_it_was_called() -> None:
    response = Response(200, "OK", fields("<sip:b@example.com>;tag=b"))
    call = dialog_of_client(Request("INVITE", "sip:b@192.0.2.2", Headers()), response, envelope(response), HOP)
    assert call.target == "sip:b@192.0.2.2"


def test_numbers_must_grow() -> None:
    call = dialog()
    assert [call.take_sequence(number) for number in (7, 7, 6, 9)] == [True, False, False, True]
    assert call.remote_sequence == 9


def test_a_new_contact_moves_the_target_and_none_leaves_it() -> None:
    call = dialog()
    call.refresh(Response(200, "OK", Headers([("Contact", "<sip:new@192.0.2.7>")])))
    assert call.target == "sip:new@192.0.2.7"
    call.refresh(Response(200, "OK", Headers()))
    assert call.target == "sip:new@192.0.2.7"
