"""The store's methods about one-time passcodes."""

import uuid

from callwright.storage import passcodes
from callwright.storage.access import Access
from callwright.storage.records import PasscodeState, StoredPasscode


class PasscodeStore(Access):
    """Passcodes from the first call to their end."""

    async def begin_passcode(  # one passcode, whole
        self,
        sub_account_id: str,
        destination: str,
        code: str,
        *,
        valid_seconds: float,
        again_seconds: float,
        reset: bool = False,
    ) -> tuple[StoredPasscode, bool]:
        """The passcode to be spoken to `destination`, and whether to call now.

        One that waits already is spoken again (with its own code), but not within `again_seconds` of the last call;
        with `reset`, or without one, `code` becomes the passcode and whatever waited is EXPIRED.
        """
        at = self._clock()
        fresh = StoredPasscode(
            passcode_id=str(uuid.uuid4()),
            sub_account_id=sub_account_id,
            destination=destination,
            code=code,
            state=PasscodeState.WAITING,
            calls=1,
            wrong_checks=0,
            created_at=at,
            expires_at=at + valid_seconds,
            call_again_at=at + again_seconds,
            session_id=None,
        )
        return await self._change(lambda connection: passcodes.begin(connection, self._box, fresh, reset=reset))

    async def note_passcode_call(self, passcode_id: str, session_id: str) -> None:
        """The session that speaks it."""
        await self._change(lambda connection: passcodes.note_session(connection, passcode_id, session_id))

    async def check_passcode(
        self, sub_account_id: str, passcode_id: str, code: str | None, most_wrong: int
    ) -> StoredPasscode | None:
        """Judge a code that was said back (None: only look); how the passcode stands then.

        None when this sub-account has no such passcode. The `most_wrong`th wrong code makes it FAILED; one that is no
        longer WAITING stays as it is.
        """
        at = self._clock()
        return await self._change(
            lambda connection: passcodes.check(connection, self._box, sub_account_id, passcode_id, code, most_wrong, at)
        )
