"""`GET /metrics` for Prometheus.

By default only for requests that come from this machine and through no proxy: the page has no secrets, but how many
calls somebody makes is nobody's business. The setting `metrics` opens it to any or closes it.
"""

import ipaddress

from callwright.api.asgi import ASGIApp
from callwright.api.exchange import Exchange, Reply
from callwright.errors import ContractError
from callwright.telemetry.metrics import CONTENT_TYPE


async def metrics(exchange: Exchange) -> ASGIApp:
    """The page, or 404 for those who may not read it."""
    readers = exchange.platform.metrics_readers
    if readers == "off" or (readers == "loopback" and not _direct_from_loopback(exchange)):
        raise ContractError(404, 404, "Resource not found")
    return Reply(200, exchange.platform.metrics.exposition().encode(), CONTENT_TYPE.encode())


def _direct_from_loopback(exchange: Exchange) -> bool:
    client = exchange.scope["client"]
    if client is None or exchange.headers(b"x-forwarded-for") or exchange.headers(b"forwarded"):
        return False
    address = ipaddress.ip_address(client[0].partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
