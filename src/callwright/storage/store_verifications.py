"""The store's methods about verifications (Voice OTP)."""

from collections.abc import Callable

from callwright.contract.otp_session import Verification
from callwright.contract.otp_session import check as judge
from callwright.errors import ContractError
from callwright.storage import verifications
from callwright.storage.access import Access


class VerificationStore(Access):
    """Verifications from the first call to their end."""

    async def ask_verification(
        self, sub_account_id: str, destination: str, decide: Callable[[Verification | None], Verification]
    ) -> Verification:
        """Write what `decide` makes of the verification that waits for `destination` (None: there is none).

        `decide` is pure and may run twice. Raises the ContractError that it raises; nothing is written then.
        """
        decided = await self._change(
            lambda connection: verifications.ask(connection, self._box, sub_account_id, destination, decide)
        )
        if isinstance(decided, ContractError):
            raise decided
        return decided

    async def check_verification(
        self, sub_account_id: str, session_id: str, code: str | None, now: float
    ) -> Verification | None:
        """Judge a code that was said back (None: only look); how the verification stands then.

        None when this sub-account has no such verification.
        """
        return await self._change(
            lambda connection: verifications.check(
                connection, self._box, sub_account_id, session_id, lambda current: judge(current, code, now)
            )
        )

    async def call_not_placed(self, session_id: str) -> None:
        """The call that was to speak the code was not taken: the interval before the next one does not count."""
        await self._change(lambda connection: verifications.withdraw_call(connection, session_id))
