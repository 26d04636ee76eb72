"""Databases of every earlier schema, with rows in them, become today's and lose nothing."""

from __future__ import annotations

import hashlib

import asyncpg
import pytest

from db.keys import find_key
from db.migrate import load_migrations, migrate
from db.pool import connect, create_pool
from tests.support.api import Api, running_api
from tests.support.postgres import PostgresServer, fresh_database

ORGANISATION = "10000000-0000-4000-8000-000000000001"
ASSISTANT = "20000000-0000-4000-8000-000000000001"
CALL = "call-inbound-01kah0zq7me4s1v9w2x3y4z5a6"
OLD_KEY = "fl_live_of-an-earlier-release"
_DIGEST = hashlib.sha256(OLD_KEY.encode()).hexdigest()

# What a user of each release may have had, by the number of the release's last migration.
ROWS = {
    1: f"""
        INSERT INTO organisations (id, name, is_operator)
        VALUES ('{ORGANISATION}', 'Operator', true);
        INSERT INTO api_keys (organisation_id, name, prefix, secret_sha256)
        VALUES ('{ORGANISATION}', 'old', 'fl_live_of-a', '\\x{_DIGEST}');
    """,
    2: f"""
        INSERT INTO assistants (id, organisation_id, name, llm_config)
        VALUES ('{ASSISTANT}', '{ORGANISATION}', 'Reception', '{{"provider": "parrot"}}');
        INSERT INTO phone_numbers (organisation_id, phone_number, assistant_id)
        VALUES ('{ORGANISATION}', '+31201234567', '{ASSISTANT}');
        INSERT INTO extensions (extension, organisation_id, assistant_id)
        VALUES ('1000', '{ORGANISATION}', '{ASSISTANT}');
    """,
    3: f"""
        INSERT INTO calls (id, organisation_id, assistant_id, direction, controller, caller,
                           dialled, codec, status, end_reason, created_at, answered_at, ended_at)
        VALUES ('{CALL}', '{ORGANISATION}', '{ASSISTANT}', 'inbound', 'sovereign-1',
                '+31612345678', '+31201234567', 'ulaw', 'ended', 'user_hangup',
                '2026-01-01 12:00:00Z', '2026-01-01 12:00:01Z', '2026-01-01 12:01:01Z');
        INSERT INTO turns (call_id, number, at, user_text, agent_text, heard_text, interrupted,
                           tool_calls, models, usage)
        VALUES ('{CALL}', 0, '2026-01-01 12:00:05Z', 'Hello?', 'Good day.', 'Good day.', false,
                '[]', '{{}}', '{{}}');
        INSERT INTO call_notes VALUES
            ('{CALL}', '\\x00112233445566778899aabbccddeeff', now(), 'dtmf', '{{"digit": "1"}}');
        INSERT INTO controllers (name, node, capacity) VALUES ('sovereign-1', 'local', 100);
    """,
    4: "SELECT take_place('key:x', 100, interval '60 s');",
    6: f"""
        INSERT INTO sip_trunks (organisation_id, name, addresses)
        VALUES ('{ORGANISATION}', 'Carrier', '{{sip.example.com:5060}}');
        INSERT INTO workflows (organisation_id, name, definition)
        VALUES ('{ORGANISATION}', 'Flow', '{{}}');
        INSERT INTO campaigns (organisation_id, name, assistant_id)
        VALUES ('{ORGANISATION}', 'Spring', '{ASSISTANT}');
        INSERT INTO leads (organisation_id, campaign_id, phone_number)
        SELECT organisation_id, id, '+31612345678' FROM campaigns;
    """,
}
VERSIONS = range(1, len(load_migrations()))


async def _counts(connection: asyncpg.Connection) -> dict[str, int]:
    """Rows of each table that users' data is in."""
    tables = await connection.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migrations'"
    )
    return {name: await connection.fetchval(f"SELECT count(*) FROM {name}") for (name,) in tables}


@pytest.mark.parametrize("version", VERSIONS)
async def test_rows_of_an_earlier_schema_survive_the_upgrade(
    postgres_server: PostgresServer, version: int
) -> None:
    migrations = load_migrations()
    async with fresh_database(postgres_server, template=None) as dsn:
        connection = await connect(dsn, application_name="tests")
        for number in range(1, version + 1):
            await migrate(connection, migrations[:number])
            await connection.execute(ROWS.get(number, "SELECT 1"))
        before = await _counts(connection)
        assert await migrate(connection, migrations) == migrations[version:]
        after = await _counts(connection)
        assert {name: after[name] for name in before} == before
        assert await find_key(connection, OLD_KEY) is not None
        await connection.close()


async def test_the_api_serves_what_an_earlier_release_wrote(
    postgres_server: PostgresServer,
) -> None:
    migrations = load_migrations()
    async with fresh_database(postgres_server, template=None) as dsn:
        connection = await connect(dsn, application_name="tests")
        for number in range(1, 5):
            await migrate(connection, migrations[:number])
            await connection.execute(ROWS[number])
        await migrate(connection, migrations)
        await connection.close()
        pool = await create_pool(dsn, application_name="tests")
        try:
            async with running_api(pool) as running:
                await _read_everything(Api(running.client, OLD_KEY, ORGANISATION, pool))
        finally:
            await pool.close()


async def _read_everything(api: Api) -> None:
    status, body = await api.ask("GET", f"/api/v1/assistants/{ASSISTANT}")
    assert (status, body["assistant"]["name"]) == (200, "Reception")
    status, body = await api.ask("GET", "/api/v1/numbers")
    assert body["numbers"][0]["assistant_id"] == ASSISTANT
    status, body = await api.ask("GET", "/api/v1/calls?phone_number=%2B31612345678")
    assert status == 200
    assert body["pagination"]["total"] == 1
    assert [message["content"] for message in body["calls"][0]["messages"]] == [
        "Hello?",
        "Good day.",
    ]
    status, body = await api.ask("PATCH", f"/api/v1/assistants/{ASSISTANT}", {"name": "Desk"})
    assert (status, body["assistant"]["name"]) == (200, "Desk")
