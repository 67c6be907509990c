"""`…/messages/exports` and `…/messages/download/{token}`: the log of calls as CSV (contract §11.1).

The download takes no key: its link holds a secret of 256 bits, works for a month and for one file.
"""

import re
from collections.abc import AsyncGenerator

from callwright.api.asgi import ASGIApp, Receive, Scope, Send
from callwright.api.auth import READ, WRITE, authenticate
from callwright.api.errors import UNAVAILABLE
from callwright.api.exchange import FIXED_HEADERS, Exchange, Reply, json_reply
from callwright.api.idempotency import Claim, answer_once
from callwright.contract.log_export import (
    ExportStatus,
    download_path,
    export_started,
    export_state,
    job_not_found,
    parse_export_request,
)
from callwright.contract.platform_errors import PlatformCode, platform_refusal
from callwright.errors import CallwrightError, ContractError
from callwright.storage.records import StoredExport
from callwright.storage.store import Store

_HOST = re.compile(rb"[A-Za-z0-9.\-_\[\]:]{1,255}")


class ExportGone(CallwrightError):
    """What was being downloaded was taken away: the connection is closed, so that no part passes for the whole."""


async def start_export(exchange: Exchange) -> ASGIApp:
    """Queue a job; 202 says that it will be done, whatever happens to this process."""
    await authenticate(exchange, WRITE)
    return await answer_once(exchange, _start)


async def _start(exchange: Exchange, body: bytes, claim: Claim | None) -> Reply:
    def answer(job_id: str) -> Reply:
        return json_reply(202, export_started(job_id))

    platform = exchange.platform
    wanted = parse_export_request(body, platform.clock())
    keep = None if claim is None else claim.keep(answer)
    export = await platform.store.create_export(
        exchange.sub_account_id, wanted.from_at, wanted.to_at, wanted.limit or 0, keep
    )
    if export is None:
        raise ContractError(503, 503, UNAVAILABLE)  # too many wait: no 429 is documented here
    platform.wake_exports()
    return answer(export.job_id)


async def show_export(exchange: Exchange) -> ASGIApp:
    """How far a job is, and its link once there is one."""
    await authenticate(exchange, READ)
    export = await exchange.platform.store.find_export(exchange.sub_account_id, exchange.parameter("job_id"))
    if export is None:
        raise job_not_found()
    expires_at = export.expires_at
    if expires_at is not None and expires_at <= exchange.platform.clock():
        expires_at = None  # the job succeeded, and its link is history
    link = _origin(exchange) + download_path(exchange.sub_account_id, export.token)
    return json_reply(200, export_state(ExportStatus(export.state.value), [link], expires_at))


async def cancel_export(exchange: Exchange) -> ASGIApp:
    """End a job in any state and drop what it wrote."""
    await authenticate(exchange, WRITE)
    if not await exchange.platform.store.cancel_export(exchange.sub_account_id, exchange.parameter("job_id")):
        raise job_not_found()
    return Reply(204, b"")


async def download_export(exchange: Exchange) -> ASGIApp:
    """The file."""
    export = await exchange.platform.store.find_download(exchange.parameter("token"))
    if export is None or export.sub_account_id != exchange.sub_account_id:
        raise platform_refusal(PlatformCode.NOT_FOUND)
    return CsvDownload(_pieces(exchange.platform.store, export), f"voice-log-{export.job_id}.csv")


class CsvDownload:
    """An answer that sends pieces as they are read."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], file_name: str) -> None:
        self._pieces = pieces
        self._file_name = file_name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send it all; the server stops us when the client is gone."""
        headers = [
            (b"content-type", b"text/csv; charset=utf-8"),
            (b"content-disposition", b'attachment; filename="%s"' % self._file_name.encode("ascii")),
            *FIXED_HEADERS,
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _pieces(store: Store, export: StoredExport) -> AsyncGenerator[bytes, None]:
    number = 0
    while (piece := await store.export_piece(export.job_id, number)) is not None:
        yield piece
        number += 1
    if await store.find_download(export.token) is None:
        raise ExportGone(f"export {export.job_id} was taken away while it was downloaded")


def _origin(exchange: Exchange) -> str:
    """Scheme and host as the client calls us; a proxy that ends TLS says so in X-Forwarded-Proto."""
    hosts = [host for host in exchange.headers(b"host") if _HOST.fullmatch(host)]
    secure = exchange.scope["scheme"] == "https" or exchange.headers(b"x-forwarded-proto") == [b"https"]
    return f"{'https' if secure else 'http'}://{hosts[0].decode('ascii')}" if len(hosts) == 1 else ""
