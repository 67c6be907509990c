"""Voice OTP: `POST /api/v2/subaccounts/{subAccountId}/sessions` and its check (contract §11.5)."""

import re
from dataclasses import replace

from callwright.api.asgi import ASGIApp
from callwright.api.auth import WRITE, authenticate
from callwright.api.errors import UNAVAILABLE
from callwright.api.exchange import Exchange, Reply, json_reply
from callwright.api.idempotency import Claim, answer_once
from callwright.contract.otp_code import RANDOM_BYTES, make_code
from callwright.contract.otp_request import parse_check, parse_verification
from callwright.contract.otp_session import (
    Verification,
    ask_again,
    at_moment,
    begin,
    otp_callflow,
    verification_body,
    verification_not_found,
)
from callwright.contract.otp_session import VerificationStatus as Status
from callwright.contract.platform_errors import PlatformCode, platform_refusal
from callwright.errors import ContractError, KeyTaken, StorageError
from callwright.switchboard.board import BusyError

_SESSION_ID = re.compile(r"[0-9a-f]{32}")


async def ask_verification(exchange: Exchange) -> ASGIApp:
    """Make a code, or take the one that waits, and call to speak it."""
    await authenticate(exchange, WRITE)
    return await answer_once(exchange, _ask)


async def _ask(exchange: Exchange, body: bytes, claim: Claim | None) -> Reply:
    platform, sub_account_id = exchange.platform, exchange.sub_account_id
    if platform.draining():
        raise ContractError(503, 503, UNAVAILABLE)
    request = parse_verification(body, platform.policy_for(sub_account_id).caller_ids)
    source = request.source or _usual_source(exchange)
    now, session_id = platform.clock(), platform.new_uuid().replace("-", "")
    code = make_code(request.code_type, request.code_length, platform.random_bytes(RANDOM_BYTES))

    def decide(current: Verification | None) -> Verification:
        if current is None or at_moment(current, now).status is not Status.WAITING:
            return begin(request, sub_account_id, session_id, code, now)
        return ask_again(current, request, code, now)

    verification = await platform.store.ask_verification(sub_account_id, request.destination, decide)
    callbacks, url = platform.verification_callbacks, request.callback_url
    callbacks.watch(verification, url)
    reply = json_reply(200, verification_body(verification))
    try:
        callflow = otp_callflow(verification, request, source, exchange.request_id)
        await platform.board.accept(sub_account_id, callflow, None if claim is None else claim.keep(lambda _: reply))
    except KeyTaken:
        raise  # the call is made for the request that was faster
    except (BusyError, StorageError):
        # Nobody is called, so the client may ask again at once.
        await platform.store.call_not_placed(verification.session_id)
        callbacks.not_placed(replace(verification, sent_at=now - verification.resending_interval_seconds), url)
        raise
    return reply


async def check_verification(exchange: Exchange) -> ASGIApp:
    """Judge the code of the query, or only say how the verification stands."""
    platform = exchange.platform
    await authenticate(exchange, WRITE)
    code = parse_check(exchange.query())
    session_id = exchange.parameter("session_id")
    judged = None
    if _SESSION_ID.fullmatch(session_id):
        judged = await platform.store.check_verification(exchange.sub_account_id, session_id, code, platform.clock())
    if judged is None:
        raise verification_not_found()
    platform.verification_callbacks.note(judged)
    return json_reply(200, verification_body(judged))


def _usual_source(exchange: Exchange) -> str:
    """The number to show when the request names none: of those that may be shown, the first; ContractError 1005."""
    caller_ids = exchange.platform.policy_for(exchange.sub_account_id).caller_ids
    own = caller_ids or exchange.platform.store.reference_ids(exchange.sub_account_id).keys()
    if not own:
        raise platform_refusal(PlatformCode.INVALID_SOURCE, "$.call.source: is missing and there is no usual one")
    return min(own)
