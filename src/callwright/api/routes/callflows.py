"""`POST /api/v1/subaccounts/{subAccountId}/callflows`: a callflow in, a session id out (contract §1)."""

from callwright.api.asgi import ASGIApp
from callwright.api.auth import WRITE, authenticate
from callwright.api.errors import UNAVAILABLE
from callwright.api.exchange import Exchange, json_reply
from callwright.contract.answers import created
from callwright.contract.request import parse_callflow
from callwright.errors import ContractError


async def send_callflow(exchange: Exchange) -> ASGIApp:
    """Check who asks, then what; 200 says that the session is durable and will end in a summary."""
    platform, sub_account_id = exchange.platform, exchange.sub_account_id
    await authenticate(exchange, WRITE)
    if platform.draining():
        raise ContractError(503, 503, UNAVAILABLE)
    body = await exchange.body()
    callflow = parse_callflow(body, platform.policy_for(sub_account_id), platform.clock(), exchange.request_id)
    session_id = await platform.board.accept(sub_account_id, callflow)
    return json_reply(200, created(session_id, exchange.request_id, callflow.valid_until))
