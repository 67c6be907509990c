"""Story: `callwright run` as a new user meets it, and the commands beside it."""

import asyncio
import json
import re
import shlex
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx
import pytest
import pytest_asyncio

from callwright.audio import tones, wav
from callwright.audio.compare import find_tones

if TYPE_CHECKING:
    from tests.conftest import OpenShell
    from tests.programs import Platform, Shell

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def home(
    tmp_path_factory: pytest.TempPathFactory, shell_in: "OpenShell"
) -> AsyncIterator[tuple["Platform", "Shell"]]:
    """A `callwright run` that was set up by environment variables alone, and a shell in its folder."""
    async with AsyncExitStack() as stack:
        shell = shell_in(tmp_path_factory.mktemp("home"), stack)
        platform = await shell.platform(CALLWRIGHT_HTTP="127.0.0.1:0", CALLWRIGHT_API_KEY="a-key-of-my-own")
        yield platform, shell


async def curl(command: str, shell: "Shell") -> dict[str, object]:
    """Run the curl that was printed; without curl on this machine, the same request word for word."""
    words = shlex.split(command.replace("\\\n", " "))
    assert words[0] == "curl"
    if shutil.which("curl"):
        ended = await (await shell.start(*words, "--silent", "--show-error")).end()
        assert ended.status == 0, ended.err
        return dict(json.loads(ended.out))
    values = dict(zip(words[1::2], words[2::2], strict=False))
    headers = dict(re.findall(r'-H "([^:]+): ([^"]+)"', command))
    url = next(word for word in words if word.startswith("http://"))
    body = command.partition("-d '")[2].rpartition("'")[0]
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.request(values.get("-X", "POST"), url, headers=headers, content=body)
    return dict(answer.json())


async def test_it_prints_a_sub_account_a_key_and_a_curl_that_works(home: tuple["Platform", "Shell"]) -> None:
    platform, shell = home
    said = platform.program.out
    assert re.search(r"sub-account +riders_hq", said)
    assert platform.key == "a-key-of-my-own"
    command = re.search(r"^curl .*?\}'$", said, re.DOTALL | re.MULTILINE)
    assert command is not None
    answer = await curl(command[0], shell)
    assert (answer["sessionStatus"], answer["statusCode"]) == ("CREATED", 1)
    session_id = str(answer["sessionId"])
    short = session_id[:8]
    for step in ("dialling", "ringing", r"answered \(PCMU\)", "playing", "message played", "hung up", "COMPLETED"):
        await platform.program.says(rf"call {short} \+65••••5678 .*{step}")
    path = (await platform.program.says(rf"heard [\d.]+ s: (\S*{session_id}\.wav)"))[1]
    sound = wav.parse((shell.folder / path).read_bytes())
    assert sound.duration_seconds > 1.0
    assert "12345678" not in platform.program.err


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        pytest.param("+6512340200", 0, "COMPLETED", id="completed"),
        pytest.param("+6512340486", 3, "BUSY", id="busy"),
        pytest.param("+6512340480", 4, "NO_ANSWER", id="no answer"),
        pytest.param("+6512340404", 5, "FAILED", id="failed"),
    ],
)
async def test_the_exit_status_of_call_tells_how_it_ended(
    home: tuple["Platform", "Shell"], number: str, status: int, words: str
) -> None:
    platform, shell = home
    ended = await shell.ended("call", number, "One.", "--http", platform.address)
    assert ended.status == status, ended.err
    assert words in ended.out
    steps = ["calling", "answered (PCMU)", "playing", "hung up"] if status == 0 else ["calling", "not answered"]
    for step in steps:
        assert step in ended.err


async def test_call_prints_json_for_machines(home: tuple["Platform", "Shell"]) -> None:
    platform, shell = home
    options = ["--voice", "en-GB-RyanNeural", "--speed", "1.5", "--repeat", "2", "--json"]
    ended = await shell.ended("call", "+6512340200", "One.", *options, "--http", platform.address)
    assert ended.status == 0, ended.err
    session = json.loads(ended.out)
    assert session["summary"]["sessionStatus"] == "COMPLETED"
    explained = await shell.ended("explain", "last", "--json")
    trace = json.loads(explained.out)["trace"]
    assert {entry["profile"] for entry in trace if entry["kind"] == "speech.voice"} == {"en-GB-RyanNeural"}
    assert {entry["repetition"] for entry in trace if entry["kind"] == "command.Play"} == {2}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        pytest.param(["+6512340200", "One.", "--file", "x.mp3"], 2, "either a TEXT", id="text and file"),
        pytest.param(["+6512340200"], 2, "either a TEXT", id="neither"),
        pytest.param(["+6512340200", "--file", "nothing.mp3"], 2, "nothing.mp3", id="no such file"),
        pytest.param(["12", "One."], 1, "-1017", id="no number"),
        pytest.param(["+6512340200", "One.", "--voice", "nobody"], 1, "-1002", id="no voice"),
        pytest.param(["+6512340200", "One.", "--api-key", "wrong-key"], 1, "401", id="wrong key"),
        pytest.param(["+6512340200", "One.", "--http", "127.0.0.1:1"], 1, "--http", id="nobody there"),
    ],
)
async def test_call_says_what_is_wrong(
    home: tuple["Platform", "Shell"], arguments: list[str], status: int, words: str
) -> None:
    platform, shell = home
    place = [] if "--http" in arguments else ["--http", platform.address]
    ended = await shell.ended("call", *arguments, *place)
    assert (ended.status, ended.out) == (status, "")
    assert words in ended.err
    assert "Traceback" not in ended.err


async def test_listen_prints_one_delivery_and_cleans_up(home: tuple["Platform", "Shell"]) -> None:
    platform, shell = home
    listening = await shell.callwright("listen", "--count", "1", "--json", "--http", platform.address)
    await listening.says("arrive here")
    called = await shell.ended("call", "+6512340486", "One.", "--http", platform.address)
    heard = await listening.end()
    assert (called.status, heard.status) == (3, 0)
    body = json.loads(heard.out)
    assert (body["eventType"], body["payload"]["sessionStatus"]) == ("SESSION_SUMMARY", "BUSY")
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://{platform.address}/api/v1/subaccounts/riders_hq/webhooks"
        answer = await client.get(url, headers={"Authorization": f"Bearer {platform.key}"})
    assert answer.json()["webhooks"] == []


async def test_a_key_is_made_used_listed_and_revoked_beside_the_running_server(
    home: tuple["Platform", "Shell"],
) -> None:
    platform, shell = home
    made = await shell.ended("keys", "create", "riders_hq", "--name", "second")
    assert made.status == 0, made.err
    key = made.out.strip()
    assert key.startswith("cw_")
    async with httpx.AsyncClient(base_url=f"http://{platform.address}", trust_env=False) as client:
        client.headers["Authorization"] = f"Bearer {key}"

        async def until(status: int) -> None:
            async with asyncio.timeout(60):
                # Another process did it: there is nothing to wait for but the answer.
                while (await client.get("/api/v1/subaccounts/riders_hq/webhooks")).status_code != status:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)

        await until(200)
        listed = await shell.ended("keys", "list", "--json")
        assert key not in listed.out
        (row,) = (row for row in json.loads(listed.out) if row["name"] == "second")
        assert row["revokedAt"] is None
        revoked = await shell.ended("keys", "revoke", row["keyId"])
        assert revoked.status == 0, revoked.err
        await until(401)
    again = await shell.ended("keys", "revoke", row["keyId"])
    assert again.status == 2
    database = b"".join(path.read_bytes() for path in (shell.folder / "callwright-data").glob("callwright.db*"))
    assert key.encode() not in database


async def test_the_platforms_own_pages_answer(home: tuple["Platform", "Shell"]) -> None:
    platform, _ = home
    async with httpx.AsyncClient(base_url=f"http://{platform.address}", trust_env=False) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        assert "callwright_http_answers_total" in (await client.get("/metrics")).text


async def test_a_second_platform_on_the_same_data_is_refused(home: tuple["Platform", "Shell"]) -> None:
    _, shell = home
    ended = await shell.ended("run", "--http", "127.0.0.1:0", "--sip", "127.0.0.1:0")
    assert ended.status in (1, 2)
    assert "callwright-data" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("flag", "kind"),
    [
        pytest.param("--http", socket.SOCK_STREAM, id="HTTP"),
        pytest.param("--sip", socket.SOCK_DGRAM, id="SIP"),
    ],
)
async def test_a_port_that_is_taken_names_the_flag(shell: "Shell", flag: str, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        addresses = {"--http": "127.0.0.1:0", "--sip": "127.0.0.1:0", flag: taken}
        ended = await shell.ended("run", *(word for pair in addresses.items() for word in pair))
    assert ended.status == 2, ended.err
    assert flag in ended.err
    assert taken in ended.err
    assert len(ended.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("toml", "arguments", "environment", "words"),
    [
        pytest.param('htpp = "127.0.0.1:1"', [], {}, "'htpp'", id="key"),
        pytest.param("", [], {"CALLWRIGHT_HTPP": "127.0.0.1:1"}, "CALLWRIGHT_HTPP", id="variable"),
        pytest.param("", ["--htpp", "127.0.0.1:1"], {}, "--htpp", id="flag"),
        pytest.param("", ["--rtp-ports", "9-1"], {}, "--rtp-ports", id="wrong value"),
        pytest.param("", ["--config", "nothing.toml"], {}, "nothing.toml", id="no such file"),
    ],
)
async def test_settings_that_are_not_known_or_wrong(
    shell: "Shell", toml: str, arguments: list[str], environment: dict[str, str], words: str
) -> None:
    (shell.folder / "callwright.toml").write_text(toml)
    ended = await shell.ended("run", *arguments, **environment)
    assert ended.status == 2
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert not (shell.folder / "callwright-data").exists()


async def test_a_message_of_ones_own_file(home: tuple["Platform", "Shell"]) -> None:
    platform, shell = home
    (shell.folder / "tone.wav").write_bytes(wav.serialize(tones.sine(900.0, 0.5, rate=16_000), 16_000))
    ended = await shell.ended("call", "+6512340200", "--file", "tone.wav", "--json", "--http", platform.address)
    assert ended.status == 0, ended.err
    session_id = json.loads(ended.out)["sessionId"]
    path = (await platform.program.says(rf"heard [\d.]+ s: (\S*{session_id}\.wav)"))[1]
    (tone,) = find_tones(wav.parse((shell.folder / path).read_bytes()).samples, most=1)
    assert abs(tone - 900.0) < 5
