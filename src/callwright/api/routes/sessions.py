"""`…/sessions` and `…/sessions/{sessionId}`: which there are, how one stands, and its end.

An extension; errors are RFC 9457.
"""

import re
from dataclasses import replace

from callwright.api.asgi import ASGIApp
from callwright.api.auth import READ, WRITE, authenticate
from callwright.api.exchange import Exchange, json_reply
from callwright.api.session_report import report, summary_payload
from callwright.contract.answers import session_state
from callwright.contract.session_list import parse_session_query, session_details, session_page
from callwright.errors import ContractError
from callwright.storage.records import SessionState, StoredSession

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")  # contract §9.4


async def find_own_session(exchange: Exchange) -> StoredSession:
    """The path's session. ContractError 404 alike for unknown ones and those of other sub-accounts."""
    session_id = exchange.parameter("session_id")
    if _UUID.fullmatch(session_id):
        stored = await exchange.platform.store.find_session(session_id.lower())
        if stored is not None and stored.sub_account_id == exchange.sub_account_id:
            return stored
    raise ContractError(404, 404, "Session not found")


async def list_sessions(exchange: Exchange) -> ASGIApp:
    """One page, newest first."""
    await authenticate(exchange, READ)
    query = parse_session_query(exchange.query())
    one_more = replace(query, limit=query.limit + 1)  # tells whether there is a next page
    found = await exchange.platform.store.list_sessions(exchange.sub_account_id, one_more)
    shown = [report(stored) for stored in found[: query.limit]]
    path = f"/api/v1/subaccounts/{exchange.sub_account_id}/sessions"
    return json_reply(200, session_page(path, query, shown, more=len(found) > query.limit))


async def show_session(exchange: Exchange) -> ASGIApp:
    """All that is known; legs and actions once it has ended."""
    await authenticate(exchange, READ)
    stored = await find_own_session(exchange)
    store = exchange.platform.store
    trace = await store.find_trace(stored.session_id) if stored.state is SessionState.FINISHED else None
    events = await store.deliveries_of(stored.session_id)
    payload = summary_payload(events) if stored.state is SessionState.FINISHED else None
    return json_reply(200, session_details(report(stored, trace, events), payload))


async def hang_up_session(exchange: Exchange) -> ASGIApp:
    """Ask for the end of a live session, on whichever node: 202, and the summary says how it ended. 409 afterwards."""
    await authenticate(exchange, WRITE)
    stored = await find_own_session(exchange)
    asked = exchange.platform.board.hang_up(stored.session_id)
    if not asked and stored.state is not SessionState.FINISHED:
        asked = await exchange.platform.store.ask_for_end(stored.session_id)
    if asked:
        return json_reply(202, session_state(stored.session_id, stored.sub_account_id, stored.state, None))
    raise ContractError(409, 409, "Session has ended")
