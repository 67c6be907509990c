"""Which of the drivers' errors mean that the database is away."""

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from callwright.storage.faults import Lost, storage_error


@pytest.mark.parametrize(
    "cause",
    [
        psycopg.errors.ConnectionTimeout("connection timeout expired"),
        psycopg.OperationalError("connection is bad"),
        psycopg.errors.AdminShutdown("terminating connection"),
    ],
    ids=lambda cause: type(cause).__name__,
)
def test_a_connection_that_cannot_be_had_is_lost(cause: psycopg.Error) -> None:
    error = OperationalError.instance("SELECT 1", {}, cause, psycopg.Error)
    assert isinstance(error, DBAPIError)
    assert isinstance(storage_error(error), Lost)
