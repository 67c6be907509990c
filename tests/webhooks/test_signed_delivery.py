"""Every delivery is signed so that the reference verifier of Standard Webhooks takes it, by whichever live secret."""

import time

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook, WebhookVerificationError
from tests.webhooks.world import SECRET, START, Received, World, answer

from callwright.storage.records import WebhookKind

HOUR = 3600.0


def check(secret: str, received: Received) -> None:
    Webhook(secret).verify(received.body, received.headers, json_parse=False)


async def secrets_of(world: World) -> list[str]:
    return [secret.text for secret in await world.store.endpoint_secrets("riders_hq", WebhookKind.VSS)]


async def test_each_try_is_signed_anew_under_the_same_id(world: World) -> None:
    receiver = await world.receiver(answer(500))
    await world.webhook(receiver.url, SECRET)
    await world.event("s1")
    await world.tried("s1", 1)
    await world.next_look(START + 1)
    await world.tried("s1", 2)
    (secret,) = await secrets_of(world)
    assert len(receiver.received) == 2
    for received in receiver.received:
        check(secret, received)
        assert abs(int(received.headers["webhook-timestamp"]) - time.time()) < 60
    assert len({received.headers["webhook-id"] for received in receiver.received}) == 1


async def test_while_secrets_change_either_of_them_is_enough(world: World) -> None:
    receiver = await world.receiver()
    await world.webhook(receiver.url)
    (old,) = await secrets_of(world)
    assert await world.store.rotate_secret("riders_hq", WebhookKind.VSS, 24 * HOUR)
    new, still = await secrets_of(world)
    assert still == old != new
    await world.event("s1")
    await world.tried("s1", 1)
    check(old, receiver.received[0])
    check(new, receiver.received[0])
    world.clock.advance_to(START + 24 * HOUR)
    await world.event("s2")
    await world.tried("s2", 1)
    check(new, receiver.received[1])
    with pytest.raises(WebhookVerificationError):
        check(old, receiver.received[1])


async def test_a_second_change_leaves_two_secrets_and_a_change_at_once_leaves_one(world: World) -> None:
    await world.webhook("https://hooks.example.com/")
    (first,) = await secrets_of(world)
    await world.store.rotate_secret("riders_hq", WebhookKind.VSS, HOUR)
    await world.store.rotate_secret("riders_hq", WebhookKind.VSS, HOUR)
    assert len(await secrets_of(world)) == 2
    assert first not in await secrets_of(world)
    await world.store.rotate_secret("riders_hq", WebhookKind.VSS, 0)
    assert len(await secrets_of(world)) == 1


async def test_a_secret_outlives_its_registration(world: World) -> None:
    await world.webhook("https://hooks.example.com/")
    before = await secrets_of(world)
    await world.store.delete_webhook("riders_hq", WebhookKind.VSS)
    await world.webhook("https://other.example.com/")
    assert await secrets_of(world) == before


async def test_a_webhook_of_before_there_were_secrets_gets_one_with_its_first_event(world: World) -> None:
    receiver = await world.receiver()
    await world.webhook(receiver.url)
    await world.store._change(lambda connection: connection.execute(text("DELETE FROM webhook_secrets")))
    await world.restart()
    await world.event("s1")
    await world.tried("s1", 1)
    (secret,) = await secrets_of(world)
    check(secret, receiver.received[0])


async def test_secrets_lie_sealed_and_are_not_shown(world: World) -> None:
    await world.webhook("https://hooks.example.com/")
    (secret,) = await world.store.endpoint_secrets("riders_hq", WebhookKind.VSS)
    assert secret.text not in repr(secret)
    assert secret.text.encode() not in b"".join(path.read_bytes() for path in world.folder.glob("callwright.db*"))


async def test_only_registered_webhooks_have_secrets(world: World) -> None:
    await world.store.ensure_sub_account("riders_hq")
    assert await world.store.signing_secrets("riders_hq", WebhookKind.VSS) == ()
    assert not await world.store.rotate_secret("riders_hq", WebhookKind.VSS, HOUR)
