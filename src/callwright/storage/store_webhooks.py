"""The store's methods about what webhooks are signed with."""

from callwright.storage import webhook_secrets
from callwright.storage.access import Access
from callwright.storage.webhook_secrets import WebhookSecret


class WebhookStore(Access):
    """Secrets of endpoints. What is signed with is known from memory, and sealed there too."""

    async def signing_secrets(self, sub_account_id: str, kind: str) -> tuple[str, ...]:
        """What to sign an endpoint's events with now, the newest first; none when no such webhook is registered.

        From memory; asks the database at most every two seconds, for all endpoints at once. Raises StorageError when
        a secret does not open.
        """
        if self._mirror.is_old():
            await self._mirror.freshen()
        now = self._clock()
        sealed = self._mirror.secrets.get((sub_account_id, kind), ())
        if not sealed:  # registered by another process a moment ago, or before there were secrets
            return tuple(secret.text for secret in await self.endpoint_secrets(sub_account_id, kind))
        return tuple(webhook_secrets.opened(one, self._box).text for one in sealed if one.is_live(now))

    async def endpoint_secrets(self, sub_account_id: str, kind: str) -> tuple[WebhookSecret, ...]:
        """The live secrets of an endpoint, the newest first; made when a registered webhook has none."""
        now = self._clock()
        sealed = await self._ask(lambda connection: webhook_secrets.of_endpoint(connection, sub_account_id, kind))
        if not sealed:
            if not await self._change(
                lambda connection: webhook_secrets.ensure(connection, self._box, sub_account_id, kind, now)
            ):
                return ()
            await self._mirror.expire()
            sealed = await self._ask(lambda connection: webhook_secrets.of_endpoint(connection, sub_account_id, kind))
        return tuple(webhook_secrets.opened(one, self._box) for one in sealed if one.is_live(now))

    async def rotate_secret(self, sub_account_id: str, kind: str, old_valid_seconds: float) -> bool:
        """A new secret for an endpoint; the one before stays good for so long. False when there is no such webhook."""
        at = self._clock()
        rotated = await self._change(
            lambda connection: webhook_secrets.rotate(
                connection, self._box, sub_account_id, kind, at, at + old_valid_seconds
            )
        )
        await self._look_again()
        return rotated

    async def forget_expired_secrets(self) -> int:
        """Take secrets away that nothing is signed with any more; how many."""
        now = self._clock()
        return await self._change(lambda connection: webhook_secrets.forget_expired(connection, now), patient=True)
