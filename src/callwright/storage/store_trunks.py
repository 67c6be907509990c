"""The store's methods about trunks."""

from collections.abc import Mapping

from callwright.storage import trunks
from callwright.storage.access import Access
from callwright.storage.trunks import StoredTrunk


class TrunkStore(Access):
    """Trunks besides those of the settings. What one is made of is judged by whoever writes it."""

    async def put_trunk(self, name: str, table: Mapping[str, object]) -> StoredTrunk:
        """Store a trunk, described as `[trunks.NAME]` does, over the one that has its name."""
        trunk = StoredTrunk(name, dict(table), self._clock())
        await self._change(lambda connection: trunks.put(connection, self._box, trunk))
        await self._mirror.expire()
        return trunk

    async def remove_trunk(self, name: str) -> bool:
        """Take a trunk away; False when there is none of that name."""
        removed = await self._change(lambda connection: trunks.remove(connection, name))
        await self._mirror.expire()
        return removed is not None

    async def stored_trunks(self) -> tuple[StoredTrunk, ...]:
        """All of them, by name. StorageError when a secret does not open."""
        found = await self._ask(trunks.every)
        return tuple(trunks.opened(trunk, self._box) for trunk in found)

    async def trunks_edition(self) -> int:
        """A number that moves on with every change, by whichever process. Asks the database."""
        await self._mirror.freshen()
        return self._mirror.trunks_edition
