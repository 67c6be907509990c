"""`POST /api/v1/subaccounts/{subAccountId}/calls`: a request of the oldest generation (contract §1.7)."""

from dataclasses import replace

from callwright.api.asgi import ASGIApp
from callwright.api.auth import WRITE, authenticate
from callwright.api.errors import UNAVAILABLE
from callwright.api.exchange import Exchange, Reply
from callwright.api.idempotency import Claim, answer_once
from callwright.api.routes.callflows import accepted
from callwright.contract.old_shapes import parse_old_call
from callwright.errors import ContractError


async def send_call(exchange: Exchange) -> ASGIApp:
    """Turn it into a callflow of today and take that; answered as a callflow is."""
    await authenticate(exchange, WRITE)
    return await answer_once(exchange, _send)


async def _send(exchange: Exchange, body: bytes, claim: Claim | None) -> Reply:
    platform = exchange.platform
    if platform.draining():
        raise ContractError(503, 503, UNAVAILABLE)
    policy = platform.policy_for(exchange.sub_account_id)
    request = parse_old_call(body, policy, platform.clock(), exchange.request_id)
    return await accepted(exchange, replace(request.callflow, dtmf_callback_url=request.dtmf_callback_url), claim)
