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

    async def give_again(self, answer: KeptAnswer) -> bool:
        """Before an answer that was found is given again: from now on what it tells of is not taken back.

        False when it was taken back since it was found: the request may be made as if for the first time.
        """
        if answer.is_given_again:
            return True
        now = self._clock()
        return await self._change(lambda connection: idempotency.give_again(connection, answer, now))

    async def forget_old_answers(self) -> int:
        """Take answers away that are kept no longer; how many, at most 1,000 at a time."""
        now = self._clock()
        return await self._change(lambda connection: idempotency.forget_old(connection, now), patient=True)
