"""What kind of machine this is: enough to compare results, and no names."""

import os
import platform
from pathlib import Path


def machine() -> dict[str, str | int]:
    """Cores, processor, memory, kernel and Python."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "python": platform.python_version(),
    }


def host_kind() -> str:
    """A word for file names: `linux-x86_64-2-cores`."""
    return f"{platform.system().lower()}-{platform.machine()}-{len(os.sched_getaffinity(0))}-cores"


def load_average() -> float:
    """Of the last minute: how busy others kept the machine."""
    return round(os.getloadavg()[0], 2)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
