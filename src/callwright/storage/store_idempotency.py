"""The store's methods about answers to repeated requests."""

from callwright.storage import idempotency
from callwright.storage.access import Access
from callwright.storage.idempotency import KeptAnswer


class IdempotencyStore(Access):
    """What was answered under which Idempotency-Key. Written by those who accept: `accept_session`, `create_export`."""

    async def find_answer(self, sub_account_id: str, key: str) -> KeptAnswer | None:
        """What was answered under that key within 72 hours."""
        now = self._clock()
        return await self._ask(lambda connection: idempotency.find(connection, sub_account_id, key, now))

    async def forget_old_answers(self) -> int:
        """Take answers away that are kept no longer; how many, at most 1,000 at a time."""
        now = self._clock()
        return await self._change(lambda connection: idempotency.forget_old(connection, now), patient=True)
