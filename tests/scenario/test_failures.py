"""Story: what cannot be carried out ends as ERROR with its code, or FAILED when the trunk is to blame, and says so."""

import asyncio
import gzip
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from callwright.audio import tones, wav
from callwright.simulator.behaviour import Behaviour

if TYPE_CHECKING:
    from tests.conftest import Site, TrunkSite
    from tests.customers import Customer, Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

SOUND = wav.serialize(tones.sine(800.0, 0.2))
MESSAGES = {
    -2003: "The call flow provided is invalid",
    -2004: "No coverage available for requested area",
    -2005: "Unable to synthesize text to speech",
    -2006: "Unable to download file for playback",
    -2007: "The validity period of the call flow request has expired",
}


async def assert_error(customer: "Customer", session_id: str, code: int, action: str) -> dict[str, Any]:
    """The summary says ERROR with `code`, because of `action`, and its only leg was never connected."""
    summary = await customer.summary(session_id)
    assert summary["sessionStatus"] == "ERROR"
    details = summary["errorDetails"]
    assert (details["errorCode"], details["errorMsg"], details["action"]) == (code, MESSAGES[code], action)
    assert list(summary["details"]) == ["callA"]
    return summary


async def assert_nobody_dialled(site: "Site", customer: "Customer", session_id: str, taken_before: int) -> None:
    assert site.carrier.calls_taken == taken_before
    story = await customer.story(session_id)
    assert "command.Dial" not in story.kinds
    assert story.ladder == []


async def test_a_text_that_cannot_be_spoken(site: "Site", customer: "Customer") -> None:
    number = site.phone(Behaviour(answer_after_seconds=None))
    session_id = await customer.say(number, "… !!! …")
    summary = await assert_error(customer, session_id, -2005, "SAY")
    assert summary["details"]["callA"]["callStatus"] in {"CANCELED", "ERROR"}
    assert session_id not in site.heard


@pytest.mark.parametrize(
    "what",
    ["not there", "server error", "not audio", "empty", "too large", "too large by its own word", "compressed"],
)
async def test_a_file_that_cannot_be_had_rings_no_phone(
    site: "Site", customer: "Customer", page: "type[Page]", what: str
) -> None:
    customer.web.pages["/file"] = {
        "not there": page(status=404),
        "server error": page(SOUND, status=500),
        "not audio": page(b"<html><body>It works!</body></html>", headers={"Content-Type": "audio/mpeg"}),
        "empty": page(b""),
        "too large": page(SOUND + bytes(5_242_880)),
        "too large by its own word": page(SOUND, headers={"Content-Length": "99999999"}),
        "compressed": page(gzip.compress(SOUND), headers={"Content-Encoding": "gzip"}),
    }[what]
    taken = site.carrier.calls_taken
    session_id = await customer.play(site.phone(), customer.web.url("/file"))
    await assert_error(customer, session_id, -2006, "PLAY_FILE")
    await assert_nobody_dialled(site, customer, session_id, taken)
    assert (await customer.story(session_id)).only("event.PromptFailed")["reason"]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1:1/message.mp3", id="nobody there"),
        pytest.param("http://10.0.0.1/message.mp3", id="private address"),
        pytest.param("http://169.254.169.254/latest/meta-data", id="metadata of a cloud"),
        pytest.param("http://[::ffff:192.168.0.1]/message.mp3", id="private address in IPv6"),
        pytest.param("http://3232235521/message.mp3", id="private address as one number"),
    ],
)
async def test_a_file_at_an_address_where_callwright_finds_nothing_or_does_not_go(
    site: "Site", customer: "Customer", url: str
) -> None:
    taken = site.carrier.calls_taken
    session_id = await customer.play(site.phone(), url)
    await assert_error(customer, session_id, -2006, "PLAY_FILE")
    await assert_nobody_dialled(site, customer, session_id, taken)


async def test_a_redirect_to_a_private_address_is_not_followed(
    site: "Site", customer: "Customer", page: "type[Page]"
) -> None:
    customer.web.pages["/file"] = page(status=302, headers={"Location": "http://10.0.0.1/file"})
    taken = site.carrier.calls_taken
    session_id = await customer.play(site.phone(), customer.web.url("/file"))
    await assert_error(customer, session_id, -2006, "PLAY_FILE")
    await assert_nobody_dialled(site, customer, session_id, taken)


async def test_valid_until_passes_before_anybody_could_be_dialled(
    site: "Site", customer: "Customer", page: "type[Page]"
) -> None:
    held = page(SOUND, release=asyncio.Event())
    assert held.release is not None
    customer.web.pages["/slow.wav"] = held
    until = time.time() + 1.0
    taken = site.carrier.calls_taken
    session_id = await customer.send(
        {"action": "makeCall", "params": {"source": "+6531350000", "destination": site.phone()}},
        {"action": "playFile", "params": {"fileUrl": customer.web.url("/slow.wav")}},
        validUntil=datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
    )
    await asyncio.sleep(until + 0.05 - time.time())  # the moment itself is what is tested
    held.release.set()
    await assert_error(customer, session_id, -2007, "MAKE_CALL")
    await assert_nobody_dialled(site, customer, session_id, taken)


async def test_a_destination_that_the_sub_account_may_not_call(site: "Site") -> None:
    taken = site.carrier.calls_taken
    async with site.customer("narrow") as narrow:
        session_id = await narrow.say("+442071234567", "One.")
        await assert_error(narrow, session_id, -2004, "MAKE_CALL")
        await assert_nobody_dialled(site, narrow, session_id, taken)
        allowed = await narrow.say(site.phone(), "One.")
        assert (await narrow.summary(allowed))["sessionStatus"] == "COMPLETED"


async def test_a_trunk_that_is_down(trunk_site: "TrunkSite", trunk_customer: "Customer") -> None:
    session_id = await trunk_customer.say("+6581234567", "One.")
    summary = await trunk_customer.summary(session_id)
    assert summary["sessionStatus"] == "FAILED"
    assert summary["details"]["callA"]["callStatus"] == "FAILED"
    ending = (await trunk_customer.story(session_id)).only("event.NotAnswered")
    assert ending["sip_code"] == 503
    assert "trunk peer does not answer" in ending["reason"]


async def test_a_phone_without_a_codec_of_ours(site: "Site", customer: "Customer") -> None:
    number = site.phone(Behaviour(answer_after_seconds=0.05, reject_status=488))
    session_id = await customer.say(number, "One.")
    assert (await customer.summary(session_id))["sessionStatus"] == "FAILED"
    assert (await customer.story(session_id)).only("event.NotAnswered")["sip_code"] == 488
