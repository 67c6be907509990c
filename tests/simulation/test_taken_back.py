"""A database that goes away in the middle of an acceptance: what a client was given an answer for is carried out.

Chance hits those milliseconds too seldom, so each plan is bent: the database goes away as the first request is written,
and every client asks again, of any node, before the first one knows what became of it.
"""

import dataclasses
import random
from typing import Any, cast

from simulation.disk import Disk
from simulation.plan import Plan
from simulation.process import RIGHT, Wrongs
from simulation.run import simulate
from tests.simulation.wrongs import Through

from callwright.storage.store import Store

SEEDS = range(1, 41)
FOUND_WITHIN = range(1, 121)


def away_in_the_middle(plan: Plan, chance: random.Random) -> None:
    plan.nodes = chance.choice((1, 2, 2))
    plan.kills, plan.stops, plan.pauses, plan.callers = [], [], [], []
    plan.posts = [
        dataclasses.replace(post, key=f"key-{number}", hang_up_after=None) for number, post in enumerate(plan.posts)
    ]
    begins = plan.posts[0].at + chance.uniform(0, 0.015)
    plan.away = [(begins, begins + chance.choice((0.1, 1.0, 1.5, 3.0)))]
    plan.loses_answers = True


class GivesAgainSilently(Through):
    """Gives an answer again without writing so."""

    async def give_again(self, _: object) -> bool:
        """Nothing is written."""
        return True


def test_who_was_given_an_answer_is_called(disk: Disk) -> None:
    assert [seed for seed in SEEDS if simulate(seed, disk, RIGHT, bend=away_in_the_middle).violations] == []


def test_an_answer_that_is_given_again_silently_is_found_out(disk: Disk) -> None:
    wrongs = Wrongs(answers=lambda store: cast("Store", cast("Any", GivesAgainSilently(store))))
    assert any(simulate(seed, disk, wrongs, bend=away_in_the_middle).violations for seed in FOUND_WITHIN)
