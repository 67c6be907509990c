"""Who asks: the API key in `Authorization: Bearer …` (contract §1.2).

The order is fixed so that nothing is learnt without a key, and nothing about others with one: no key, or one that is
not live, is 401 whatever the path says; a live key on a path that is not its own sub-account's is 404, in the same
words whether that sub-account exists or not.
"""

from callwright.api.exchange import Exchange
from callwright.contract.answers import RESOURCE_MESSAGES, UNAUTHORIZED
from callwright.errors import ContractError
from callwright.storage.records import ApiKey

MOST_KEY_LENGTH = 512
READ, WRITE, ADMIN = "read", "write", "admin"


async def authenticate(exchange: Exchange, scope: str) -> ApiKey:
    """The key that the request carries, which is one of the path's sub-account and has `scope`; or ContractError."""
    key = await _key_of(exchange)
    if key is None:
        raise ContractError(401, 401, UNAUTHORIZED)
    if key.sub_account_id != exchange.sub_account_id:
        raise ContractError(404, 404, f"SubAccount not found by Id : {exchange.sub_account_id}")
    if key.scopes and scope not in key.scopes:  # a key without scopes may do everything
        raise ContractError(403, 403, RESOURCE_MESSAGES[403])
    return key


async def authenticate_admin(exchange: Exchange) -> ApiKey:
    """A key that may change the installation itself: only one that was made with the scope `admin`; or ContractError.

    A key without scopes may do everything, but of its sub-account.
    """
    key = await _key_of(exchange)
    if key is None:
        raise ContractError(401, 401, UNAUTHORIZED)
    if ADMIN not in key.scopes:
        raise ContractError(403, 403, RESOURCE_MESSAGES[403])
    return key


async def _key_of(exchange: Exchange) -> ApiKey | None:
    values = exchange.headers(b"authorization")
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(b" ")
    text = token.strip(b" ").decode("latin-1")
    if scheme.lower() != b"bearer" or not text or len(text) > MOST_KEY_LENGTH:
        return None
    return await exchange.platform.store.find_key(text)
