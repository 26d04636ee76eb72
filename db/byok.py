"""Keys of vendors that an organisation brings, sealed. One for each provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import asyncpg

_COLUMNS = "id, provider, config, verified_at, created_at, updated_at"


class Opens(Protocol):
    """The vault, as far as stored keys need it."""

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """Decrypt.

        Raises:
            VaultClosed: If the value does not open here.
        """


@dataclass(frozen=True, slots=True)
class ByokRecord:
    """One row of `byok_keys` without the key.

    Attributes:
        id: Opaque; another one after each replacement.
        verified_at: When the provider took this key, None when it was not asked.
    """

    id: str
    provider: str
    config: Mapping[str, Any]
    verified_at: datetime | None
    created_at: datetime
    updated_at: datetime


def bound_to(organisation_id: str, provider: str) -> str:
    """What a key is sealed for: nobody else's row and no other provider's opens it."""
    return f"byok:{organisation_id}:{provider}"


async def sealed_keys(connection: asyncpg.Connection, organisation_id: str) -> dict[str, bytes]:
    """Read all keys of a tenant as they are stored, by provider."""
    rows = await connection.fetch(
        "SELECT provider, secret FROM byok_keys WHERE organisation_id = $1", organisation_id
    )
    return {row["provider"]: row["secret"] for row in rows}


def open_keys(vault: Opens, organisation_id: str, sealed: Mapping[str, bytes]) -> dict[str, str]:
    """Open what `sealed_keys` read.

    Raises:
        VaultClosed: If one of them does not open; open one alone with `open_key`.
    """
    return {name: open_key(vault, organisation_id, name, value) for name, value in sealed.items()}


def open_key(vault: Opens, organisation_id: str, provider: str, sealed: bytes) -> str:
    """Open the key of one provider.

    Raises:
        VaultClosed: If it does not open.
    """
    return vault.open(sealed, bound_to(organisation_id, provider)).decode()


async def list_keys(connection: asyncpg.Connection, organisation_id: str) -> list[ByokRecord]:
    """Everything a tenant has stored, by provider, without the keys."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM byok_keys WHERE organisation_id = $1 ORDER BY provider",
        organisation_id,
    )
    return [_record(row) for row in rows]


async def put_key(
    connection: asyncpg.Connection,
    organisation_id: str,
    provider: str,
    sealed: bytes,
    *,
    verified_at: datetime | None = None,
) -> ByokRecord:
    """Add a key, or replace it under a new id; the provider's config stays."""
    row = await connection.fetchrow(
        f"""
        INSERT INTO byok_keys (organisation_id, provider, secret, verified_at)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (organisation_id, provider) DO UPDATE
           SET id = gen_random_uuid(), secret = $3, verified_at = $4, updated_at = now()
        RETURNING {_COLUMNS}
        """,
        organisation_id, provider, sealed, verified_at,
    )  # fmt: skip
    return _record(row)


async def delete_key(connection: asyncpg.Connection, organisation_id: str, provider: str) -> bool:
    """Remove a key and its config; whether there was one."""
    status = await connection.execute(
        "DELETE FROM byok_keys WHERE organisation_id = $1 AND provider = $2",
        organisation_id,
        provider,
    )
    return bool(status != "DELETE 0")


async def merge_config(
    connection: asyncpg.Connection,
    organisation_id: str,
    provider: str,
    changes: Mapping[str, Any],
) -> Mapping[str, Any] | None:
    """Merge settings of a provider, name by name; null removes a name.

    Returns:
        What is stored now, None when there is no key.
    """
    config: Mapping[str, Any] | None = await connection.fetchval(
        """
        UPDATE byok_keys SET config = (config || $3) - $4::text[], updated_at = now()
         WHERE organisation_id = $1 AND provider = $2
        RETURNING config
        """,
        organisation_id,
        provider,
        changes,
        [name for name, value in changes.items() if value is None],
    )
    return config


def _record(row: asyncpg.Record) -> ByokRecord:
    return ByokRecord(**{**row, "id": str(row["id"])})
