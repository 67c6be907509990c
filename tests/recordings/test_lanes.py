"""Who is next."""

from hypothesis import given
from hypothesis import strategies as st

from callwright.recordings.lanes import Lanes, Waiting

NOW = 1000.0


def waiting(name: str, account: str = "a", due_at: float = NOW) -> Waiting:
    return Waiting(due_at, name, "session", account, 0.0, 1.0)


def names(taken: list[Waiting]) -> list[str]:
    return [each.recording_id for each in taken]


def test_a_target_that_was_not_tried_gets_one_and_more_once_it_took_it() -> None:
    lanes = Lanes(most_per_target=3)
    for number in range(6):
        lanes.add(waiting(str(number)))
    assert names(lanes.take(NOW)) == ["0"]
    assert lanes.take(NOW) == []
    lanes.back("a", sound=True)
    assert names(lanes.take(NOW)) == ["1", "2", "3"]
    lanes.back("a", sound=False)
    assert lanes.take(NOW) == []


def test_what_is_not_due_waits_until_it_is() -> None:
    lanes = Lanes()
    lanes.add(waiting("later", due_at=NOW + 5))
    assert lanes.take(NOW) == []
    assert lanes.next_at(NOW) == NOW + 5
    assert names(lanes.take(NOW + 5)) == ["later"]
    assert lanes.next_at(NOW + 5) == float("inf")


def test_what_is_due_and_has_no_room_is_not_waited_for_with_a_clock() -> None:
    lanes = Lanes()
    lanes.add(waiting("first"))
    lanes.add(waiting("second"))
    lanes.take(NOW)
    assert lanes.next_at(NOW) == float("inf")


def test_targets_that_fail_fill_only_their_own_room() -> None:
    lanes = Lanes(most_on_the_way=3, most_to_failing=2)
    for number in range(8):
        for another in range(9):
            lanes.add(waiting(f"{another}-{number}", f"dead-{number}"))
    for _ in range(8):
        for each in lanes.take(NOW):
            lanes.back(each.sub_account_id, sound=False)
    assert len(lanes.take(NOW)) == 2
    lanes.add(waiting("mine", "alive"))
    assert names(lanes.take(NOW)) == ["mine"]


def test_a_new_target_is_tried_at_once() -> None:
    lanes = Lanes()
    lanes.add(waiting("one", due_at=NOW + 3600))
    lanes.add(waiting("two", due_at=NOW + 7200))
    lanes.hasten("a", NOW)
    lanes.hasten("somebody else", NOW)
    assert names(lanes.take(NOW)) == ["one"]
    lanes.back("a", sound=True)
    assert names(lanes.take(NOW)) == ["two"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 3)), max_size=60))
def test_nothing_is_lost_and_no_limit_is_passed(steps: list[tuple[str, bool, int]]) -> None:
    lanes = Lanes(most_per_target=2, most_on_the_way=3, most_to_failing=1)
    added, taken, away = 0, 0, []
    for account, sound, late in steps:
        lanes.add(waiting(str(added), account, NOW + late))
        added += 1
        begun = lanes.take(NOW + 3)
        taken += len(begun)
        away += [each.sub_account_id for each in begun]
        assert len(away) <= 4
        assert all(away.count(each) <= 2 for each in "abc")
        if away:
            lanes.back(away.pop(0), sound=sound)
    while away:
        lanes.back(away.pop(0), sound=True)
        begun = lanes.take(NOW + 3)
        taken += len(begun)
        away += [each.sub_account_id for each in begun]
    assert taken == added
