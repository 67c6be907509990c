"""`Idempotency-Key`: a POST that creates something may be sent again without creating it again.

| the same key within 72 hours | |
|---|---|
| and the same request, which was carried out | its answer once more, with `Idempotent-Replayed: true` |
| and the same request, which was refused or failed | as if for the first time: it did nothing |
| and another method, path or body | 422 |
| while the first request is under way | 409 with Retry-After |

The answer is written in the transaction that accepts the session (`storage/idempotency.py`), so a crash leaves both or
neither. Requests without the header cost nothing more than without all this.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from callwright.api.exchange import Exchange, Reply
from callwright.errors import ContractError, KeyTaken
from callwright.storage.idempotency import Keep, KeptAnswer

UNDER_WAY_SECONDS = 1
_KEY = re.compile(rb"[!-~](?:[ -~]{0,253}[!-~])?")
_REPLAYED = {b"idempotent-replayed": b"true"}


@dataclass(frozen=True, slots=True)
class Claim:
    """A request with a key: its answer is to be kept."""

    sub_account_id: str
    key: str
    digest: str

    def keep(self, answer: Callable[[str], Reply]) -> Keep:
        """What to write down together with the session or job whose id `answer` is given."""

        def kept(made_id: str) -> KeptAnswer:
            reply = answer(made_id)
            return KeptAnswer(self.sub_account_id, self.key, self.digest, reply.status, reply.body, made_id)

        return kept


async def answer_once(exchange: Exchange, work: Callable[[Exchange, bytes, Claim | None], Awaitable[Reply]]) -> Reply:
    """Read the body and have `work` answer it; with a key, once. Raises ContractError, and whatever `work` raises."""
    keys = exchange.headers(b"idempotency-key")
    body = await exchange.body()
    if not keys:
        return await work(exchange, body, None)
    claim = Claim(exchange.sub_account_id, _key(keys), _digest(exchange, body))
    place, under_way = (claim.sub_account_id, claim.key), exchange.platform.repeatable
    if place in under_way:
        raise _under_way()
    under_way.add(place)
    try:
        kept = await _kept(exchange, claim)
        return kept or await _carried_out(exchange, body, claim, work)
    finally:
        under_way.discard(place)


async def _carried_out(
    exchange: Exchange,
    body: bytes,
    claim: Claim,
    work: Callable[[Exchange, bytes, Claim | None], Awaitable[Reply]],
) -> Reply:
    try:
        return await work(exchange, body, claim)
    except KeyTaken:  # another process was faster, or the client went away before its first request was answered
        kept = await _kept(exchange, claim)
        if kept is None:
            raise _under_way() from None
        return kept


async def _kept(exchange: Exchange, claim: Claim) -> Reply | None:
    kept = await exchange.platform.store.find_answer(claim.sub_account_id, claim.key)
    if kept is None:
        return None
    if kept.digest != claim.digest:
        raise ContractError(422, 422, "Idempotency-Key was used for another request")
    if not await exchange.platform.store.give_again(kept):  # its request was refused, and is undone by now
        return None
    return Reply(kept.status, kept.body, headers=_REPLAYED)


def _key(values: list[bytes]) -> str:
    if len(values) != 1 or not _KEY.fullmatch(values[0]):
        raise ContractError(400, 400, "Idempotency-Key must be one header of 1 to 255 printable ASCII characters")
    return values[0].decode("ascii")


def _digest(exchange: Exchange, body: bytes) -> str:
    request = f"{exchange.scope['method']} {exchange.scope['path']}\n".encode()
    return hashlib.sha256(request + body).hexdigest()


def _under_way() -> ContractError:
    words = "A request with this Idempotency-Key is under way"
    return ContractError(409, 409, words, retry_after_seconds=UNDER_WAY_SECONDS)
