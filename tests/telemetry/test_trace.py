"""The record of one call as it grows."""

import json

from callwright.telemetry.trace import MOST_ENTRIES, FieldValue, Trace, TraceEntry


def test_entries_are_told_as_they_were_written_down() -> None:
    trace = Trace("s")
    trace.add(1.5, "sip.sent", line="INVITE sip:+1@example.com SIP/2.0", number=3, share=0.5, known=True, gone=None)
    fields: dict[str, FieldValue] = {
        "line": "INVITE sip:+1@example.com SIP/2.0",
        "number": 3,
        "share": 0.5,
        "known": True,
        "gone": None,
    }
    assert trace.entries == [TraceEntry(1.5, "sip.sent", fields)]
    assert json.loads(trace.as_json()) == [[1.5, "sip.sent", fields]]


def test_watchers_see_each_entry_as_it_is_written() -> None:
    seen: list[TraceEntry] = []
    trace = Trace("s", watchers=[seen.append])
    trace.add(1.0, "event.Started")
    trace.add(2.0, "event.Answered", leg_id="1")
    assert seen == trace.entries


def test_half_a_surrogate_pair_costs_its_character_and_no_more() -> None:
    trace = Trace("s")
    trace.add(1.0, "command.Say", text="a\ud83db", count=2)
    assert trace.entries == [TraceEntry(1.0, "command.Say", {"text": "a?b", "count": 2})]


def test_a_flood_is_cut_with_one_last_word() -> None:
    trace = Trace("s")
    for number in range(MOST_ENTRIES + 5):
        trace.add(float(number), "sip.received")
    assert len(trace.entries) == MOST_ENTRIES + 1
    assert trace.entries[-1].kind == "trace.full"
