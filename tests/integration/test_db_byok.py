"""Vendors' keys in the database: sealed, each for its organisation and provider."""

from __future__ import annotations

import asyncpg
import pytest

from db import byok
from db.organisations import create_organisation
from sovereign_ari.errors import VaultClosed
from sovereign_ari.vault import Vault

VAULT = Vault([bytes(range(32))])


@pytest.fixture
async def tenant(connection: asyncpg.Connection) -> str:
    return await create_organisation(connection, "Tenant")


def seal(organisation_id: str, provider: str, key: str) -> bytes:
    return VAULT.seal(key.encode(), byok.bound_to(organisation_id, provider))


async def test_keys_open_to_what_was_stored(connection: asyncpg.Connection, tenant: str) -> None:
    assert await byok.sealed_keys(connection, tenant) == {}
    for provider, key in (("openai", "sk-1"), ("deepgram", "dg-ü")):
        await byok.put_key(connection, tenant, provider, seal(tenant, provider, key))
    sealed = await byok.sealed_keys(connection, tenant)
    assert byok.open_keys(VAULT, tenant, sealed) == {"openai": "sk-1", "deepgram": "dg-ü"}


async def test_a_row_copied_to_another_tenant_or_provider_opens_nothing(
    connection: asyncpg.Connection, tenant: str
) -> None:
    sealed = seal(tenant, "openai", "sk-1")
    other = await create_organisation(connection, "Other")
    with pytest.raises(VaultClosed):
        byok.open_keys(VAULT, other, {"openai": sealed})
    with pytest.raises(VaultClosed):
        byok.open_keys(VAULT, tenant, {"xai": sealed})


async def test_a_replacement_has_a_new_id_and_keeps_the_config(
    connection: asyncpg.Connection, tenant: str
) -> None:
    first = await byok.put_key(connection, tenant, "openai", b"1")
    await byok.merge_config(connection, tenant, "openai", {"region": "eu"})
    second = await byok.put_key(connection, tenant, "openai", b"2")
    assert second.id != first.id
    assert second.config == {"region": "eu"}
    assert [record.id for record in await byok.list_keys(connection, tenant)] == [second.id]


async def test_a_config_is_merged_by_name_and_null_removes_one(
    connection: asyncpg.Connection, tenant: str
) -> None:
    await byok.put_key(connection, tenant, "openai", b"1")
    await byok.merge_config(connection, tenant, "openai", {"a": 1, "b": {"c": None}})
    merged = await byok.merge_config(connection, tenant, "openai", {"a": None, "d": [2]})
    assert merged == {"b": {"c": None}, "d": [2]}
    assert await byok.merge_config(connection, tenant, "xai", {"a": 1}) is None


async def test_a_deleted_key_is_gone_and_nobody_elses(
    connection: asyncpg.Connection, tenant: str
) -> None:
    other = await create_organisation(connection, "Other")
    for owner in (tenant, other):
        await byok.put_key(connection, owner, "openai", b"1")
    assert await byok.delete_key(connection, tenant, "openai")
    assert not await byok.delete_key(connection, tenant, "openai")
    assert await byok.sealed_keys(connection, other) == {"openai": b"1"}
