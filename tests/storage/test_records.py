"""Callflows, summaries and traces come back from their text exactly as they were."""

import dataclasses
import typing
from types import UnionType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.callflow import plan
from callwright.callflow.outcome import CallQuality, CallStatus, HungUpBy
from callwright.callflow.plan import ACTION_NAMES, Callflow, Say
from callwright.callflow.summary import ErrorDetails, LegSummary, SessionSummary
from callwright.errors import ErrorCode, StorageError
from callwright.storage.records import (
    compress_trace,
    decode_callflow,
    decode_summary,
    decode_trace,
    encode_callflow,
    encode_summary,
    encode_trace,
)
from callwright.telemetry.trace import Trace

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
number = st.floats(allow_nan=False, allow_infinity=False)


def strategy_for(kind: object) -> st.SearchStrategy[object]:
    """Values of a field's type; an action with a field of a new type fails here, and so asks for a decision."""
    simple: dict[object, st.SearchStrategy[object]] = {
        str: text, float: number, int: st.integers(-(2**53), 2**53), bool: st.booleans(), type(None): st.none(),
    }  # fmt: skip
    if isinstance(kind, UnionType):
        return st.one_of([strategy_for(part) for part in typing.get_args(kind)])
    return simple[kind]


def built(kind: type) -> st.SearchStrategy[typing.Any]:
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{field.name: strategy_for(hints[field.name]) for field in dataclasses.fields(kind)})


actions = st.one_of([built(kind) for kind in ACTION_NAMES])
flows = st.builds(
    Callflow,
    st.lists(actions, max_size=4).map(tuple),
    text,
    st.none() | number,
    st.none() | text,
    st.none() | text,
)
qualities = st.builds(CallQuality, number, number, st.integers(0, 10_000))
legs = st.builds(
    LegSummary, text, st.booleans(), text, text, number, st.none() | number, number, st.sampled_from(CallStatus),
    st.none() | st.integers(100, 699), text, st.none() | st.sampled_from(HungUpBy), st.none() | text,
    st.none() | qualities,
)  # fmt: skip
faults = st.builds(ErrorDetails, st.sampled_from(ErrorCode), st.none() | text, st.none() | text, text)
summaries = st.builds(
    SessionSummary, text, text, st.sampled_from(CallStatus), number, number, text,
    st.lists(legs, max_size=2).map(tuple), st.none() | faults, st.none() | text,
)  # fmt: skip
fields = st.dictionaries(
    text.filter(lambda name: name not in {"self", "at", "kind"}),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | number | text,
    max_size=3,
)


@given(flows)
def test_a_callflow_comes_back_as_it_was(flow: Callflow) -> None:
    back = decode_callflow(encode_callflow(flow))
    assert back == flow
    assert [type(action) for action in back.actions] == [type(action) for action in flow.actions]


@given(summaries)
def test_a_summary_comes_back_as_it_was(summary: SessionSummary) -> None:
    back = decode_summary(encode_summary(summary))
    assert back == summary
    assert type(back.status) is CallStatus


@given(st.lists(st.tuples(number, text, fields), max_size=5))
def test_a_trace_comes_back_as_it_was(entries: list[tuple[float, str, dict[str, str]]]) -> None:
    trace = Trace("s")
    for at, kind, values in entries:
        trace.add(at, kind, **values)
    back = decode_trace("s", compress_trace(encode_trace(trace)))
    assert back == trace
    assert [[type(value) for value in entry.fields.values()] for entry in back.entries] == [
        [type(value) for value in entry.fields.values()] for entry in trace.entries
    ]


def test_every_action_of_the_plan_can_be_stored() -> None:
    assert set(ACTION_NAMES) == set(typing.get_args(plan.Action))


def test_a_field_that_this_version_does_not_know_is_ignored_and_one_that_lacks_has_its_default() -> None:
    back = decode_callflow(
        '{"actions":[["SAY",{"text":"a","voice_profile":"b","later":1}]],"call_flow_request_id":"r"}'
    )
    assert back == Callflow((Say("a", "b", speed=1.0, repetition=1),), "r")


@pytest.mark.parametrize(
    "written",
    ["", "{", "[]", '{"actions":[["DANCE",{}]],"call_flow_request_id":"r"}', '{"actions":[["SAY",{}]]}'],
)
def test_text_that_is_no_callflow_is_a_storage_error(written: str) -> None:
    with pytest.raises(StorageError, match="callflow cannot be read"):
        decode_callflow(written)


def test_bytes_that_are_no_trace_are_a_storage_error() -> None:
    with pytest.raises(StorageError, match="trace of s cannot be read"):
        decode_trace("s", b"not zlib")


def test_half_a_surrogate_pair_is_refused_clearly() -> None:
    with pytest.raises(StorageError, match="not Unicode"):
        encode_callflow(Callflow((Say("\ud83d", "en-US-JennyNeural"),), "r"))
