"""The pages say what the code does: generated parts are fresh, links lead somewhere, commands and keys exist."""

import argparse
import ast
import importlib
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
from callwright.callflow.leg import TABLE, LegState
from callwright.contract.call_events import CallEvent, CallEventStatus, DtmfVersion, call_action, call_status
from callwright.contract.codes import ERROR_MESSAGES, StatusCode
from callwright.contract.otp_request import parse_verification
from callwright.contract.policy import RequestPolicy
from callwright.contract.recordings import Recording, RecordingStatus, recording_updated
from callwright.contract.reply import parse_reply
from callwright.contract.request import parse_callflow
from callwright.contract.virtual_numbers import VirtualNumber, numbers_updated
from callwright.contract.webhook_config import WEBHOOK_TYPES
from callwright.egress.client import Egress
from callwright.node import Node
from callwright.recordings.shelf import Recordings
from callwright.settings import SubAccount, Trunk, load, reference
from callwright.simulator.behaviour import SCRIPTED, Behaviour, Press
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
    keys = {field.name for kind in (Trunk, SubAccount) for field in fields(kind)} - {"name", "address"}
    assert [key for key in sorted(keys | {"uri"}) if f"`{key}`" not in text] == []


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


@pytest.mark.parametrize("name", ["api", "ivr", "webhooks", "durability", "operations"])
def test_every_code_that_a_page_names_exists(name: str) -> None:
    known = {str(int(code)) for code in (*StatusCode, *ERROR_MESSAGES)}
    for found in re.findall(r"[ (/`]-([12]\d{3}|9999)\b", page(f"docs/{name}.md")):
        assert f"-{found}" in known


def shape(value: object) -> object:
    """The names in a JSON value, all the way down; of a list the first element's."""
    if isinstance(value, dict):
        return {name: shape(inside) for name, inside in value.items()}
    return [shape(value[0])] if isinstance(value, list) else None


def event(status: CallEventStatus) -> CallEvent:
    return CallEvent("e", "c", "s", "riders_hq", status, inbound=False, source="+65", destination="+65", at=0.0)


def test_the_webhooks_page_shows_bodies_of_every_type_as_they_are_sent() -> None:
    recording = Recording("r", "s", "riders_hq", RecordingStatus.UPLOAD_COMPLETED, 0.0)
    number = VirtualNumber("+6531580000", "reference", 0.0, 0.0)
    sent = [
        call_status(event(CallEventStatus.CALL_DISCONNECTED)),
        call_action(event(CallEventStatus.ACTION_COMPLETED), dtmf="2", client_action_id="menu"),
        recording_updated(recording, "path"),
        numbers_updated("riders_hq", [number], frozenset({"+6531580000"})),
    ]
    examples = {body["eventType"]: body for body in map(json.loads, fences(ROOT / "docs/webhooks.md", "json"))}
    for body in sent:
        example = examples.pop(body["eventType"])
        assert list(example) == list(body)
        assert shape(example) == shape(body)
        assert example["description"] == body["description"]
    (summary,) = examples.values()
    assert summary["version"] == 5
    for kind in WEBHOOK_TYPES:
        assert f"| `{kind}` |" in page("docs/webhooks.md")


@pytest.mark.parametrize(("version", "shown"), [(3, "eventData"), (2, "eventData"), (1, "dtmf")])
def test_the_webhooks_page_says_where_each_payload_version_has_its_digits(version: DtmfVersion, shown: str) -> None:
    payload = call_action(event(CallEventStatus.ACTION_COMPLETED), dtmf="2", dtmf_version=version)["payload"]
    assert isinstance(payload, dict)
    row = next(line for line in page("docs/webhooks.md").splitlines() if line.startswith(f"| `{version}`"))
    assert f"`{json.dumps({shown: payload[shown]})[1:-1]}`" in row


def test_every_answer_that_the_conversations_page_shows_is_taken() -> None:
    (answer,) = fences(ROOT / "docs/ivr.md", "json")
    shown = re.findall(r"^\| (`\{.*\}`) \|", page("docs/ivr.md"), re.MULTILINE)
    for text in [answer, *(text for cell in shown for text in re.findall(r"`(\{.*?\})`", cell))]:
        parse_reply(text.encode(), RequestPolicy(), 0.0, "request")
    assert len(shown) == 2


def test_the_passcode_request_of_the_api_page_is_taken() -> None:
    (request,) = fences(ROOT / "docs/api.md", "json")
    assert parse_verification(request.encode()).code_length == 6


def test_the_picture_of_a_leg_has_every_state_and_every_step() -> None:
    drawn = set(re.findall(r"^    (\w+) --> (\w+):", page("docs/ivr.md"), re.MULTILINE))
    steps = {(state, cell.next_state) for (state, _), cell in TABLE.items() if state is not cell.next_state}
    assert drawn == {(one.name.lower(), two.name.lower()) for one, two in steps}
    assert {name for step in drawn for name in step} == {state.name.lower() for state in LegState}


def test_the_program_of_the_testing_page_names_what_there_is() -> None:
    (program,) = fences(ROOT / "docs/testing.md", "python")
    tree = ast.parse(program)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []
    known = {*inspect.signature(Behaviour).parameters, *inspect.signature(Press).parameters}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"Behaviour", "Press"}:
            assert {keyword.arg for keyword in node.keywords} <= known


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
