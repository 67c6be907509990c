"""Processor time and memory of a process and all its children, from Linux's /proc."""

import os
from pathlib import Path

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def family(pid: int) -> list[int]:
    """`pid` and everything below it that is alive."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting += children.get(current, [])
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of `pid` and its children, those that ended and were waited for included."""
    ticks = 0
    for member in family(pid):
        fields = _stat(member)
        if fields:
            ticks += sum(int(value) for value in fields[11:15])  # utime, stime, cutime, cstime
    return ticks * _TICK_SECONDS


def memory_bytes(pid: int) -> int:
    """Proportional set size of `pid` and its children: what they share counts once."""
    total = 0
    for member in family(pid):
        try:
            lines = (_PROC / str(member) / "smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def udp_arrivals(port: int) -> tuple[int, int]:
    """(bytes waiting, datagrams dropped for want of room) of the UDP sockets bound to `port`.

    A socket that is never read counts its datagrams this way at no cost of ours: what does not fit is dropped.
    """
    waiting = dropped = 0
    for line in (_PROC / "net" / "udp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].partition(":")[2], 16) == port:
            waiting += int(fields[4].partition(":")[2], 16)
            dropped += int(fields[12])
    return waiting, dropped


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name (state first); empty when the process is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
