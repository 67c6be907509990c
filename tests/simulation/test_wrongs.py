"""The simulation bites: callwright made wrong on purpose is found out, whichever promise it breaks."""

import pytest
from simulation.disk import Disk
from simulation.run import simulate
from tests.simulation.wrongs import WRONGS

ENOUGH = 60


@pytest.mark.parametrize("name", WRONGS)
def test_a_broken_promise_is_found_within_few_seeds(name: str, disk: Disk) -> None:
    assert any(simulate(seed, disk, WRONGS[name]).violations for seed in range(1, ENOUGH)), name
