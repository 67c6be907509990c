"""`GET /openapi.json`: the API described (OpenAPI 3.1), without a key."""

from callwright.api.asgi import ASGIApp
from callwright.api.exchange import Exchange, json_reply


async def show_openapi(exchange: Exchange) -> ASGIApp:
    """The document."""
    return json_reply(200, exchange.scope["app"].openapi)
