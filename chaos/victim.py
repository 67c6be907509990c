"""The processes that are killed: `callwright run`, forked from one that has loaded the program already.

    python -m chaos.victim

Reads one JSON line per victim from standard input: `{"point": …, "nth": …, "arguments": [...], "log": PATH}` ("point"
may be null: nobody kills it); answers `{"pid": …}`, and later `{"ended": pid, "status": …}`, -9 when it was killed.
Loading takes half a second each time; a fork takes ten milliseconds, and is a process of its own like any other.
"""

import json
import os
import select
import signal
import sys
from typing import Any

import callwright.node  # noqa: F401  what takes long to load
from callwright.cli import main as callwright_main
from chaos.points import arm


def _become(order: dict[str, Any]) -> None:
    """In the child: never returns."""
    with open(order["log"], "ab") as log:  # noqa: PTH123  descriptors are what matters here
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if order["point"] is not None:
        arm(order["point"], order["nth"])
    sys.argv = ["callwright", *order["arguments"]]
    os._exit(callwright_main(order["arguments"]))


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _reap(alive: set[int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        alive.discard(pid)  # from now on the number may be anybody's
        _say({"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def main() -> None:
    """Serve until standard input ends; then kill what is left."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.set_blocking(reading, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    alive: set[int] = set()
    pending = b""
    while True:
        ready, _, _ = select.select([0, reading], [], [])
        if reading in ready:
            os.read(reading, 4096)
            _reap(alive)
        if 0 not in ready:
            continue
        data = os.read(0, 65_536)
        if not data:
            break
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                os.close(writing)
                _become(json.loads(line))
            alive.add(pid)
            _say({"pid": pid})
    for pid in alive:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    main()
