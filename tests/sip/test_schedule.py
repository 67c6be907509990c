"""The schedule: whatever moves, everything ticks at its deadline, and nothing that has none."""

from random import Random
from weakref import ref

from callwright.sip.schedule import FEW, Entry, Schedule


class Alarm:
    """Rings at its deadline, and then waits for the next of `later`."""

    def __init__(self, *deadlines: float) -> None:
        self._later = list(deadlines)
        self.scheduled: Entry | None = None
        self.deadline: float | None = self._later.pop(0)
        self.rang: list[float] = []

    def tick(self, now: float) -> None:
        self.rang.append(now)
        self.deadline = self._later.pop(0) if self._later else None


def test_the_earliest_deadline_is_known() -> None:
    schedule = Schedule()
    assert schedule.deadline is None
    for at in (5.0, 3.0, 4.0):
        schedule.note(Alarm(at))
    assert schedule.deadline == 3.0


def test_everything_due_ticks_once_per_deadline_in_order() -> None:
    schedule, alarm = Schedule(), Alarm(1, 2, 9)
    schedule.note(alarm)
    schedule.tick(0.9)
    assert alarm.rang == []
    schedule.tick(1)
    schedule.tick(5)
    assert (alarm.rang, schedule.deadline) == ([1, 5], 9)


def test_a_deadline_that_moves_is_followed() -> None:
    schedule, alarm = Schedule(), Alarm(5)
    schedule.note(alarm)
    alarm.deadline = 2
    schedule.note(alarm)
    assert schedule.deadline == 2
    alarm.deadline = 8
    schedule.note(alarm)
    assert schedule.deadline == 8
    schedule.tick(7)
    assert alarm.rang == []
    schedule.tick(8)
    assert alarm.rang == [8]
    assert schedule.deadline is None


def test_a_dropped_deadline_never_ticks_and_may_come_back() -> None:
    schedule, alarm = Schedule(), Alarm(5)
    schedule.note(alarm)
    alarm.deadline = None
    assert schedule.deadline is None
    alarm.deadline = 6
    schedule.note(alarm)
    schedule.tick(6)
    assert alarm.rang == [6]


def test_it_agrees_with_looking_at_everything_however_deadlines_move() -> None:
    random = Random(1)
    schedule, alarms = Schedule(), [Alarm(random.uniform(0, 100)) for _ in range(50)]
    for alarm in alarms:
        schedule.note(alarm)
    for step in range(2000):
        alarm = random.choice(alarms)
        alarm.deadline = random.choice([None, random.uniform(step / 20, 100)])
        schedule.note(alarm)
        now = step / 20
        expected = [one for one in alarms if one.deadline is not None and one.deadline <= now]
        before = sum(len(one.rang) for one in alarms)
        schedule.tick(now)
        assert sum(len(one.rang) for one in alarms) - before == len(expected)
        assert schedule.deadline == min((one.deadline for one in alarms if one.deadline is not None), default=None)


def test_what_waits_for_nothing_any_more_is_not_kept_until_its_time() -> None:
    schedule, alarm = Schedule(), Alarm(240)
    schedule.note(Alarm(5))
    schedule.note(alarm)
    alarm.deadline = None
    schedule.note(alarm)
    gone = ref(alarm)
    del alarm
    assert gone() is None
    assert schedule.deadline == 5


def test_deadlines_that_were_dropped_do_not_pile_up() -> None:
    schedule = Schedule()
    schedule.note(Alarm(1))
    for at in range(10 * FEW):
        alarm = Alarm(240 + at)
        schedule.note(alarm)
        alarm.deadline = None
        schedule.note(alarm)
    assert len(schedule) <= 2 * FEW
    schedule.tick(1)
    assert (len(schedule), schedule.deadline) == (0, None)
