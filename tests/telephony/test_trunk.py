import asyncio
import socket

import pytest

from callwright import settings
from callwright.errors import TelephonyError
from callwright.telephony.resolver import Known, Resolver, key_of
from callwright.telephony.trunk import CallerIdFormat, Trunk, choose_trunk, configured


class TurnedByHand:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_the_first_trunk_takes_the_call() -> None:
    first, second = Trunk("one", "192.0.2.1"), Trunk("two", "192.0.2.2")
    assert choose_trunk([first, second], "+6512345678") is first


def test_without_a_trunk_nobody_is_called() -> None:
    with pytest.raises(TelephonyError, match="--trunk"):
        choose_trunk([], "+6512345678")


def test_a_trunk_writes_numbers_its_own_way() -> None:
    assert Trunk("t", "192.0.2.1").number("+6512345678") == "+6512345678"
    assert Trunk("t", "192.0.2.1", number_format=CallerIdFormat.E164).number("+6512345678") == "6512345678"


def test_a_trunk_does_not_show_its_password() -> None:
    assert "s3cret" not in repr(Trunk("t", "192.0.2.1", username="us", password="s3cret"))


def test_a_trunk_is_what_the_settings_say() -> None:
    described = settings.Trunk("t", settings.TrunkUri("192.0.2.1", 5080), "us", settings.Secret("s3cret"), ("PCMA",))
    assert configured(described) == Trunk("t", "192.0.2.1", 5080, "us", "s3cret", ("PCMA",))
    open_one = settings.Trunk("t", settings.TrunkUri("trunk.example.com", 5060))
    assert configured(open_one) == Trunk("t", "trunk.example.com")


def test_only_the_built_in_carrier_is_told_the_session() -> None:
    assert Trunk("t", "192.0.2.1").session_headers("one") == []
    assert Trunk("t", "192.0.2.1", built_in=True).session_headers("one") == [("X-Callwright-Session-Id", "one")]


async def test_an_address_needs_no_name_server() -> None:
    resolver = Resolver(socket.AF_INET, TurnedByHand())
    assert await resolver.resolve(Trunk("t", "192.0.2.1", 5080)) == (("192.0.2.1", 5080),)
    assert resolver.known_hosts == {"192.0.2.1"}


async def test_an_ipv6_address_loses_its_brackets() -> None:
    resolver = Resolver(socket.AF_INET6, TurnedByHand())
    assert await resolver.resolve(Trunk("t", "[2001:db8::1]", 5080)) == (("2001:db8::1", 5080),)


async def test_an_address_of_the_other_family_is_refused() -> None:
    with pytest.raises(TelephonyError, match="cannot be reached"):
        await Resolver(socket.AF_INET, TurnedByHand()).resolve(Trunk("t", "2001:db8::1"))


async def test_localhost_is_resolved() -> None:
    found = await Resolver(socket.AF_INET, TurnedByHand()).resolve(Trunk("t", "localhost", 5080))
    assert ("127.0.0.1", 5080) in found


async def test_a_name_that_does_not_exist_is_named_in_the_error() -> None:
    # "invalid" never resolves (RFC 6761 §6.4); a label over 63 characters does not even leave this machine.
    with pytest.raises(TelephonyError, match="is not"):
        await Resolver(socket.AF_INET, TurnedByHand()).resolve(Trunk("t", "x" * 64 + ".invalid"))


async def test_an_answer_is_asked_for_again_when_it_is_old() -> None:
    clock, trunk = TurnedByHand(), Trunk("t", "localhost", 5080)
    resolver = Resolver(socket.AF_INET, clock)
    resolver._known[key_of(trunk)] = Known((("192.0.2.99", 5080),), clock.now + 10)
    assert await resolver.resolve(trunk) == (("192.0.2.99", 5080),)
    clock.now += 11
    assert ("127.0.0.1", 5080) in await resolver.resolve(trunk)
    assert "127.0.0.1" in resolver.known_hosts


async def test_an_old_answer_is_better_than_none() -> None:
    clock, trunk = TurnedByHand(), Trunk("t", "x" * 64 + ".invalid", 5080)
    resolver = Resolver(socket.AF_INET, clock)
    resolver._known[key_of(trunk)] = Known((("192.0.2.99", 5080),), clock.now - 1)
    assert await resolver.resolve(trunk) == (("192.0.2.99", 5080),)
    assert resolver._known[key_of(trunk)].good_until > clock.now  # the name server is left alone for a while


async def test_calls_at_the_same_time_share_one_look_up() -> None:
    resolver, trunk = Resolver(socket.AF_INET, TurnedByHand()), Trunk("t", "localhost", 5080)
    asked = [asyncio.create_task(resolver.resolve(trunk)) for _ in range(20)]
    await asyncio.sleep(0)
    assert len(resolver._running) == 1
    assert len(set(await asyncio.gather(*asked))) == 1
    assert not resolver._running
