"""The examples run as they stand, each a process of its own against a running callwright."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.asyncio(loop_scope="session")
async def test_call_and_wait_calls_and_gets_its_report(site: Any) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / "call_and_wait.py"),
        site.node.development_key,
        "--url",
        site.base_url,
        "--number",
        "+6512340200",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    accepted, ended = out.decode().splitlines()
    assert accepted.startswith("accepted: ")
    assert ended.startswith("COMPLETED: +6512340200, ")
