"""`GET /api/v1/subaccounts/{subAccountId}/speech-profiles`: the voices (contract §10.1)."""

from callwright.api.asgi import ASGIApp
from callwright.api.auth import READ, authenticate
from callwright.api.exchange import Exchange, json_reply
from callwright.contract.answers import speech_profile_list


async def list_speech_profiles(exchange: Exchange) -> ASGIApp:
    """The catalogue; the same for every sub-account."""
    await authenticate(exchange, READ)
    return json_reply(200, speech_profile_list())
