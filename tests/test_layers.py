"""Imports point down, rooms on one floor do not know each other, and the lower floors are pure."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "callwright"

FLOORS: dict[int, tuple[str, ...]] = {
    7: ("__main__", "cli", "node"),
    6: ("api", "console", "simulator"),
    5: ("switchboard", "doctor"),
    4: ("telephony", "speech", "webhooks", "recordings", "storage", "egress"),
    3: ("telemetry",),
    2: ("contract",),
    1: ("callflow", "sip", "rtp", "audio"),
    0: (
        "errors",
        "numbers",
        "retries",
        "settings",
        "settings_address",
        "settings_speech",
        "settings_table",
        "settings_trunk",
    ),
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
TOP = 7
PURE_FLOORS = 2
IMPURE_MODULES = {
    *("asyncio", "concurrent", "ctypes", "http", "httpx", "logging", "multiprocessing", "os", "pathlib", "queue"),
    *("random", "secrets", "select", "selectors", "signal", "socket", "ssl", "subprocess", "sqlalchemy", "tempfile"),
    *("threading", "time", "urllib.request"),
}
EGRESS_ONLY = {"httpx", "httpcore", "http", "aiohttp", "requests", "urllib3"}
MAY_SPEAK_HTTP_OUT = {"egress", "cli"}  # the command line is a client of callwright's own API
# Neighbours that know each other on purpose, each with its reason.
ALLOWED_NEIGHBOURS = {
    ("speech", "egress"): "egress is the one door out: cloud speech and fileUrl pass it",
    ("webhooks", "egress"): "egress is the one door out: webhooks pass it",
    ("recordings", "egress"): "egress is the one door out: pushed recordings pass it",
}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports_of(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Every imported module's dotted name, with its line; relative imports are resolved against `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package.split(".")[: len(package.split(".")) - node.level + 1], base]).rstrip(".")
            if base == "callwright":
                for alias in node.names:
                    yield node.lineno, f"callwright.{alias.name}"
            else:
                yield node.lineno, base


def violations(module: str, source: str, *, is_package: bool) -> list[str]:
    """What one module's text breaks; empty when it keeps the house rules."""
    room = room_of(module)
    floor = FLOOR_OF.get(room)
    package = module if is_package else module.rpartition(".")[0]
    found: list[str] = []
    if room and floor is None:
        return [f"{module}: the room '{room}' stands on no floor (tests/test_layers.py)"]
    for line, name in imports_of(ast.parse(source), package):
        top = name.split(".")[0]
        if top == "callwright":
            other = room_of(name)
            if not other or other == room or floor is None:
                continue
            other_floor = FLOOR_OF.get(other)
            if other_floor is None:
                found.append(f"{module}:{line} imports {name}, which stands on no floor")
            elif other_floor > floor:
                found.append(f"{module}:{line} imports {name} from the floor above")
            elif other_floor == floor and 0 < floor < TOP and (room, other) not in ALLOWED_NEIGHBOURS:
                found.append(f"{module}:{line} imports its neighbour {name}")
        elif floor is not None and floor <= PURE_FLOORS and (name in IMPURE_MODULES or top in IMPURE_MODULES):
            found.append(f"{module}:{line} is on a pure floor and imports {name}")
        elif top in EGRESS_ONLY and room not in MAY_SPEAK_HTTP_OUT and name != "http":
            found.append(f"{module}:{line} imports {name}; only egress opens outgoing HTTP connections")
    return found


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = ("callwright", *path.relative_to(SOURCE).with_suffix("").parts)
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


@pytest.mark.parametrize(("module", "path"), [pytest.param(m, p, id=m) for m, p in modules()])
def test_every_module_keeps_to_its_floor(module: str, path: Path) -> None:
    assert violations(module, path.read_text(), is_package=path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("callwright.sip.parse", "import callwright.telephony.agent", "from the floor above"),
        ("callwright.sip.parse", "from callwright import telephony", "from the floor above"),
        ("callwright.sip.parse", "from ..rtp import packet", "its neighbour"),
        ("callwright.sip.parse", "import asyncio", "pure floor"),
        ("callwright.contract.request", "from os import path", "pure floor"),
        ("callwright.contract.request", "def f():\n    import time", "pure floor"),
        ("callwright.storage.store", "from callwright.webhooks import deliver", "its neighbour"),
        ("callwright.webhooks.deliver", "import httpx", "only egress"),
        ("callwright.garage.car", "x = 1", "no floor"),
        ("callwright.api.app", "import callwright.garage", "no floor"),
    ],
)
def test_a_broken_rule_is_seen(module: str, source: str, complaint: str) -> None:
    assert [v for v in violations(module, source, is_package=False) if complaint in v]


def test_what_is_allowed_is_not_complained_of() -> None:
    source = "import callwright.sip.parse\nfrom callwright.errors import SdpError\nimport asyncio\nimport http"
    assert violations("callwright.telephony.agent", source, is_package=False) == []
