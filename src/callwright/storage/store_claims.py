"""The store's methods about which node does what."""

from callwright.storage import claims
from callwright.storage.access import Access


class ClaimStore(Access):
    """Claims of work that any node could do. With SQLite there is one node, and nothing to claim."""

    async def claim_delivery(self, delivery_id: str, attempts: int, lease_seconds: float) -> bool:
        """Whether this node may send an event that was tried `attempts` times; if so, no other does for so long."""
        if not self._database.is_shared:
            return True
        now = self._clock()
        return await self._change(
            lambda connection: claims.claim_delivery(
                connection, delivery_id, attempts, self.node_id, now, now + lease_seconds
            )
        )
