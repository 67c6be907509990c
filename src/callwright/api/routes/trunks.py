"""`/api/v1/trunks`: who carries the calls, for administrators.

An extension; errors are RFC 9457. Trunks of the settings are shown, and changed there. The state is that of the node
that answers.
"""

from collections.abc import Awaitable
from typing import TypeVar

from callwright.api.asgi import ASGIApp
from callwright.api.auth import authenticate_admin
from callwright.api.exchange import JSON, Exchange, Reply, json_reply
from callwright.api.platform import NoSuchTrunk, TrunkOfSettings
from callwright.contract.trunks import TrunkEntry, parse_trunk, trunk_body, trunk_list, trunk_tried
from callwright.errors import ContractError, SettingsError, TelephonyError

T = TypeVar("T")


async def list_trunks(exchange: Exchange) -> ASGIApp:
    """All of them."""
    await authenticate_admin(exchange)
    return json_reply(200, trunk_list(exchange.platform.trunks.entries()))


async def show_trunk(exchange: Exchange) -> ASGIApp:
    """One."""
    await authenticate_admin(exchange)
    return json_reply(200, trunk_body(_entry(exchange)))


async def put_trunk(exchange: Exchange) -> ASGIApp:
    """Store one, or replace the whole of it."""
    await authenticate_admin(exchange)
    table = parse_trunk(await exchange.body())
    entry = await _done(exchange.platform.trunks.put(exchange.parameter("trunk_name"), table))
    return json_reply(200, trunk_body(entry))


async def change_trunk(exchange: Exchange) -> ASGIApp:
    """Change some of its keys; null takes one away (RFC 7396). The password stays unless it is given."""
    await authenticate_admin(exchange)
    changes = parse_trunk(await exchange.body())
    table = {**_entry(exchange).table, **changes}
    kept = {key: value for key, value in table.items() if value is not None}
    forgets = "password" in changes and changes["password"] is None
    put = exchange.platform.trunks.put(exchange.parameter("trunk_name"), kept, keep_password=not forgets)
    return json_reply(200, trunk_body(await _done(put)))


async def delete_trunk(exchange: Exchange) -> ASGIApp:
    """Take one away; calls that are up stay."""
    await authenticate_admin(exchange)
    await _done(exchange.platform.trunks.remove(exchange.parameter("trunk_name")))
    return Reply(204, b"", JSON)


async def try_trunk(exchange: Exchange) -> ASGIApp:
    """Ask it by OPTIONS whether it is there."""
    await authenticate_admin(exchange)
    name = exchange.parameter("trunk_name")
    try:
        tried = await _done(exchange.platform.trunks.ask(name))
    except TelephonyError as error:
        return json_reply(200, trunk_tried(name, (), str(error)))
    return json_reply(200, trunk_tried(name, tried, ""))


def _entry(exchange: Exchange) -> TrunkEntry:
    try:
        return exchange.platform.trunks.entry(exchange.parameter("trunk_name"))
    except NoSuchTrunk as error:
        raise ContractError(404, 404, str(error)) from error


async def _done(work: Awaitable[T]) -> T:
    try:
        return await work
    except NoSuchTrunk as error:
        raise ContractError(404, 404, str(error)) from error
    except TrunkOfSettings as error:
        raise ContractError(409, 409, str(error)) from error
    except SettingsError as error:
        raise ContractError(422, 422, str(error)) from error
