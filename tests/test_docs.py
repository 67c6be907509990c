"""The pages say what the code does: generated parts are fresh, links lead somewhere, commands and keys exist."""

import argparse
import inspect
import json
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from callwright import cli
from callwright.api.app import ROUTES
from callwright.contract.codes import StatusCode
from callwright.contract.policy import RequestPolicy
from callwright.contract.request import parse_callflow
from callwright.egress.client import Egress
from callwright.node import Node
from callwright.recordings.shelf import Recordings
from callwright.settings import SubAccount, Trunk, load, reference
from callwright.simulator.behaviour import SCRIPTED
from callwright.speech.prompts import Prompts
from callwright.switchboard.board import Switchboard
from callwright.telephony.line import Telephony
from callwright.telephony.media.plane import MediaPlane
from callwright.webhooks.delivery import Deliverer

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
ROOMS = (Telephony, MediaPlane, Prompts, Egress, Deliverer, Recordings, Switchboard, Node)
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def fences(page: Path, language: str) -> Iterator[str]:
    """The code fences of a page in one language."""
    for found in FENCE.finditer(page.read_text(encoding="utf-8")):
        if found["language"] == language:
            yield found["text"]


def commands(page: Path) -> list[str]:
    """Every `$ callwright …` line of a page's `console` fences."""
    lines = [line for text in fences(page, "console") for line in text.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ callwright")]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_settings_table_is_what_the_code_says() -> None:
    assert reference() in page("docs/settings.md"), "run scripts/write-docs"


@pytest.mark.parametrize("name", ["docs/settings.md", "docs/operations.md"])
def test_the_example_of_a_settings_file_is_taken(name: str) -> None:
    (example,) = fences(ROOT / name, "toml")
    settings = load(example, {}, {})
    assert settings.trunks[0].username == "callwright"
    assert settings.sub_account("riders_hq").destinations[0] == "+65"


def test_every_key_of_the_tables_is_on_the_settings_page() -> None:
    text = page("docs/settings.md")
    keys = {field.name for kind in (Trunk, SubAccount) for field in fields(kind)} - {
        "name",
        "address",
        "register_seconds",
    }
    assert [key for key in sorted(keys | {"uri", "register", "expires"}) if f"`{key}`" not in text] == []


def test_every_route_is_on_the_api_page() -> None:
    text = page("docs/api.md")
    missing = []
    for name, method, path, _, _ in ROUTES:
        tail = path.removeprefix("/api/v1/subaccounts/{sub_account_id}").split("/")[1]
        lines = [line for line in text.splitlines() if f"/{tail}" in line and line.startswith("|")]
        if not any(method in line for line in lines):
            missing.append(name)
    assert missing == []


def test_every_door_of_the_architecture_page_is_there() -> None:
    doors = {kind.__name__: kind for kind in ROOMS}
    drawn = [text for text in fences(ROOT / "docs/architecture.md", "python") if text.startswith("class ")]
    assert {text.split()[1].rstrip(":") for text in drawn} == set(doors)
    for text in drawn:
        kind = doors[text.split()[1].rstrip(":")]
        for name, inside in re.findall(r"^    (?:async )?def (\w+)\((.*?)\)(?: ->|$)", text, re.MULTILINE):
            method = getattr(kind, name)
            known = [] if isinstance(method, property) else list(inspect.signature(method).parameters)
            for parameter in re.findall(r"(\w+): ", inside):
                assert parameter in known, f"{kind.__name__}.{name} has no parameter {parameter}"


def test_every_number_of_the_handset_is_on_the_testing_page() -> None:
    text = page("docs/testing.md")
    assert [ending for ending in SCRIPTED if f"`{ending}`" not in text] == []


def test_the_readmes_curl_is_a_callflow_that_is_taken() -> None:
    curl = next(text for text in fences(ROOT / "README.md", "sh") if text.startswith("curl"))
    body = shlex.split(curl.replace("\\\n", " "))[-1]
    assert len(parse_callflow(body.encode(), RequestPolicy(), 0.0, "request").actions) == 3


def test_what_stands_there_as_json_is_json() -> None:
    examples = [text for path in PAGES for text in fences(path, "json")]
    assert examples
    for example in examples:
        json.loads(example)


def test_every_code_that_a_page_names_exists() -> None:
    known = {str(int(code)) for code in StatusCode}
    for found in re.findall(r"-(1\d{3}|9999)\b", page("docs/api.md")):
        assert f"-{found}" in known


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(path: Path) -> None:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for found in LINK.finditer(text):
        target = found["target"].partition("#")[0]
        if target and "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", [path for path in PAGES if commands(path)], ids=lambda path: path.name)
def test_every_command_that_a_page_shows_is_one(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in commands(path):
        words = shlex.split(command)[1:]
        try:
            arguments = cli.parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{path.name}: {command}\n{capsys.readouterr().err}")
        assert isinstance(arguments, argparse.Namespace)
        assert arguments.command in cli.COMMANDS


def test_every_page_is_reachable_from_the_readme() -> None:
    linked = {found["target"].partition("#")[0] for found in LINK.finditer(page("README.md"))}
    for name in linked.copy():
        if name.endswith(".md"):
            base = Path(name).parent
            linked |= {str(base / found["target"]) for found in LINK.finditer(page(name))}
    missing = [path.name for path in ROOT.glob("docs/*.md") if f"docs/{path.name}" not in linked]
    assert missing == []


def test_the_picture_is_well_formed_and_loads_nothing() -> None:
    text = page("docs/flow.svg")
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "<script" not in text
    assert "href" not in text


def test_what_is_made_from_the_code_and_the_last_result_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "write-docs"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run scripts/write-docs ({done.stdout}{done.stderr})"
