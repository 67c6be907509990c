"""Each thing that may be wrong with a trunk, provoked for real, and found in a sentence with its cure."""

import asyncio
import re
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.doctor.world import World

from callwright.doctor.examine import Wish, examine
from callwright.doctor.finding import Finding, Level
from callwright.settings import HostPort
from callwright.simulator.behaviour import Behaviour
from callwright.simulator.carrier import Carrier
from callwright.simulator.loopback import own_host, unused_port, unused_ports
from callwright.sip.transactions.timers import Timers
from callwright.telemetry.clock import platform_clock
from callwright.telephony.line import TelephonySettings
from callwright.telephony.signalling import Listening
from callwright.telephony.trunk import Trunk

if TYPE_CHECKING:
    from tests.telephony.conftest import Authority

NUMBER = "+6591234567"
CALL = Wish(NUMBER, "+6531350000", tone_seconds=0.5)
LOOK = Wish()


async def findings(trunk: Trunk, wish: Wish = CALL, settings: TelephonySettings | None = None) -> list[Finding]:
    line = settings or TelephonySettings("127.0.0.1", 0, unused_ports(8), (), stop_limit_seconds=0.5)
    return [finding async for finding in examine(trunk, line, wish, platform_clock())]


async def in_world(world: World, trunk: Trunk | None = None, wish: Wish = CALL) -> list[Finding]:
    async with world.running():
        host, port = world.address
        return await findings(replace(trunk or Trunk("main", ""), host=host, port=port), wish)


def only(found: list[Finding], check: str, level: Level) -> Finding:
    """The one finding of that kind."""
    (one,) = [finding for finding in found if (finding.check, finding.level) == (check, level)]
    return one


def failures(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.check, finding.text) for finding in found if finding.level is Level.FAILURE]


async def test_a_good_trunk_has_nothing_to_mend() -> None:
    found = await in_world(World())
    assert [finding for finding in found if finding.level is not Level.OK] == []
    texts = {finding.check: finding.text for finding in found}
    assert texts["options"] == "OPTIONS was answered 200 OK"
    assert texts["call"] == f"the call to {NUMBER} was answered, with PCMU"
    assert texts["sound"] == "our tone came back: sound goes both ways"
    assert texts["keys"].endswith("keys that were played as tones came through: 147")


async def test_without_a_number_no_call_is_made() -> None:
    world = World()
    found = await in_world(world, wish=LOOK)
    assert only(found, "call", Level.NOTE).mend.startswith("--call NUMBER")
    assert {request.method for request in world.requests} == {"OPTIONS"}


# --- signalling -----------------------------------------------------------------------------------------------------


async def test_a_refused_port_is_found_over_udp_and_tcp() -> None:
    host, port = own_host(), unused_port(own_host())
    found = await findings(Trunk("main", host, port))
    assert only(found, "options", Level.FAILURE).mend == "uri (host, port and transport)"
    found = await findings(Trunk("main", host, port, transport="TCP"))
    refused = only(found, "connection", Level.FAILURE)
    assert "refused" in refused.text.lower()
    assert "uri" in refused.mend
    assert found[-1] is refused  # nothing else is tried


async def test_a_trunk_that_does_not_answer_at_all() -> None:
    found = await in_world(World(statuses={"OPTIONS": 0, "INVITE": 0}), wish=LOOK)
    assert "firewall" in only(found, "options", Level.FAILURE).mend


async def test_a_trunk_that_answers_calls_and_no_options_is_only_warned_of() -> None:
    found = await in_world(World(statuses={"OPTIONS": 0}))
    assert only(found, "options", Level.WARNING).text == "OPTIONS was not answered within 5 s"
    assert failures(found) == []


async def test_a_name_that_does_not_resolve_shows_what_was_asked() -> None:
    found = await findings(Trunk("main", "nowhere.invalid", port_named=False))
    missing = only(found, "names", Level.FAILURE)
    assert "A nowhere.invalid" in missing.text
    assert "uri" in missing.mend
    assert found[-1] is missing


@pytest.mark.parametrize(
    ("world", "trunk", "check", "words", "mend"),
    [
        (World(challenge=True), Trunk("m", "", username="us", password="no"), "options", "our login", "password"),
        (World(challenge=True), Trunk("m", ""), "options", "wants a login", "username and password"),
        (World(statuses={"OPTIONS": 403}), Trunk("m", ""), "options", "403.*does not let us in", "allowed addresses"),
        (World(statuses={"OPTIONS": 503}), Trunk("m", ""), "options", "503.*no calls now", "provider"),
        (
            World(statuses={"REGISTER": 403}), Trunk("m", "", username="us", register_seconds=60),
            "registration", "REGISTER was answered 403", "username and password",
        ),
        (
            World(statuses={"REGISTER": 404}), Trunk("m", "", username="us", register_seconds=60),
            "registration", "does not know the account", "username",
        ),
        (
            World(challenge=True), Trunk("m", "", username="us", password="no", register_seconds=60),
            "registration", "does not take our login", "password",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_a_trunk_that_refuses(world: World, trunk: Trunk, check: str, words: str, mend: str) -> None:
    found = await in_world(world, trunk, LOOK)
    failure = only(found, check, Level.FAILURE)
    assert re.search(words, failure.text)
    assert mend in failure.mend


async def test_a_good_registration() -> None:
    found = await in_world(World(), Trunk("m", "", username="us", register_seconds=60), LOOK)
    assert only(found, "registration", Level.OK).text == "the registrar knows us: 200 OK"


# --- where we are ---------------------------------------------------------------------------------------------------


async def test_an_advertised_address_that_is_not_where_the_trunk_sees_us() -> None:
    world = World(seen=("203.0.113.9", 40_123))
    found = await in_world(world, wish=LOOK)
    wrong = only(found, "address", Level.FAILURE)
    assert wrong.text.startswith("it sees us at 203.0.113.9:40123, and we say that we are at 127.0.0.1:")
    assert wrong.mend == 'advertise = "203.0.113.9" (or "203.0.113.9:40123"), or stun'


async def test_an_advertised_address_that_is_right() -> None:
    world = World(seen=("203.0.113.9", 40_123))
    found = await in_world(world, Trunk("m", "", advertise=HostPort("203.0.113.9", 40_123)), LOOK)
    assert only(found, "address", Level.OK).text == "it sees us at 203.0.113.9:40123, where we say that we are"


async def test_a_port_that_a_nat_changes() -> None:
    found = await in_world(World(seen=("127.0.0.1", 9)), wish=LOOK)
    assert "a NAT changes SIP's port" in only(found, "address", Level.WARNING).text


async def test_a_line_on_loopback_reaches_no_trunk_outside() -> None:
    found = await findings(Trunk("m", "203.0.113.1"))
    assert only(found, "line", Level.FAILURE).mend.startswith("sip (this machine's address")


# --- TLS ------------------------------------------------------------------------------------------------------------


async def tls_findings(authority: "Authority", names: list[str], days: int, ca_file: str) -> list[Finding]:
    port = unused_port()
    listening = Listening("127.0.0.1", port, authority.certify(f"doctor-{days}-{names[0]}", names, days=days))
    carrier = Carrier("127.0.0.1", 0, platform_clock(), tls=listening)
    await carrier.start()
    try:
        return await findings(Trunk("m", "localhost", port, transport="TLS", ca_file=ca_file), LOOK)
    finally:
        await carrier.stop()


async def test_certificates(authority: "Authority", other_authority: "Authority") -> None:
    good = await tls_findings(authority, ["localhost"], 90, authority.file)
    assert only(good, "certificate", Level.OK).text.startswith("its certificate is for localhost and good for ")
    soon = await tls_findings(authority, ["localhost"], 3, authority.file)
    assert "expires in 3 days" in only(soon, "certificate", Level.WARNING).text
    expired = await tls_findings(authority, ["localhost"], -2, authority.file)
    assert "has expired 2 days ago" in only(expired, "certificate", Level.FAILURE).text
    other = await tls_findings(authority, ["example.com"], 90, authority.file)
    assert only(other, "certificate", Level.FAILURE).text == "its certificate is for example.com, and not for localhost"
    unknown = await tls_findings(authority, ["localhost"], 90, other_authority.file)
    assert only(unknown, "certificate", Level.FAILURE).mend.startswith("ca_file")


async def test_a_port_without_tls() -> None:
    carrier = Carrier("127.0.0.1", 0, platform_clock())
    await carrier.start()
    try:
        found = await findings(Trunk("m", *carrier.address, transport="TLS"), LOOK)
    finally:
        await carrier.stop()
    assert "takes connections, and no TLS" in only(found, "connection", Level.FAILURE).text


# --- calls ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "level", "mend"),
    [
        (403, Level.FAILURE, "from_user, identity or number_format"),
        (404, Level.FAILURE, 'number_format (now "+E.164")'),
        (484, Level.FAILURE, 'number_format (now "+E.164")'),
        (488, Level.FAILURE, "codecs (now PCMU, PCMA)"),
        (503, Level.FAILURE, "ask the provider"),
        (486, Level.NOTE, "--call another number"),
        (501, Level.FAILURE, "ask the provider what it means"),
    ],
)
async def test_a_call_that_is_refused(status: int, level: Level, mend: str) -> None:
    found = await in_world(World(statuses={"INVITE": status}))
    refused = only(found, "call", level)
    assert f"ended with {status}" in refused.text
    assert refused.mend.startswith(mend)


async def test_an_answer_without_a_common_codec() -> None:
    found = await in_world(World(codec="18 G729"))
    assert "codec" in only(found, "call", Level.FAILURE).mend


async def test_a_trunk_that_does_not_answer_calls() -> None:
    host, port = own_host(), unused_port(own_host())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind((host, port))
        mute.setblocking(False)  # noqa: FBT003  positional only
        quick = TelephonySettings(
            "127.0.0.1", 0, unused_ports(8), (), timers=Timers(t1=0.02, t2=0.1), stop_limit_seconds=0.2
        )
        found = await findings(Trunk("m", host, port), CALL, quick)
    assert ("options", "OPTIONS was not answered at all") in failures(found)  # its transaction ended before our limit
    assert any("does not answer" in text for check, text in failures(found) if check == "call")


@pytest.mark.parametrize("sounds", ["silent", "elsewhere"])
async def test_one_way_audio_towards_us(sounds: str) -> None:
    found = await in_world(World(sounds=sounds))
    silent = only(found, "sound", Level.FAILURE)
    assert silent.text.startswith("one-way audio: no sound came for us")
    assert "rtp_ports" in silent.mend


async def test_one_way_audio_towards_them() -> None:
    """They say that nobody listens where we were told to send."""
    found = await in_world(World(media_port=unused_port()))
    assert any("one-way audio" in text for check, text in failures(found) if check == "sound")


async def test_a_trunk_without_telephone_events() -> None:
    found = await in_world(World(events=False))
    assert "RFC 4733" in only(found, "keys", Level.WARNING).mend


async def test_a_phone_that_is_no_echo_is_heard_and_said_to_be_none() -> None:
    usual = Behaviour(ring_after_seconds=None, answer_after_seconds=0.0, says_hz=(620.0,))
    carrier = Carrier("127.0.0.1", 0, platform_clock(), usual=usual)
    await carrier.start()
    try:
        found = await findings(Trunk("m", *carrier.address))
    finally:
        await carrier.stop()
    assert "it says something else" in only(found, "sound", Level.NOTE).text
    assert failures(found) == []


async def test_beside_a_running_server_another_port_is_asked_from() -> None:
    async with World().running() as world:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            taken = server.getsockname()[1]
            settings = TelephonySettings("127.0.0.1", taken, unused_ports(8), ())
            found = await findings(Trunk("m", *world.address), LOOK, settings)
    assert found[0].text == f"127.0.0.1:{taken} is taken (by the running server, probably): asked from another port"
    assert failures(found) == []
    await asyncio.sleep(0)
