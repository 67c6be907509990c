"""A session whose commit became known only after it was refused goes again, unless another node has it by then."""

from sqlalchemy import update

from callwright.callflow.plan import Callflow
from callwright.storage import schema, sessions
from callwright.storage.idempotency import KeptAnswer
from callwright.storage.store import Store

NOW = 1_800_000_000.0
KEPT = KeptAnswer("riders_hq", "key-1", "digest", 200, b"{}", "s1")


async def accepted_and_taken_back(store: Store, flow: Callflow, *, owner: str) -> None:
    """Accepted by this node; `owner` has it when it is taken back."""
    node_id = store.node_id
    await store.accept_session("s1", "riders_hq", flow, NOW, KEPT)
    await store._change(lambda connection: connection.execute(update(schema.sessions).values(node_id=owner)))
    await store._change(lambda connection: sessions.take_back(connection, "s1", KEPT, node_id=node_id))


async def test_what_is_ours_goes_with_its_answer_and_can_be_asked_for_again(store: Store, flow: Callflow) -> None:
    await accepted_and_taken_back(store, flow, owner=store.node_id)
    assert await store.find_session("s1") is None
    assert await store.deliveries_of("s1") == ()
    await store.accept_session("s1", "riders_hq", flow, NOW, KEPT)


async def test_what_another_node_has_claimed_stays_as_it_is(store: Store, flow: Callflow) -> None:
    await accepted_and_taken_back(store, flow, owner="another")
    assert await store.find_session("s1") is not None
    assert await store.find_answer("riders_hq", "key-1") is not None
