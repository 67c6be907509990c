"""Virtual numbers: the queries, each a function of a connection, and the book that answers for them without SQL.

Who registered for VNU, or follows events, is told of every change, in the transaction that makes it.
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select

from callwright.contract import virtual_numbers as wire
from callwright.contract.json_text import serialize
from callwright.errors import StorageError
from callwright.storage import editions, events, outbox
from callwright.storage.accounts import has_sub_account
from callwright.storage.records import VirtualNumber
from callwright.storage.schema import virtual_numbers

ALL_NUMBERS = select(
    virtual_numbers.c.msisdn,
    virtual_numbers.c.sub_account_id,
    virtual_numbers.c.reference_id,
    virtual_numbers.c.country,
    virtual_numbers.c.status,
    virtual_numbers.c.created_at,
    virtual_numbers.c.updated_at,
).order_by(virtual_numbers.c.sub_account_id, virtual_numbers.c.msisdn)
NUMBERS_OF = ALL_NUMBERS.where(virtual_numbers.c.sub_account_id == bindparam("this_sub_account_id"))
ONE_NUMBER = ALL_NUMBERS.where(virtual_numbers.c.msisdn == bindparam("this_msisdn"))
INSERT_NUMBER = insert(virtual_numbers)
DELETE_NUMBER = delete(virtual_numbers).where(virtual_numbers.c.msisdn == bindparam("this_msisdn"))

_NOTHING: Mapping[str, str] = MappingProxyType({})


class NumberBook:
    """Every virtual number in memory: whose it is, and what each sub-account has."""

    def __init__(self) -> None:
        self._numbers: dict[str, VirtualNumber] = {}
        self._reference_ids: dict[str, dict[str, str]] = {}

    def fill(self, numbers: Iterable[VirtualNumber]) -> None:
        """Take over all numbers."""
        self._numbers, self._reference_ids = {}, {}
        for number in numbers:
            self._numbers[number.msisdn] = number
            self._reference_ids.setdefault(number.sub_account_id, {})[number.msisdn] = number.reference_id

    def find(self, msisdn: str) -> VirtualNumber | None:
        """The number, whoever has it."""
        return self._numbers.get(msisdn)

    def reference_ids(self, sub_account_id: str) -> Mapping[str, str]:
        """Reference id by number, of one sub-account."""
        return self._reference_ids.get(sub_account_id, _NOTHING)


def add(connection: Connection, number: VirtualNumber) -> VirtualNumber:
    """Give a number to a sub-account; one that it has already stays as it is.

    Raises StorageError when it is another sub-account's, or there is no such sub-account.
    """
    known = connection.execute(ONE_NUMBER, {"this_msisdn": number.msisdn}).mappings().first()
    if known is not None:
        found = _number(known)
        if found.sub_account_id != number.sub_account_id:
            raise StorageError(f"the number {number.msisdn} belongs to another sub-account")
        return found
    if not has_sub_account(connection, number.sub_account_id):
        raise StorageError(f"there is no sub-account {number.sub_account_id}")
    connection.execute(
        INSERT_NUMBER,
        {
            "msisdn": number.msisdn,
            "sub_account_id": number.sub_account_id,
            "reference_id": number.reference_id,
            "country": number.country,
            "status": number.status,
            "created_at": number.created_at,
            "updated_at": number.updated_at,
        },
    )
    editions.move_on(connection, editions.VIRTUAL_NUMBERS)
    _notify(connection, number.sub_account_id, (), number.msisdn, number.created_at)
    return number


def remove(connection: Connection, msisdn: str, sub_account_id: str | None, at: float) -> VirtualNumber | None:
    """Take a number away and say what it was; None when there is none, or not of `sub_account_id`."""
    row = connection.execute(ONE_NUMBER, {"this_msisdn": msisdn}).mappings().first()
    if row is None or (sub_account_id is not None and row["sub_account_id"] != sub_account_id):
        return None
    if connection.execute(DELETE_NUMBER, {"this_msisdn": msisdn}).rowcount != 1:
        return None  # another node was faster
    editions.move_on(connection, editions.VIRTUAL_NUMBERS)
    removed = _number(row)
    gone = replace(removed, status=wire.NumberStatus.INACTIVE.value, updated_at=at)
    _notify(connection, removed.sub_account_id, (gone,), msisdn, at)
    return removed


def every(connection: Connection) -> list[VirtualNumber]:
    """All numbers of the installation."""
    return [_number(row) for row in connection.execute(ALL_NUMBERS).mappings()]


def numbers_of(connection: Connection, sub_account_id: str) -> tuple[VirtualNumber, ...]:
    """What a sub-account has, by number."""
    rows = connection.execute(NUMBERS_OF, {"this_sub_account_id": sub_account_id}).mappings()
    return tuple(_number(row) for row in rows)


def listed(number: VirtualNumber) -> wire.VirtualNumber:
    """The number as the API shows it."""
    return wire.VirtualNumber(
        msisdn=number.msisdn,
        reference_id=number.reference_id,
        created_at=number.created_at,
        updated_at=number.updated_at,
        status=wire.NumberStatus(number.status),
    )


def _notify(
    connection: Connection, sub_account_id: str, gone: tuple[VirtualNumber, ...], changed: str, at: float
) -> None:
    if outbox.is_wanted(connection, sub_account_id, "VNU") or events.is_followed(connection, sub_account_id, at):
        numbers = [listed(number) for number in (*numbers_of(connection, sub_account_id), *gone)]
        body = serialize(wire.numbers_updated(sub_account_id, numbers, frozenset({changed})))
        outbox.enqueue(connection, sub_account_id, None, "VNU", f"evt_{uuid.uuid4().hex}", body, at)


def _number(row: RowMapping) -> VirtualNumber:
    return VirtualNumber(**row)
