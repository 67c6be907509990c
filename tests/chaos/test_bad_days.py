"""Short forms of the bad days: PostgreSQL is restarted, killed and stopped, the disk is full, the wall clock jumps."""

import os
from pathlib import Path

import pytest
from chaos.served import Conversation
from tests import needs
from tests.postgres import programs as postgres_programs

from chaos import clock, database, disk

pytestmark = pytest.mark.real


def need(found: object, what: str) -> None:
    """Missing peers fail in CI and skip elsewhere."""
    if not found:
        assert not os.environ.get("CI"), what
        pytest.skip(what)


async def test_postgresql_that_is_restarted_killed_and_stopped_loses_nothing(tmp_path: Path) -> None:
    needs.need("sipp")
    need(postgres_programs(), "PostgreSQL is missing; scripts/install-peers installs it")
    outcome = await database.bad_days(tmp_path, 30, 5.0, 1, calm_seconds=1.0, away_seconds=1.5)
    assert outcome.sessions + outcome.refused == 30
    assert sum(moment.times for moment in outcome.moments) >= 2
    assert not outcome.broken(), outcome.faults


async def test_a_full_disk_refuses_and_recovers_without_a_restart(tmp_path: Path) -> None:
    needs.need("sipp")
    need(disk.can_mount(), "mounting a small disk takes root")
    outcome = await disk.bad_day(tmp_path, 12, calls=3, refusals=10)
    assert outcome.calls_up == 4
    assert outcome.refused >= 10
    assert not outcome.faults


async def test_a_wall_clock_that_jumps_moves_no_timer(tmp_path: Path) -> None:
    needs.need("sipp")
    need(clock.library(), "libfaketime is missing; scripts/install-peers installs it")
    (ahead, back) = await clock.bad_day(tmp_path, (clock.DAY, -clock.HOUR), refusals=1)
    assert not ahead.faults + back.faults
    assert len(ahead.retry_errors_seconds) == len(back.retry_errors_seconds) == 1


def test_the_reckoning_finds_what_is_wrong() -> None:
    def post(number: str, session_id: str, *, is_long: bool = False) -> database.Post:
        return database.Post(number, {}, is_long=is_long, gives_up=False, session_id=session_id)

    posts = [
        post("+1", "lost"), post("+2", "differs"), post("+3", "again"), post("+4", "short", is_long=True),
        post("+5", ""), post("+6", "alone"), post("+7", "fine"),
    ]  # fmt: skip
    body = b'{"payload": {}}'
    summaries = {name: [("w", body)] for name in ("again", "short", "alone", "fine")}
    summaries["differs"] = [("w", body), ("w", body + b" ")]
    listed = dict.fromkeys((*summaries, "stranger"), "COMPLETED") | {"lost": "IN_PROGRESS"}
    ended = Conversation("ended", 1.0)
    calls = {f"+{number}": [ended] for number in (1, 2, 4, 5, 7)}
    calls |= {"+3": [ended, ended], "+6": [Conversation("orphan", 31.0)]}
    outcome = database.Outcome([])
    database.reckon(outcome, posts, summaries, listed, calls, {False: 1.0, True: 7.0})
    assert (outcome.lost, outcome.told_twice, outcome.dialled_twice) == (1, 1, 1)
    assert (outcome.cut_short, outcome.orphans, outcome.acted) == (1, 1, 2)
    assert len(outcome.faults) == 7
    assert outcome.broken()
