"""API keys. Only a SHA-256 of a key is stored; the key itself is shown once."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from sovereign_ari.errors import Conflict, InvalidRequest, NotFound

PREFIX = "fl_live_"
RANDOM_CHARACTERS = 40
SHORTEST_CHOSEN = 16
_BASE62 = string.ascii_letters + string.digits
_SHOWN = 12
SCOPES = ("read", "calls", "admin")
_COLUMNS = (
    "id, organisation_id, name, prefix, scopes, created_at, last_used_at, expires_at, revoked_at"
)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One row of `api_keys` without the hash. `prefix` is the part that may be shown."""

    id: str
    organisation_id: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Admission:
    """What the database says about one request with a known key.

    Attributes:
        key_id: The key's row.
        organisation_id: The tenant that the request acts for.
        scopes: What the key may do.
        revoked: A revoked key admits nobody and takes no place in a window.
        expired: Nor does one whose time is over.
        granted: Whether the sliding window had a place left.
        remaining: Places left after this request.
        frees_at: When the next place becomes free.
        now: The database's clock, the one `frees_at` is measured by.
    """

    key_id: str
    organisation_id: str
    scopes: frozenset[str]
    revoked: bool
    expired: bool
    granted: bool
    remaining: int
    frees_at: datetime
    now: datetime


def digest(secret: str) -> bytes:
    """Hash a key for storage and look-up. Keys carry 238 random bits, so no salt is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def in_order(scopes: Iterable[str]) -> list[str]:
    """Scopes as they are stored: each once, in the order of `SCOPES`."""
    return [scope for scope in SCOPES if scope in set(scopes)]


def _record(row: asyncpg.Record) -> KeyRecord:
    return KeyRecord(
        **{**row, "id": str(row["id"]), "organisation_id": str(row["organisation_id"])}
    )


def _shown(secret: str) -> str:
    """The part of a key that may stand in a list: never more than half of a chosen one."""
    return secret[: min(_SHOWN, len(secret) // 2)]


async def create_key(
    connection: asyncpg.Connection,
    organisation_id: str,
    *,
    name: str,
    secret: str | None = None,
    scopes: Sequence[str] = ("admin",),
    expires_at: datetime | None = None,
) -> tuple[KeyRecord, str]:
    """Add a key and return its row and the key itself. The same chosen secret is added once.

    Args:
        connection: Where to write.
        organisation_id: Whose key it is.
        name: For people.
        secret: A key chosen by the operator; None makes one.
        scopes: What it may do, of `SCOPES`.
        expires_at: When it ends, None for never.

    Raises:
        InvalidRequest: If a chosen key is shorter than 16 characters or not printable ASCII.
        Conflict: If a chosen key is revoked or belongs to another organisation.
    """
    if secret is None:
        secret = PREFIX + "".join(secrets.choice(_BASE62) for _ in range(RANDOM_CHARACTERS))
    elif len(secret) < SHORTEST_CHOSEN or not all("!" <= character <= "~" for character in secret):
        raise InvalidRequest(
            f"a chosen key needs at least {SHORTEST_CHOSEN} printable characters without spaces",
            param="secret",
        )
    row = await connection.fetchrow(
        f"""
        INSERT INTO api_keys AS k
            (organisation_id, name, prefix, secret_sha256, scopes, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (secret_sha256) DO UPDATE SET name = k.name
         WHERE k.organisation_id = $1 AND k.revoked_at IS NULL
        RETURNING {_COLUMNS}
        """,
        organisation_id, name, _shown(secret), digest(secret), list(scopes), expires_at,
    )  # fmt: skip
    if row is None:
        raise Conflict("this key is revoked or belongs to another organisation")
    return _record(row), secret


async def find_key(connection: asyncpg.Connection, presented: str) -> KeyRecord | None:
    """Find the key a client presented; None for an unknown, revoked or expired one."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM api_keys WHERE secret_sha256 = $1 AND revoked_at IS NULL"
        " AND (expires_at IS NULL OR expires_at > now())",
        digest(presented),
    )
    return None if row is None else _record(row)


async def admit(
    connection: asyncpg.Connection, presented: str, *, allowed: int, period: timedelta
) -> Admission | None:
    """Authenticate one request and take a place in its key's window, in one round trip.

    Returns:
        None for an unknown key.
    """
    row = await connection.fetchrow(
        """
        WITH key AS MATERIALIZED (
            SELECT id, organisation_id, scopes, revoked_at IS NOT NULL AS revoked,
                   coalesce(expires_at <= now(), false) AS expired
              FROM api_keys WHERE secret_sha256 = $1
        ), used AS (
            UPDATE api_keys SET last_used_at = now()
             WHERE secret_sha256 = $1 AND revoked_at IS NULL
               AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
        )
        SELECT key.id, key.organisation_id, key.scopes, key.revoked, key.expired,
               coalesce(place.granted, false) AS granted,
               coalesce(place.remaining, 0) AS remaining,
               coalesce(place.frees_at, now()) AS frees_at,
               clock_timestamp() AS now
          FROM key
          LEFT JOIN LATERAL (
               SELECT * FROM take_place('key:' || key.id, $2, $3)
                WHERE NOT key.revoked AND NOT key.expired
          ) AS place ON true
        """,
        digest(presented), allowed, period,
    )  # fmt: skip
    if row is None:
        return None
    return Admission(
        key_id=str(row["id"]),
        organisation_id=str(row["organisation_id"]),
        scopes=frozenset(row["scopes"]),
        revoked=row["revoked"],
        expired=row["expired"],
        granted=row["granted"],
        remaining=row["remaining"],
        frees_at=row["frees_at"],
        now=row["now"],
    )


async def list_keys(connection: asyncpg.Connection, organisation_id: str) -> list[KeyRecord]:
    """All keys of a tenant, newest first, revoked ones too."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM api_keys WHERE organisation_id = $1
        ORDER BY created_at DESC, id DESC
        """,
        organisation_id,
    )
    return [_record(row) for row in rows]


async def revoke_key(
    connection: asyncpg.Connection, organisation_id: str, key_id: str
) -> KeyRecord:
    """Make a key useless from the next request on. Revoking twice changes nothing.

    Raises:
        NotFound: If the tenant has no such key.
    """
    row = await connection.fetchrow(
        f"""
        UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())
         WHERE organisation_id = $1 AND id = $2
        RETURNING {_COLUMNS}
        """,
        organisation_id, key_id,
    )  # fmt: skip
    if row is None:
        raise NotFound(f"no API key {key_id}")
    return _record(row)


async def purge_windows(connection: asyncpg.Connection, period: timedelta) -> int:
    """Forget the windows that nobody used for a whole period; return how many."""
    status = await connection.execute(
        "DELETE FROM rate_windows WHERE used_at < clock_timestamp() - $1::interval", period
    )
    return int(status.split()[-1])
