"""`…/webhooks/{type}` with its secrets and tests, and `…/deliveries`: what became of events. Extensions."""

from callwright.api import deliveries
from callwright.api.asgi import ASGIApp
from callwright.api.auth import READ, WRITE, authenticate
from callwright.api.exchange import Exchange, json_reply
from callwright.contract.deliveries import parse_log_query, parse_replay, parse_rotation


async def show_webhook(exchange: Exchange) -> ASGIApp:
    """How a webhook does; its secrets for keys that may write."""
    key = await authenticate(exchange, READ)
    with_secrets = not key.scopes or WRITE in key.scopes
    account, kind = exchange.sub_account_id, exchange.parameter("kind")
    return json_reply(200, await deliveries.endpoint(exchange.platform.store, account, kind, with_secrets=with_secrets))


async def rotate_secret(exchange: Exchange) -> ASGIApp:
    """A new secret; the one before stays good for a while."""
    await authenticate(exchange, WRITE)
    seconds = parse_rotation(await exchange.body())
    account, kind = exchange.sub_account_id, exchange.parameter("kind")
    return json_reply(200, await deliveries.rotate(exchange.platform.store, account, kind, seconds))


async def test_webhook(exchange: Exchange) -> ASGIApp:
    """Send a test event now; what the receiver said."""
    await authenticate(exchange, WRITE)
    platform, kind = exchange.platform, exchange.parameter("kind")
    return json_reply(200, await deliveries.send_test(platform.store, platform.tester, exchange.sub_account_id, kind))


async def list_deliveries(exchange: Exchange) -> ASGIApp:
    """What became of events, the newest first."""
    await authenticate(exchange, READ)
    query = parse_log_query(exchange.query())
    return json_reply(200, await deliveries.log(exchange.platform.store, exchange.sub_account_id, query))


async def replay_deliveries(exchange: Exchange) -> ASGIApp:
    """Send events again: 202 with how many."""
    await authenticate(exchange, WRITE)
    request = parse_replay(await exchange.body())
    body = await deliveries.replay(exchange.platform.store, exchange.sub_account_id, request)
    exchange.platform.wake_deliveries()
    return json_reply(202, body)
