"""The second wall around tenants holds for every table and function that there is."""

from __future__ import annotations

import asyncpg
import pytest

from db.organisations import create_organisation
from db.tenancy import ROLE, step_down

_WITHOUT_A_WALL = """
SELECT c.relname FROM pg_class AS c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
   AND (has_table_privilege($1, c.oid, 'SELECT') OR has_table_privilege($1, c.oid, 'INSERT')
        OR has_table_privilege($1, c.oid, 'UPDATE') OR has_table_privilege($1, c.oid, 'DELETE'))
   AND NOT (c.relrowsecurity AND EXISTS (
       SELECT FROM pg_policy WHERE polrelid = c.oid AND polcmd = '*'
          AND polqual IS NOT NULL AND polwithcheck IS NOT NULL))
"""
_OPEN_FUNCTIONS = """
SELECT p.proname FROM pg_proc AS p
 WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
   AND (p.proconfig IS DISTINCT FROM ARRAY['search_path=public, pg_temp']
        OR p.proacl IS NULL -- by default everybody may execute it
        OR EXISTS (SELECT FROM aclexplode(p.proacl) WHERE grantee = 0))
"""
_DEFINERS = """
SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
"""


async def test_tenants_reach_no_table_without_a_wall(connection: asyncpg.Connection) -> None:
    assert [row[0] for row in await connection.fetch(_WITHOUT_A_WALL, ROLE)] == []


async def test_a_table_without_a_wall_is_found(connection: asyncpg.Connection) -> None:
    await connection.execute(f"CREATE TABLE bare (id int); GRANT SELECT ON bare TO {ROLE}")
    assert [row[0] for row in await connection.fetch(_WITHOUT_A_WALL, ROLE)] == ["bare"]


async def test_functions_with_their_owners_rights_are_fixed_to_a_path_and_closed_to_the_public(
    connection: asyncpg.Connection,
) -> None:
    assert await connection.fetchval(_DEFINERS) > 0
    assert [row[0] for row in await connection.fetch(_OPEN_FUNCTIONS)] == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE organisations SET outbound_concurrency = 10000",
        "UPDATE organisations SET outbound_refused_prefixes = '{}'",
        "UPDATE organisations SET parent_id = NULL",
        "UPDATE organisations SET is_operator = true",
        "INSERT INTO organisations (id, name) VALUES (current_organisation(), 'Mine')",
        "DELETE FROM organisations",
    ],
)
async def test_a_tenant_cannot_change_what_is_the_operators_to_say(
    connection: asyncpg.Connection, statement: str
) -> None:
    tenant = await create_organisation(connection, "Bakery")
    async with connection.transaction():
        await step_down(connection, tenant)
        assert await connection.execute("UPDATE organisations SET name = 'Baker'") == "UPDATE 1"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
