"""What webhooks are signed with: the queries, each a function of a connection.

An endpoint (a sub-account's webhook of one kind) has a secret from its registration on. It outlives the registration,
because people replace a webhook by deleting and registering it; only rotation changes it. Then the one before stays
valid for as long as it is told, so that there are at most two.
"""

import base64
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update

from callwright.storage import editions
from callwright.storage.schema import webhook_secrets, webhooks
from callwright.storage.secrets_box import SecretsBox

KEY_BYTES: Final = 32

_of_endpoint = (
    webhook_secrets.c.sub_account_id == bindparam("this_sub_account_id"),
    webhook_secrets.c.kind == bindparam("this_kind"),
)
# Whoever changes an endpoint's secrets has its webhook's row, so that no two processes make one at once.
LOCK_ENDPOINT = (
    select(webhooks.c.url)
    .where(
        webhooks.c.sub_account_id == bindparam("this_sub_account_id"),
        webhooks.c.kind == bindparam("this_kind"),
    )
    .with_for_update()
)
SECRETS = select(
    webhook_secrets.c.secret_id,
    webhook_secrets.c.sub_account_id,
    webhook_secrets.c.kind,
    webhook_secrets.c.secret,
    webhook_secrets.c.created_at,
    webhook_secrets.c.expires_at,
).order_by(webhook_secrets.c.expires_at.is_not(None), webhook_secrets.c.created_at.desc())
SECRETS_OF = SECRETS.where(*_of_endpoint)
INSERT_SECRET = insert(webhook_secrets)
FORGET_OLDER = delete(webhook_secrets).where(*_of_endpoint, webhook_secrets.c.expires_at.is_not(None))
FORGET_EXPIRED = delete(webhook_secrets).where(webhook_secrets.c.expires_at <= bindparam("now"))
LET_EXPIRE = (
    update(webhook_secrets)
    .where(*_of_endpoint, webhook_secrets.c.expires_at.is_(None))
    .values(expires_at=bindparam("until"))
)


@dataclass(frozen=True, slots=True)
class SealedSecret:
    """A secret as it lies in the database."""

    secret_id: str
    sub_account_id: str
    kind: str
    secret: bytes
    created_at: float
    expires_at: float | None
    "None: the one to stay"

    def is_live(self, now: float) -> bool:
        """Whether webhooks are signed with it at `now`."""
        return self.expires_at is None or self.expires_at > now


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    """A secret to sign with."""

    text: str = field(repr=False)
    "whsec_ and base64"
    created_at: float
    expires_at: float | None
    "None: the one to stay"


def opened(sealed: SealedSecret, box: SecretsBox) -> WebhookSecret:
    """The secret itself; StorageError when the key is another one."""
    return WebhookSecret(box.open(sealed.secret, _place(sealed.secret_id)), sealed.created_at, sealed.expires_at)


def every(connection: Connection) -> list[SealedSecret]:
    """All of the installation; those to stay first."""
    return [_secret(row) for row in connection.execute(SECRETS).mappings()]


def of_endpoint(connection: Connection, sub_account_id: str, kind: str) -> list[SealedSecret]:
    """Those of one endpoint; the one to stay first."""
    values = {"this_sub_account_id": sub_account_id, "this_kind": kind}
    return [_secret(row) for row in connection.execute(SECRETS_OF, values).mappings()]


def ensure(connection: Connection, box: SecretsBox, sub_account_id: str, kind: str, at: float) -> bool:
    """Make a secret for a registered webhook that has none; False when no such webhook is registered."""
    if not _lock(connection, sub_account_id, kind):
        return False
    if not of_endpoint(connection, sub_account_id, kind):
        _make(connection, box, sub_account_id, kind, at)
        editions.move_on(connection, editions.WEBHOOKS)
    return True


def rotate(
    connection: Connection, box: SecretsBox, sub_account_id: str, kind: str, at: float, old_valid_until: float
) -> bool:
    """A new secret; the one before is good until `old_valid_until`. False when no such webhook is registered."""
    if not _lock(connection, sub_account_id, kind):
        return False
    values = {"this_sub_account_id": sub_account_id, "this_kind": kind}
    connection.execute(FORGET_OLDER, values)
    connection.execute(LET_EXPIRE, {**values, "until": old_valid_until})
    _make(connection, box, sub_account_id, kind, at)
    editions.move_on(connection, editions.WEBHOOKS)
    return True


def forget_expired(connection: Connection, now: float) -> int:
    """Take those away that are good for nothing; how many."""
    return connection.execute(FORGET_EXPIRED, {"now": now}).rowcount


def _lock(connection: Connection, sub_account_id: str, kind: str) -> bool:
    values = {"this_sub_account_id": sub_account_id, "this_kind": kind}
    return connection.execute(LOCK_ENDPOINT, values).first() is not None


def _make(connection: Connection, box: SecretsBox, sub_account_id: str, kind: str, at: float) -> None:
    secret_id = str(uuid.uuid4())
    text = "whsec_" + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    connection.execute(
        INSERT_SECRET,
        {
            "secret_id": secret_id,
            "sub_account_id": sub_account_id,
            "kind": kind,
            "secret": box.seal(text, _place(secret_id)),
            "created_at": at,
        },
    )


def _place(secret_id: str) -> str:
    return f"webhook_secrets/{secret_id}/secret"


def _secret(row: RowMapping) -> SealedSecret:
    return SealedSecret(**row)
