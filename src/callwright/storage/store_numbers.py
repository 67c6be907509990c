"""The store's methods about virtual numbers."""

import uuid
from collections.abc import Mapping

from callwright import numbers
from callwright.errors import StorageError
from callwright.storage import virtual_numbers
from callwright.storage.access import Access
from callwright.storage.records import VirtualNumber


class NumberStore(Access):
    """Which numbers lead to which sub-account. A change is told to the VNU webhook, if there is one."""

    async def add_number(self, sub_account_id: str, msisdn: str, *, status: str = "Active") -> VirtualNumber:
        """Give a number (E.164 with +) to a sub-account; what it has already stays as it is.

        Raises StorageError when it is another sub-account's, or there is no such sub-account.
        """
        if numbers.parse_msisdn(msisdn) != msisdn:
            raise StorageError(f"{msisdn} is no number in international form, such as +6512345678")
        at = self._clock()
        number = VirtualNumber(msisdn, sub_account_id, str(uuid.uuid4()), numbers.country_code(msisdn), status, at, at)
        added = await self._change(lambda connection: virtual_numbers.add(connection, number))
        await self._mirror.expire()
        return added

    async def remove_number(self, msisdn: str, sub_account_id: str | None = None) -> VirtualNumber | None:
        """Take a number away, from `sub_account_id` only if that is given; what it was, None when there was none."""
        at = self._clock()
        removed = await self._change(lambda connection: virtual_numbers.remove(connection, msisdn, sub_account_id, at))
        await self._mirror.expire()
        return removed

    async def list_numbers(self, sub_account_id: str) -> tuple[VirtualNumber, ...]:
        """What a sub-account has, by number."""
        return await self._ask(lambda connection: virtual_numbers.numbers_of(connection, sub_account_id))

    async def every_number(self, sub_account_id: str | None = None) -> tuple[VirtualNumber, ...]:
        """The numbers of all sub-accounts, or of one, by sub-account and number."""
        if sub_account_id is not None:
            return await self.list_numbers(sub_account_id)
        return tuple(await self._ask(virtual_numbers.every))

    async def find_number(self, msisdn: str) -> VirtualNumber | None:
        """The number, whoever has it. From memory; asks the database at most every two seconds."""
        if self._mirror.is_old():
            await self._mirror.freshen()
        return self._mirror.numbers.find(msisdn)

    def reference_ids(self, sub_account_id: str) -> Mapping[str, str]:
        """Reference id by number (E.164 with +) of a sub-account, as it was when a key or number was last looked up."""
        return self._mirror.numbers.reference_ids(sub_account_id)
