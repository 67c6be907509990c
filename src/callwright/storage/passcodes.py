"""One-time passcodes: the queries, each a function of a connection.

A code waits until it is said back, said wrongly too often, or old. Every change of its state is judged and written in
one transaction, so that parallel guesses count one by one.
"""

import hmac

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from callwright.storage.records import PasscodeState, StoredPasscode
from callwright.storage.schema import WAITING_PASSCODE, passcodes
from callwright.storage.secrets_box import SecretsBox, passcode_place

INSERT_PASSCODE = insert(passcodes)
PASSCODES = select(
    passcodes.c.passcode_id,
    passcodes.c.sub_account_id,
    passcodes.c.destination,
    passcodes.c.code,
    passcodes.c.state,
    passcodes.c.calls,
    passcodes.c.wrong_checks,
    passcodes.c.created_at,
    passcodes.c.expires_at,
    passcodes.c.call_again_at,
    passcodes.c.session_id,
)
# Locks the row where rows are locked; SQLite has one writer and says nothing of it.
ONE_PASSCODE = PASSCODES.where(passcodes.c.passcode_id == bindparam("this_passcode_id")).with_for_update()
WAITING_PASSCODES = PASSCODES.where(
    passcodes.c.sub_account_id == bindparam("this_sub_account_id"),
    passcodes.c.destination == bindparam("this_destination"),
    WAITING_PASSCODE,
).with_for_update()
_this = passcodes.c.passcode_id == bindparam("this_passcode_id")
NOTE_STATE = update(passcodes).where(_this).values(state=bindparam("new_state"), wrong_checks=bindparam("new_wrong"))
NOTE_CALL = update(passcodes).where(_this).values(calls=passcodes.c.calls + 1, call_again_at=bindparam("again_at"))
NOTE_SESSION = update(passcodes).where(_this).values(session_id=bindparam("new_session_id"))


def begin(
    connection: Connection, box: SecretsBox, fresh: StoredPasscode, *, reset: bool
) -> tuple[StoredPasscode, bool]:
    """The passcode that is to be spoken to `fresh.destination`, and whether to call now.

    One that waits already and is not `reset` is spoken again, but no earlier than its `call_again_at`; then its times
    stay as they are. Otherwise `fresh` is written, and whatever waited is EXPIRED.
    """
    now = fresh.created_at
    rows = connection.execute(
        WAITING_PASSCODES, {"this_sub_account_id": fresh.sub_account_id, "this_destination": fresh.destination}
    )
    for row in rows.mappings().all():
        if reset or row["expires_at"] <= now:
            _note_state(connection, row["passcode_id"], PasscodeState.EXPIRED, row["wrong_checks"])
            continue
        call = row["call_again_at"] <= now
        if call:
            connection.execute(NOTE_CALL, {"this_passcode_id": row["passcode_id"], "again_at": fresh.call_again_at})
        return find(connection, box, row["passcode_id"]) or fresh, call
    connection.execute(
        INSERT_PASSCODE,
        {
            "passcode_id": fresh.passcode_id,
            "sub_account_id": fresh.sub_account_id,
            "destination": fresh.destination,
            "code": box.seal(fresh.code, passcode_place(fresh.passcode_id)),
            "state": fresh.state.value,
            "calls": fresh.calls,
            "wrong_checks": fresh.wrong_checks,
            "created_at": fresh.created_at,
            "expires_at": fresh.expires_at,
            "call_again_at": fresh.call_again_at,
        },
    )
    return fresh, True


def note_session(connection: Connection, passcode_id: str, session_id: str) -> None:
    """The call that speaks it is accepted."""
    connection.execute(NOTE_SESSION, {"this_passcode_id": passcode_id, "new_session_id": session_id})


def find(connection: Connection, box: SecretsBox, passcode_id: str) -> StoredPasscode | None:
    """One passcode as it was written last; its time may have run out since."""
    row = connection.execute(ONE_PASSCODE, {"this_passcode_id": passcode_id}).mappings().first()
    return None if row is None else _passcode(row, box)


def check(  # one judgement, whole
    connection: Connection,
    box: SecretsBox,
    sub_account_id: str,
    passcode_id: str,
    code: str | None,
    most_wrong: int,
    now: float,
) -> StoredPasscode | None:
    """Judge a code that was said back, or without one only whether the time has run out; how the passcode stands then.

    None when there is none of this sub-account. The `most_wrong`th wrong code fails it for good.
    """
    stored = find(connection, box, passcode_id)
    if stored is None or stored.sub_account_id != sub_account_id:
        return None
    state, wrong = stored.state, stored.wrong_checks
    if state is PasscodeState.WAITING and stored.expires_at <= now:
        state = PasscodeState.EXPIRED
    elif state is PasscodeState.WAITING and code is not None:
        if hmac.compare_digest(stored.code.encode(), code.encode("utf-8", "surrogateescape")):
            state = PasscodeState.VERIFIED
        else:
            wrong += 1
            state = PasscodeState.FAILED if wrong >= most_wrong else state
    if (state, wrong) == (stored.state, stored.wrong_checks):
        return stored
    _note_state(connection, passcode_id, state, wrong)
    return find(connection, box, passcode_id)


def _note_state(connection: Connection, passcode_id: str, state: PasscodeState, wrong: int) -> None:
    connection.execute(NOTE_STATE, {"this_passcode_id": passcode_id, "new_state": state.value, "new_wrong": wrong})


def _passcode(row: RowMapping, box: SecretsBox) -> StoredPasscode:
    code = box.open(row["code"], passcode_place(row["passcode_id"]))
    return StoredPasscode(**{**row, "code": code, "state": PasscodeState(row["state"])})
