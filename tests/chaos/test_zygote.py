"""What the harness is told of its victims."""

import sys
from pathlib import Path

from chaos.outside import Zygote, until

FIRST = 1
SAME_NUMBER_TWICE = f"""#!{sys.executable}
import json, sys
for told, line in enumerate(sys.stdin, start=1):
    print(json.dumps({{"pid": 4711}}), flush=True)
    if told == {FIRST}:
        print(json.dumps({{"ended": 4711, "status": -9}}), flush=True)
"""


async def test_a_victim_with_the_number_of_a_dead_one_is_alive(tmp_path: Path) -> None:
    program = tmp_path / "zygote"
    program.write_text(SAME_NUMBER_TWICE)
    program.chmod(0o700)
    async with Zygote.started(str(program), {}) as zygote:
        pid = await zygote.fork([], tmp_path / "log")
        await until(lambda: zygote.endings.get(pid) == -9, 60, "the first one's end")
        assert await zygote.fork([], tmp_path / "log") == pid
        assert pid not in zygote.endings
