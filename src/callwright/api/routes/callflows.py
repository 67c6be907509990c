"""`POST /api/v1/subaccounts/{subAccountId}/callflows`: a callflow in, a session id out (contract §1)."""

from callwright.api.asgi import ASGIApp
from callwright.api.auth import WRITE, authenticate
from callwright.api.errors import UNAVAILABLE
from callwright.api.exchange import Exchange, Reply, json_reply
from callwright.api.idempotency import Claim, answer_once
from callwright.callflow.plan import Callflow
from callwright.contract.answers import created
from callwright.contract.request import parse_callflow
from callwright.errors import ContractError


async def send_callflow(exchange: Exchange) -> ASGIApp:
    """Check who asks, then what; 200 says that the session is durable and will end in a summary."""
    await authenticate(exchange, WRITE)
    return await answer_once(exchange, _send)


async def accepted(exchange: Exchange, callflow: Callflow, claim: Claim | None) -> Reply:
    """Have a callflow carried out; its answer."""

    def answer(session_id: str) -> Reply:
        return json_reply(200, created(session_id, exchange.request_id, callflow.valid_until))

    keep = None if claim is None else claim.keep(answer)
    return answer(await exchange.platform.board.accept(exchange.sub_account_id, callflow, keep))


async def _send(exchange: Exchange, body: bytes, claim: Claim | None) -> Reply:
    platform = exchange.platform
    if platform.draining():
        raise ContractError(503, 503, UNAVAILABLE)
    policy = platform.policy_for(exchange.sub_account_id)
    return await accepted(exchange, parse_callflow(body, policy, platform.clock(), exchange.request_id), claim)
