"""One plain sentence for every way in which a call can end, and what to do about it."""

from dataclasses import replace

import pytest

from callwright.callflow.outcome import CallQuality, CallStatus, HungUpBy
from callwright.callflow.summary import ErrorDetails, SessionSummary
from callwright.cli.verdict import verdict
from callwright.errors import ErrorCode
from callwright.storage.records import DeliveryAttempt, DeliveryState, StoredDelivery
from callwright.telemetry.trace import Trace, TraceEntry

AT = 1_750_000_000.0


def not_answered(summary: SessionSummary, status: CallStatus, sip_code: int, reason: str) -> SessionSummary:
    leg = replace(
        summary.legs[0],
        status=status,
        connected_at=None,
        sip_code=sip_code,
        reason=reason,
        hung_up_by=None,
        quality=None,
    )
    return replace(summary, status=status, legs=(leg,))


def delivery(state: DeliveryState, *attempts: DeliveryAttempt) -> StoredDelivery:
    return StoredDelivery(
        delivery_id="1",
        event_id="2",
        session_id="3",
        kind="VSS",
        state=state,
        body=b"{}",
        next_attempt_at=None,
        attempts=attempts,
    )


def test_a_call_that_was_heard_to_its_end_needs_nothing(call_summary: SessionSummary, call_trace: Trace) -> None:
    sentence, advice = verdict(call_summary, call_trace.entries, ())
    assert sentence == "+6512345678 answered and heard the whole message (1 s connected)."
    assert advice == ""


def test_a_callee_who_hung_up_early_did_not_hear_all(call_summary: SessionSummary, call_trace: Trace) -> None:
    leg = replace(call_summary.legs[0], hung_up_by=HungUpBy.THEM, disconnected_at=AT + 3)
    entries = [entry for entry in call_trace.entries if entry.kind != "event.PlaybackFinished"]
    sentence, _ = verdict(replace(call_summary, legs=(leg,)), entries, ())
    assert sentence == "+6512345678 answered and hung up after 2 s, before the message was over."


def test_a_callee_who_hung_up_after_the_message_heard_it(call_summary: SessionSummary, call_trace: Trace) -> None:
    leg = replace(call_summary.legs[0], hung_up_by=HungUpBy.THEM)
    sentence, _ = verdict(replace(call_summary, legs=(leg,)), call_trace.entries, ())
    assert "heard the whole message" in sentence


def test_a_lost_connection_is_called_so(call_summary: SessionSummary, call_trace: Trace) -> None:
    leg = replace(call_summary.legs[0], hung_up_by=HungUpBy.NETWORK)
    sentence, _ = verdict(replace(call_summary, legs=(leg,)), call_trace.entries, ())
    assert "the connection was lost after 1 s" in sentence


def test_silence_from_the_callee_points_at_the_firewall(call_summary: SessionSummary, call_trace: Trace) -> None:
    leg = replace(call_summary.legs[0], quality=None)
    _, advice = verdict(replace(call_summary, legs=(leg,)), call_trace.entries, ())
    assert "No RTP came back" in advice
    assert "firewall" in advice


def test_a_poor_line_is_told_with_its_figures(call_summary: SessionSummary, call_trace: Trace) -> None:
    leg = replace(call_summary.legs[0], quality=CallQuality(2.9, 0.123, 40))
    _, advice = verdict(replace(call_summary, legs=(leg,)), call_trace.entries, ())
    assert "MOS 2.9, 12.3% lost" in advice


@pytest.mark.parametrize(
    ("status", "sip_code", "reason", "said", "advised"),
    [
        (CallStatus.BUSY, 486, "Busy Here", "was busy (486 Busy Here).", ""),
        (CallStatus.NO_ANSWER, 480, "Temporarily Unavailable", "could not be made to ring (480", ""),
        (CallStatus.CANCELED, 487, "Request Terminated", "was ended before anybody answered.", ""),
        (CallStatus.FAILED, 404, "Not Found", "failed (404 Not Found).", "does not know the number"),
        (CallStatus.FAILED, 401, "Unauthorized", "failed (401", "username and password"),
        (CallStatus.FAILED, 407, "Proxy Authentication Required", "failed (407", "username and password"),
        (CallStatus.FAILED, 403, "Forbidden", "failed (403", "caller id"),
        (CallStatus.FAILED, 408, "trunk default does not answer", "failed (408", "firewall"),
        (CallStatus.FAILED, 484, "Address Incomplete", "failed (484", "country code"),
        (CallStatus.FAILED, 488, "Not Acceptable Here", "failed (488", "codec"),
        (CallStatus.FAILED, 503, "Service Unavailable", "failed (503", "trunk is down"),
        (CallStatus.FAILED, 603, "Decline", "failed (603 Decline).", "declined"),
        (CallStatus.FAILED, 500, "Server Internal Error", "failed (500 Server Internal Error).", ""),
    ],
)
def test_every_unanswered_end_says_why(
    call_summary: SessionSummary, status: CallStatus, sip_code: int, reason: str, said: str, advised: str
) -> None:
    sentence, advice = verdict(not_answered(call_summary, status, sip_code, reason), (), ())
    assert said in sentence
    assert "+6512345678" in sentence
    assert advised in advice
    assert bool(advised) == bool(advice)


def test_a_phone_that_rang_unanswered_is_told_from_one_that_did_not_ring(call_summary: SessionSummary) -> None:
    summary = not_answered(call_summary, CallStatus.NO_ANSWER, 487, "")
    sentence, _ = verdict(summary, (TraceEntry(AT, "event.Ringing", {}),), ())
    assert "rang, but nobody answered" in sentence


@pytest.mark.parametrize(
    ("code", "advised"),
    [
        (ErrorCode.INTERNAL, "never dialled again by itself"),
        (ErrorCode.CONNECTIVITY, "--trunk"),
        (ErrorCode.CALLFLOW_INVALID, "Change the callflow"),
        (ErrorCode.NO_COVERAGE, "'destinations' of [subaccounts.NAME]"),
        (ErrorCode.SPEECH_FAILED, "another voiceProfile"),
        (ErrorCode.FILE_FAILED, "mp3 or wav"),
        (ErrorCode.VALIDITY_EXPIRED, "more time"),
        (ErrorCode.SOURCE_NOT_ALLOWED, "'caller_ids'"),
        (ErrorCode.TRUNK_CAPACITY, "--rtp-ports"),
    ],
)
def test_every_error_code_is_explained(call_summary: SessionSummary, code: ErrorCode, advised: str) -> None:
    error = ErrorDetails(code, "SAY", "request", "what the room said")
    sentence, advice = verdict(replace(call_summary, status=CallStatus.ERROR, error=error), (), ())
    assert sentence.endswith(f" (what the room said): the session ended as ERROR/{int(code)}.")
    assert advised in advice


def test_a_code_that_has_no_words_is_still_told(call_summary: SessionSummary) -> None:
    error = ErrorDetails(ErrorCode.UNKNOWN)
    sentence, advice = verdict(replace(call_summary, status=CallStatus.ERROR, error=error), (), ())
    assert sentence == "Something went wrong that has no name: the session ended as ERROR/-9999."
    assert advice == ""


FAILED_TRY = DeliveryAttempt(number=1, at=AT, host="hooks.example.com", status=500, error=None, elapsed_ms=12)
DEAD_TRY = DeliveryAttempt(number=1, at=AT, host="hooks.example.com", status=None, error="it hangs", elapsed_ms=9)


@pytest.mark.parametrize(
    ("owed", "advised"),
    [
        (delivery(DeliveryState.NO_ENDPOINT), "callwright listen"),
        (delivery(DeliveryState.DUE), ""),
        (delivery(DeliveryState.DUE, FAILED_TRY), "not delivered yet (hooks.example.com: 500); it is tried again"),
        (delivery(DeliveryState.DUE, DEAD_TRY), "not delivered yet (hooks.example.com: it hangs); it is tried again"),
        (delivery(DeliveryState.HELD), "held back"),
        (delivery(DeliveryState.EXHAUSTED), "all tries are used up"),
        (delivery(DeliveryState.DELIVERED), ""),
    ],
)
def test_what_became_of_the_summary_is_part_of_the_advice(
    call_summary: SessionSummary, call_trace: Trace, owed: StoredDelivery, advised: str
) -> None:
    _, advice = verdict(call_summary, call_trace.entries, (owed,))
    assert advised in advice
    assert bool(advised) == bool(advice)
