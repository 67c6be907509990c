"""A disk for simulations, made once: preparing a database takes longer than many of them."""

import pytest
from simulation.disk import Disk


@pytest.fixture(scope="session")
def disk() -> Disk:
    """Used by one simulation at a time."""
    return Disk()
