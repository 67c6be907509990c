"""Prepared statements do what SQLAlchemy's do, errors included."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from callwright.errors import StorageError, StorageUnavailable
from callwright.storage.outbox import LANES
from callwright.storage.prepared import Prepared, run_text
from callwright.storage.schema import sub_accounts
from callwright.storage.sqlite import open_sqlite
from callwright.storage.store import Store

ADD = Prepared(insert(sub_accounts), "sub_account_id", "created_at", "last_event")
MOVE = Prepared(
    update(sub_accounts)
    .where(sub_accounts.c.sub_account_id == bindparam("this"), sub_accounts.c.last_event == 7)
    .values(last_event=sub_accounts.c.last_event + bindparam("count"))
    .returning(sub_accounts.c.last_event)
)
ALL = select(sub_accounts.c.sub_account_id, sub_accounts.c.last_event)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    database = open_sqlite(f"sqlite:///{tmp_path}/callwright.db", exclusive=True, busy_timeout_seconds=0.05)
    yield database.write
    database.close()


def add(connection: Connection, name: str) -> None:
    ADD.run(connection, {"sub_account_id": name, "created_at": 1.0, "last_event": 7})


def test_values_and_constants_find_their_places(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin():
        add(connection, "a")
        add(connection, "b")
        assert MOVE.run(connection, {"this": "b", "count": 3, "more": "is ignored"}).fetchall() == [(10,)]
        assert MOVE.run(connection, {"this": "b", "count": 3}).fetchall() == []
        assert sorted(connection.execute(ALL)) == [("a", 7), ("b", 10)]


def test_what_is_rolled_back_was_never_there(engine: Engine) -> None:
    with engine.connect() as connection:
        transaction = connection.begin()
        add(connection, "a")
        transaction.rollback()
        with connection.begin():
            assert list(connection.execute(ALL)) == []


def test_an_error_is_sqlalchemys_and_names_no_values(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin():
        add(connection, "a-secret")
        with pytest.raises(IntegrityError) as caught:
            add(connection, "a-secret")
        assert "a-secret" not in str(caught.value)
        with pytest.raises(OperationalError):
            run_text(connection, "SELECT nothing FROM nowhere")


def test_a_value_that_is_missing_is_an_error_of_ours(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin(), pytest.raises(KeyError, match="count"):
        MOVE.run(connection, {"this": "b"})


def test_nothing_runs_outside_of_a_transaction(engine: Engine) -> None:
    with engine.connect() as connection, pytest.raises(StorageError, match="in a transaction"):
        LANES.run(connection, {})


def test_a_statement_whose_text_depends_on_its_values_is_refused(engine: Engine) -> None:
    some = Prepared(ALL.where(sub_accounts.c.sub_account_id.in_(bindparam("these", expanding=True))))
    with engine.connect() as connection, connection.begin(), pytest.raises(TypeError, match="depends on its values"):
        some.run(connection, {"these": ["a"]})


async def test_a_database_that_is_locked_is_said_to_be(tmp_path: Path, engine: Engine) -> None:
    other = await Store.open(f"sqlite:///{tmp_path}/callwright.db", exclusive=False, busy_timeout_seconds=0.05)
    with engine.connect() as connection, connection.begin(), pytest.raises(StorageUnavailable, match="locked"):
        await other.ensure_sub_account("riders_hq")
    await other.close()
