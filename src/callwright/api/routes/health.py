"""`GET /healthz`: the process runs. `GET /readyz`: it takes calls. Both without a key."""

from callwright.api.asgi import ASGIApp
from callwright.api.exchange import Exchange, json_reply


async def healthz(_: Exchange) -> ASGIApp:
    """200 as long as anything is answered at all."""
    return json_reply(200, {"status": "ok"})


async def readyz(exchange: Exchange) -> ASGIApp:
    """200 when calls are taken, otherwise 503 with the reason; load balancers ask this."""
    if exchange.platform.draining():
        return json_reply(503, {"status": "draining", "reason": "callwright is shutting down"})
    trouble = await exchange.platform.trouble()
    if trouble is not None:
        return json_reply(503, {"status": "not ready", "reason": trouble})
    return json_reply(200, {"status": "ready"})
