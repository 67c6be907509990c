"""Sub-accounts, API keys and webhook registrations: the queries, each a function of a connection."""

import uuid
from collections.abc import Mapping, Sequence

from sqlalchemy import (
    Connection,
    Insert,
    RowMapping,
    bindparam,
    exists,
    func,
    insert,
    select,
    true,
    update,
)
from sqlalchemy import delete as delete_from
from sqlalchemy.dialects import postgresql, sqlite

from callwright.errors import StorageError
from callwright.storage import editions, outbox, webhook_secrets
from callwright.storage.editions import Upsert
from callwright.storage.keys import digest_of
from callwright.storage.records import ApiKey, Webhook, WebhookKind
from callwright.storage.schema import api_keys, sub_accounts, webhooks
from callwright.storage.secrets_box import SecretsBox, webhook_place

HAS_SUB_ACCOUNT = select(exists().where(sub_accounts.c.sub_account_id == bindparam("sub_account_id")))
LOCK_SUB_ACCOUNT = (
    select(sub_accounts.c.sub_account_id)
    .where(sub_accounts.c.sub_account_id == bindparam("this_sub_account_id"))
    .with_for_update(key_share=True)
)
INSERT_KEY = insert(api_keys)
KEY_COLUMNS = (
    api_keys.c.key_id,
    api_keys.c.sub_account_id,
    api_keys.c.name,
    api_keys.c.digest,
    api_keys.c.scopes,
    api_keys.c.created_at,
    api_keys.c.last_used_at,
    api_keys.c.revoked_at,
)
LIVE_KEYS = select(*KEY_COLUMNS).where(api_keys.c.revoked_at.is_(None))
ALL_KEYS = select(*KEY_COLUMNS).order_by(api_keys.c.sub_account_id, api_keys.c.created_at, api_keys.c.key_id)
KEY_BY_DIGEST = select(*KEY_COLUMNS).where(api_keys.c.digest == bindparam("digest"))
REVOKE_KEY = (
    update(api_keys)
    .where(api_keys.c.key_id == bindparam("this_key_id"), api_keys.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"))
)
NOTE_USE = (
    update(api_keys)
    .where(
        api_keys.c.key_id == bindparam("this_key_id"),
        func.coalesce(api_keys.c.last_used_at, 0.0) < bindparam("at"),
    )
    .values(last_used_at=bindparam("at"))
)
WEBHOOKS = select(
    webhooks.c.sub_account_id,
    webhooks.c.kind,
    webhooks.c.url,
    webhooks.c.enabled,
    webhooks.c.http_auth_header,
    webhooks.c.payload_version,
).where(webhooks.c.sub_account_id == bindparam("sub_account_id"))
ALL_WEBHOOKS = WEBHOOKS.order_by(webhooks.c.kind)
ENABLED_WEBHOOKS = select(webhooks.c.sub_account_id, webhooks.c.kind).where(webhooks.c.enabled == true())
ONE_WEBHOOK = WEBHOOKS.where(webhooks.c.kind == bindparam("kind"))
DELETE_WEBHOOK = delete_from(webhooks).where(
    webhooks.c.sub_account_id == bindparam("sub_account_id"), webhooks.c.kind == bindparam("kind")
)


def _ensure_sub_account(query: Upsert) -> Insert:
    return query.on_conflict_do_nothing(index_elements=[sub_accounts.c.sub_account_id])


def _put_webhook(query: Upsert) -> Insert:
    written = ("url", "enabled", "http_auth_header", "payload_version", "updated_at")
    return query.on_conflict_do_update(
        index_elements=[webhooks.c.sub_account_id, webhooks.c.kind],
        set_={name: query.excluded[name] for name in written},
    )


ENSURE_SUB_ACCOUNT: Mapping[str, Insert] = {
    "sqlite": _ensure_sub_account(sqlite.insert(sub_accounts)),
    "postgresql": _ensure_sub_account(postgresql.insert(sub_accounts)),
}
PUT_WEBHOOK: Mapping[str, Insert] = {
    "sqlite": _put_webhook(sqlite.insert(webhooks)),
    "postgresql": _put_webhook(postgresql.insert(webhooks)),
}


def ensure_sub_account(connection: Connection, sub_account_id: str, at: float) -> None:
    """Make the sub-account unless it is there."""
    connection.execute(
        ENSURE_SUB_ACCOUNT[connection.dialect.name], {"sub_account_id": sub_account_id, "created_at": at}
    )


def has_sub_account(connection: Connection, sub_account_id: str) -> bool:
    """Whether there is such a sub-account."""
    return bool(connection.execute(HAS_SUB_ACCOUNT, {"sub_account_id": sub_account_id}).scalar_one())


def lock_sub_account(connection: Connection, sub_account_id: str) -> None:
    """Have other nodes wait that do the same, until the end of the transaction."""
    connection.execute(LOCK_SUB_ACCOUNT, {"this_sub_account_id": sub_account_id})


def add_key(
    connection: Connection, text: str, sub_account_id: str, name: str, scopes: Sequence[str], at: float
) -> ApiKey:
    """Write a key down by its digest.

    A key that is there already, live and of the same sub-account stays as it is. Raises StorageError when it is
    another sub-account's, or revoked, or when there is no such sub-account.
    """
    if any(not scope or " " in scope for scope in scopes):
        raise StorageError("a scope is a word without spaces")
    digest = digest_of(text)
    known = connection.execute(KEY_BY_DIGEST, {"digest": digest}).mappings().one_or_none()
    if known is not None:
        key = _key(known)
        if key.revoked_at is not None:
            raise StorageError("this API key was revoked; choose another")
        if key.sub_account_id != sub_account_id:
            raise StorageError("this API key belongs to another sub-account")
        return key
    if not has_sub_account(connection, sub_account_id):
        raise StorageError(f"there is no sub-account {sub_account_id}")
    key = ApiKey(str(uuid.uuid4()), sub_account_id, name, tuple(scopes), at, None, None)
    connection.execute(
        INSERT_KEY,
        {
            "key_id": key.key_id,
            "sub_account_id": sub_account_id,
            "name": name,
            "digest": digest,
            "scopes": " ".join(scopes),
            "created_at": at,
        },
    )
    editions.move_on(connection, editions.API_KEYS)
    return key


def revoke_key(connection: Connection, key_id: str, at: float) -> bool:
    """Revoke for good; False when there is no such live key."""
    revoked = connection.execute(REVOKE_KEY, {"this_key_id": key_id, "at": at}).rowcount == 1
    if revoked:
        editions.move_on(connection, editions.API_KEYS)
    return revoked


def note_use(connection: Connection, used: Mapping[str, float]) -> None:
    """Write last-used times; an earlier time never replaces a later one."""
    for key_id, at in used.items():
        connection.execute(NOTE_USE, {"this_key_id": key_id, "at": at})


def list_keys(connection: Connection) -> tuple[ApiKey, ...]:
    """All keys, revoked ones too, by sub-account and age."""
    return tuple(_key(row) for row in connection.execute(ALL_KEYS).mappings())


def live_keys(connection: Connection) -> list[tuple[str, ApiKey]]:
    """(digest, key) for every key that is not revoked."""
    return [(row["digest"], _key(row)) for row in connection.execute(LIVE_KEYS).mappings()]


def put_webhook(connection: Connection, webhook: Webhook, box: SecretsBox, at: float) -> None:
    """Register, or replace what is registered, with a secret to sign with. Events that were held go on."""
    if not has_sub_account(connection, webhook.sub_account_id):
        raise StorageError(f"there is no sub-account {webhook.sub_account_id}")
    secret = webhook.http_auth_header
    connection.execute(
        PUT_WEBHOOK[connection.dialect.name],
        {
            "sub_account_id": webhook.sub_account_id,
            "kind": webhook.kind.value,
            "url": webhook.url,
            "enabled": webhook.enabled,
            "http_auth_header": (
                None if secret is None else box.seal(secret, webhook_place(webhook.sub_account_id, webhook.kind))
            ),
            "payload_version": webhook.payload_version,
            "updated_at": at,
        },
    )
    webhook_secrets.ensure(connection, box, webhook.sub_account_id, webhook.kind, at)
    editions.move_on(connection, editions.WEBHOOKS)
    if webhook.enabled:
        outbox.release(connection, webhook.sub_account_id, webhook.kind, at)
    else:
        outbox.hold(connection, webhook.sub_account_id, webhook.kind)


def list_webhooks(connection: Connection, box: SecretsBox, sub_account_id: str) -> tuple[Webhook, ...]:
    """What a sub-account has registered, by kind."""
    rows = connection.execute(ALL_WEBHOOKS, {"sub_account_id": sub_account_id}).mappings()
    return tuple(_webhook(row, box) for row in rows)


def find_webhook(connection: Connection, box: SecretsBox, sub_account_id: str, kind: WebhookKind) -> Webhook | None:
    """One registration."""
    row = connection.execute(ONE_WEBHOOK, {"sub_account_id": sub_account_id, "kind": kind.value}).mappings().first()
    return None if row is None else _webhook(row, box)


def delete_webhook(connection: Connection, box: SecretsBox, sub_account_id: str, kind: WebhookKind) -> Webhook | None:
    """Take a registration away and say what it was; its due events are held."""
    webhook = find_webhook(connection, box, sub_account_id, kind)
    if webhook is not None:
        connection.execute(DELETE_WEBHOOK, {"sub_account_id": sub_account_id, "kind": kind.value})
        outbox.hold(connection, sub_account_id, kind)
        editions.move_on(connection, editions.WEBHOOKS)
    return webhook


def enabled_webhooks(connection: Connection) -> list[tuple[str, WebhookKind]]:
    """(sub-account, kind) of every webhook that is enabled."""
    return [(sub_account_id, WebhookKind(kind)) for sub_account_id, kind in connection.execute(ENABLED_WEBHOOKS)]


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(
        key_id=row["key_id"],
        sub_account_id=row["sub_account_id"],
        name=row["name"],
        scopes=tuple(row["scopes"].split()),
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        revoked_at=row["revoked_at"],
    )


def _webhook(row: RowMapping, box: SecretsBox) -> Webhook:
    sealed = row["http_auth_header"]
    place = webhook_place(row["sub_account_id"], row["kind"])
    return Webhook(
        sub_account_id=row["sub_account_id"],
        kind=WebhookKind(row["kind"]),
        url=row["url"],
        enabled=row["enabled"],
        http_auth_header=None if sealed is None else box.open(sealed, place),
        payload_version=row["payload_version"],
    )
