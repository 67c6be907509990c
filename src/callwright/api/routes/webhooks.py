"""`GET`, `POST …/webhooks` and `DELETE …/webhooks/{type}`: where events go (contract §8.1).

There is one webhook of a type; posting it again replaces it. The URL is checked when something is sent there
(`egress.py`), because only the address that is connected then tells where it leads.
"""

from callwright.api.asgi import ASGIApp
from callwright.api.auth import READ, WRITE, authenticate
from callwright.api.exchange import Exchange, json_reply
from callwright.contract.answers import RESOURCE_MESSAGES, webhook_deleted, webhook_list
from callwright.contract.webhook_config import WEBHOOK_TYPES, WebhookConfig, parse_webhook
from callwright.errors import ContractError
from callwright.storage.records import Webhook, WebhookKind


async def list_webhooks(exchange: Exchange) -> ASGIApp:
    """What is registered."""
    await authenticate(exchange, READ)
    return await _listed(exchange)


async def put_webhook(exchange: Exchange) -> ASGIApp:
    """Register one, or replace it; answers with the list."""
    await authenticate(exchange, WRITE)
    wanted = parse_webhook(await exchange.body())
    await exchange.platform.store.put_webhook(
        exchange.sub_account_id,
        WebhookKind(wanted.type),
        wanted.url,
        wanted.http_auth_header,
        enabled=wanted.enabled,
        payload_version=wanted.payload_version,
    )
    exchange.platform.wake_deliveries()
    return await _listed(exchange)


async def delete_webhook(exchange: Exchange) -> ASGIApp:
    """Take one away; answers with what it was."""
    await authenticate(exchange, WRITE)
    kind = exchange.parameter("kind")
    deleted = None
    if kind in WEBHOOK_TYPES:
        deleted = await exchange.platform.store.delete_webhook(exchange.sub_account_id, WebhookKind(kind))
    if deleted is None:
        raise ContractError(404, 404, RESOURCE_MESSAGES[404])
    return json_reply(200, webhook_deleted(exchange.sub_account_id, _config(deleted)))


async def _listed(exchange: Exchange) -> ASGIApp:
    webhooks = await exchange.platform.store.list_webhooks(exchange.sub_account_id)
    return json_reply(200, webhook_list(exchange.sub_account_id, [_config(webhook) for webhook in webhooks]))


def _config(webhook: Webhook) -> WebhookConfig:
    return WebhookConfig(
        webhook.kind.value, webhook.url, webhook.http_auth_header, webhook.enabled, webhook.payload_version
    )
