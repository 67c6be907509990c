"""What a test needs of the machine."""

import os
import shutil

import pytest


def need(program: str) -> str:
    """Where a peer is; the test is skipped without it, and fails in CI, where all of them are installed."""
    path = shutil.which(program)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is missing: scripts/install-peers installs it")
        pytest.skip(f"{program} is not installed: scripts/install-peers installs it")
    return path
