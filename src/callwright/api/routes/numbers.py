"""`GET …/numbers` and `…/numbers/{number}`: a sub-account's virtual numbers (contract §9.2).

Numbers are given out by the operator (`callwright numbers`), not here: whoever could claim a number would get the calls
of whoever it belongs to.
"""

from callwright.api.asgi import ASGIApp
from callwright.api.auth import READ, authenticate
from callwright.api.exchange import Exchange, json_reply
from callwright.contract.virtual_numbers import NOT_FOUND, number_found, number_list, read_number
from callwright.errors import ContractError
from callwright.storage.virtual_numbers import listed


async def list_numbers(exchange: Exchange) -> ASGIApp:
    """All of them."""
    await authenticate(exchange, READ)
    numbers = await exchange.platform.store.list_numbers(exchange.sub_account_id)
    shown = [listed(number) for number in numbers]
    return json_reply(200, number_list(exchange.sub_account_id, shown, exchange.platform.clock()))


async def show_number(exchange: Exchange) -> ASGIApp:
    """One; 404 alike for unknown ones and those of other sub-accounts."""
    await authenticate(exchange, READ)
    number = await exchange.platform.store.find_number(read_number(exchange.parameter("number")))
    if number is None or number.sub_account_id != exchange.sub_account_id:
        raise ContractError(404, 404, NOT_FOUND)
    return json_reply(200, number_found(listed(number), exchange.platform.clock()))
