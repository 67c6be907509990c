"""`POST /api/v1/subaccounts/{subAccountId}/calls`: a request of the oldest generation (contract §1.7)."""

from dataclasses import replace

from callwright.api.asgi import ASGIApp
from callwright.api.auth import WRITE, authenticate
from callwright.api.errors import UNAVAILABLE
from callwright.api.exchange import Exchange, json_reply
from callwright.contract.answers import created
from callwright.contract.old_shapes import parse_old_call
from callwright.errors import ContractError


async def send_call(exchange: Exchange) -> ASGIApp:
    """Turn it into a callflow of today and take that; answered as a callflow is."""
    platform, sub_account_id = exchange.platform, exchange.sub_account_id
    await authenticate(exchange, WRITE)
    if platform.draining():
        raise ContractError(503, 503, UNAVAILABLE)
    body = await exchange.body()
    request = parse_old_call(body, platform.policy_for(sub_account_id), platform.clock(), exchange.request_id)
    callflow = replace(request.callflow, dtmf_callback_url=request.dtmf_callback_url)
    session_id = await platform.board.accept(sub_account_id, callflow)
    return json_reply(200, created(session_id, exchange.request_id, callflow.valid_until))
