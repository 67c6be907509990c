"""Which node does what, of the work that any of them could do: the queries, each a function of a connection.

Whoever is about to send an event claims it first, for a time that is longer than sending takes. A claim that ran out
counts as none: its node has died, or hangs, and what it claimed is sent again. (Exports are claimed in exports.py.)
"""

from sqlalchemy import Connection, bindparam, or_, select, update

from callwright.storage import exports
from callwright.storage.schema import DUE_DELIVERY, deliveries

_free = deliveries.alias("free")
CLAIM_DELIVERY = (
    update(deliveries)
    .where(
        deliveries.c.delivery_id
        == select(_free.c.delivery_id)
        .where(
            _free.c.delivery_id == bindparam("this_delivery_id"),
            _free.c.state == "DUE",
            _free.c.attempts == bindparam("these_attempts"),
            or_(_free.c.lease_until.is_(None), _free.c.lease_until <= bindparam("now")),
        )
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    .values(node_id=bindparam("new_node_id"), lease_until=bindparam("until"))
)
RELEASE_DELIVERIES = (
    update(deliveries)
    .where(DUE_DELIVERY, deliveries.c.node_id == bindparam("this_node_id"))
    .values(node_id=None, lease_until=None)
)


def claim_delivery(  # one claim, whole
    connection: Connection, delivery_id: str, attempts: int, node_id: str, now: float, until: float
) -> bool:
    """Whether `node_id` may send it; False when another node does, or has since it was tried `attempts` times."""
    values = {
        "this_delivery_id": delivery_id,
        "these_attempts": attempts,
        "now": now,
        "new_node_id": node_id,
        "until": until,
    }
    return connection.execute(CLAIM_DELIVERY, values).rowcount == 1


def release_all_of(connection: Connection, node_id: str) -> int:
    """A node is gone: what it had claimed is free at once. How much that was."""
    deliveries_of_it = connection.execute(RELEASE_DELIVERIES, {"this_node_id": node_id}).rowcount
    return deliveries_of_it + connection.execute(exports.RELEASE_EXPORTS, {"this_node_id": node_id}).rowcount
