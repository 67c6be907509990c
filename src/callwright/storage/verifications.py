"""Verifications (Voice OTP): the queries, each a function of a connection.

What a verification becomes is decided by `contract/otp_session.py`; here the row is read, handed to that decision and
written in one transaction, so that parallel guesses count one by one.
"""

from collections.abc import Callable

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from callwright.contract.otp_session import Verification, VerificationStatus
from callwright.errors import ContractError
from callwright.storage import accounts
from callwright.storage.schema import WAITING_VERIFICATION, verifications
from callwright.storage.secrets_box import SecretsBox, verification_place

INSERT_VERIFICATION = insert(verifications)
VERIFICATIONS = select(
    verifications.c.session_id,
    verifications.c.sub_account_id,
    verifications.c.destination,
    verifications.c.code,
    verifications.c.status,
    verifications.c.attempt,
    verifications.c.expires_at,
    verifications.c.sent_at,
    verifications.c.resending_interval_seconds,
)
# Locks the row where rows are locked; SQLite has one writer and is told nothing of it.
ONE_VERIFICATION = VERIFICATIONS.where(
    verifications.c.session_id == bindparam("this_session_id"),
    verifications.c.sub_account_id == bindparam("this_sub_account_id"),
).with_for_update()
# WAITING_VERIFICATION stands word for word as in its index, or SQLite does not use that.
LAST_WAITING = (
    VERIFICATIONS.where(
        verifications.c.sub_account_id == bindparam("this_sub_account_id"),
        verifications.c.destination == bindparam("this_destination"),
        WAITING_VERIFICATION,
    )
    .order_by(verifications.c.sent_at.desc())
    .limit(1)
    .with_for_update()
)
UPDATE_VERIFICATION = (
    update(verifications)
    .where(verifications.c.session_id == bindparam("this_session_id"))
    .values(
        code=bindparam("new_code"),
        status=bindparam("new_status"),
        attempt=bindparam("new_attempt"),
        expires_at=bindparam("new_expires_at"),
        sent_at=bindparam("new_sent_at"),
        resending_interval_seconds=bindparam("new_interval"),
    )
)
WITHDRAW_CALL = (
    update(verifications)
    .where(verifications.c.session_id == bindparam("this_session_id"))
    .values(sent_at=verifications.c.sent_at - verifications.c.resending_interval_seconds)
)


def ask(
    connection: Connection,
    box: SecretsBox,
    sub_account_id: str,
    destination: str,
    decide: Callable[[Verification | None], Verification],
) -> Verification | ContractError:
    """Hand the one that waits for a destination, if any, to `decide`, and write what it makes of it.

    What `decide` raises is handed back: raised here, it would fail those who share the transaction.
    """
    waiting = {"this_sub_account_id": sub_account_id, "this_destination": destination}
    row = connection.execute(LAST_WAITING, waiting).mappings().first()
    if row is None:  # there is nothing to lock: those who ask for a first one do so in turn
        accounts.lock_sub_account(connection, sub_account_id)
        row = connection.execute(LAST_WAITING, waiting).mappings().first()
    current = None if row is None else _verification(row, box)
    try:
        decided = decide(current)
    except ContractError as error:
        return error
    if current is None or decided.session_id != current.session_id:
        _insert(connection, box, decided)
    else:
        _update(connection, box, decided)
    return decided


def check(
    connection: Connection,
    box: SecretsBox,
    sub_account_id: str,
    session_id: str,
    judge: Callable[[Verification], Verification],
) -> Verification | None:
    """Hand a sub-account's own verification to `judge` and write what it makes of it; None when there is none."""
    own = {"this_session_id": session_id, "this_sub_account_id": sub_account_id}
    row = connection.execute(ONE_VERIFICATION, own).mappings().first()
    if row is None:
        return None
    current = _verification(row, box)
    judged = judge(current)
    if judged != current:
        _update(connection, box, judged)
    return judged


def withdraw_call(connection: Connection, session_id: str) -> None:
    """The call that was to speak the code is not placed: another may be asked for at once."""
    connection.execute(WITHDRAW_CALL, {"this_session_id": session_id})


def _insert(connection: Connection, box: SecretsBox, verification: Verification) -> None:
    connection.execute(
        INSERT_VERIFICATION,
        {
            "session_id": verification.session_id,
            "sub_account_id": verification.sub_account_id,
            "destination": verification.destination,
            "code": box.seal(verification.code, verification_place(verification.session_id)),
            "status": verification.status.value,
            "attempt": verification.attempt,
            "expires_at": verification.expires_at,
            "sent_at": verification.sent_at,
            "resending_interval_seconds": verification.resending_interval_seconds,
        },
    )


def _update(connection: Connection, box: SecretsBox, verification: Verification) -> None:
    connection.execute(
        UPDATE_VERIFICATION,
        {
            "this_session_id": verification.session_id,
            "new_code": box.seal(verification.code, verification_place(verification.session_id)),
            "new_status": verification.status.value,
            "new_attempt": verification.attempt,
            "new_expires_at": verification.expires_at,
            "new_sent_at": verification.sent_at,
            "new_interval": verification.resending_interval_seconds,
        },
    )


def _verification(row: RowMapping, box: SecretsBox) -> Verification:
    code = box.open(row["code"], verification_place(row["session_id"]))
    return Verification(**{**row, "code": code, "status": VerificationStatus(row["status"])})
