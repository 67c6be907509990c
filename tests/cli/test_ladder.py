"""The SIP ladder: one line a message, in the direction it went."""

from callwright.cli.ladder import ARROW_WIDTH, ladder
from callwright.telemetry.trace import Trace, TraceEntry

BEGAN = 1_750_000_000.0


def message(kind: str, line: str, text: str = "", cseq: str = "1 INVITE", at: float = 0.0) -> TraceEntry:
    fields = {"line": line, "cseq": cseq, "peer": "192.0.2.1:5060", "text": text or line}
    return TraceEntry(BEGAN + at, kind, dict(fields))


def test_a_whole_call_is_drawn(call_trace: Trace) -> None:
    drawn = ladder(call_trace.entries, BEGAN)
    assert [line.strip("│ ").strip("─◀▶│ ") for line in drawn] == [
        f"{'callwright':<{ARROW_WIDTH}}  127.0.0.1:50142".strip(),
        *(
            f"{at}s  {arrow}"
            for at, arrow in [
                ("0.013", "│────────────── INVITE (SDP)"),
                ("0.014", "│◀────────── 100 Trying (INVITE)"),
                ("0.014", "│◀────────── 180 Ringing (INVITE)"),
                ("1.015", "│◀──────────── 200 OK (INVITE)"),
                ("1.015", "│────────────────── ACK"),
                ("1.838", "│────────────────── BYE"),
                ("1.840", "│◀────────────── 200 OK (BYE)"),
            ]
        ),
    ]


def test_what_is_sent_points_right_and_what_comes_points_left() -> None:
    drawn = ladder(
        [message("sip.sent", "INVITE sip:a SIP/2.0"), message("sip.received", "SIP/2.0 486 Busy Here")], BEGAN
    )
    assert "▶│" in drawn[1]
    assert "◀" not in drawn[1]
    assert "│◀" in drawn[2]
    assert "486 Busy Here (INVITE)" in drawn[2]


def test_a_retransmission_is_marked_and_an_answer_to_it_is_not() -> None:
    invite = message("sip.sent", "INVITE sip:a SIP/2.0", text="the same bytes")
    later = message("sip.sent", "INVITE sip:a SIP/2.0", text="the same bytes", at=0.5)
    answer = message("sip.received", "SIP/2.0 180 Ringing")
    first, second, third = ladder([invite, later, answer], BEGAN)[1:]
    assert "(again)" not in first
    assert "(again)" in second
    assert "(again)" not in third


def test_all_arrows_have_one_width_however_long_the_reason() -> None:
    drawn = ladder(
        [
            message("sip.received", "SIP/2.0 603 " + "No thank you " * 9),
            message("sip.sent", "ACK sip:a SIP/2.0", cseq="1 ACK"),
        ],
        BEGAN,
    )
    assert len(drawn[1]) == len(drawn[2])
    assert "…" in drawn[1]


def test_a_call_without_messages_has_no_ladder() -> None:
    assert ladder([TraceEntry(BEGAN, "session.accepted", {})], BEGAN) == []
