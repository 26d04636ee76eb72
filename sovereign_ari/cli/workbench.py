"""Runs operations of the API in this process, for a tenant that the operator names."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from db.organisations import ensure_operator_organisation
from db.pool import create_pool
from sovereign_ari.cli.database import APPLICATION_NAME, database_url, reaching_it
from sovereign_ari.errors import InvalidRequest, SetupFailed
from sovereign_ari.settings import read_settings

if TYPE_CHECKING:  # the API takes most of a second to load, and most commands need none of it
    from api.parts import Parts

LARGEST_FILE_BYTES = 1024 * 1024


async def ask(
    method: str,
    path: str,
    *,
    organisation: str | None,
    query: Mapping[str, str] | None = None,
    body: Any = None,
    ids: Mapping[str, str] | None = None,
) -> Any:
    """Do what a request with this method, path, query and body would do, and give its answer.

    Args:
        method: Of the operation.
        path: As the API declares it, e.g. `/assistants/{assistant_id}`.
        organisation: Id or name of the tenant; None is the operator's own.
        query: As text, like in a URL.
        body: The decoded body.
        ids: What the names in the path stand for.

    Raises:
        CallerError: As the operation does.
        SetupFailed: If there is no database, or no such organisation.
    """
    from api.app import all_endpoints
    from api.parts import Asked

    endpoint = next(e for e in all_endpoints() if (e.method, e.path) == (method, path))
    async with opened_parts() as parts:
        async with parts.pool.acquire() as connection:
            tenant = await find_organisation(connection, organisation)
        answer = await endpoint.invoke(Asked(parts, tenant), ids or {}, query or {}, body)
    return json.loads(answer)


@asynccontextmanager
async def opened_parts() -> AsyncIterator[Parts]:
    """Lend what the API is made of."""
    from sovereign_ari.app import api_parts

    settings = read_settings(os.environ)
    with reaching_it():
        pool = await create_pool(
            database_url(settings), application_name=APPLICATION_NAME, max_size=2
        )
    try:
        parts = await api_parts(settings, pool)
        try:
            yield parts
        finally:
            await parts.http.close()
    finally:
        await pool.close()


async def find_organisation(connection: asyncpg.Connection, wanted: str | None) -> str:
    """Find a tenant by its id or its whole name; None is the operator's own.

    Raises:
        SetupFailed: If there is none, or more than one of the name.
    """
    if wanted is None:
        return await ensure_operator_organisation(connection)
    rows = await connection.fetch(
        "SELECT id FROM organisations WHERE name = $1 OR id::text = lower($1)", wanted
    )
    if len(rows) != 1:
        what = "no organisation is" if not rows else f"{len(rows)} organisations are"
        raise SetupFailed(f"{what} called {wanted!r}", hint="`sovereign orgs list` shows the ids")
    return str(rows[0]["id"])


def read_file(path: str) -> Any:
    """Read a JSON object from a file, or from standard input for `-`.

    Raises:
        InvalidRequest: If it is none.
    """
    from api.bodies import parse_json

    try:
        raw = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > LARGEST_FILE_BYTES:
        raise InvalidRequest(f"{path} is larger than {LARGEST_FILE_BYTES} bytes")
    data = parse_json(raw)
    if not isinstance(data, dict):
        raise InvalidRequest(f"{path} does not hold a JSON object")
    return data


def with_article(thing: str) -> str:
    """`a number`, `an assistant`."""
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def checked_id(thing: str, given: str) -> str:
    """Refuse what cannot be the id of anything.

    Raises:
        InvalidRequest: Saying where ids are shown.
    """
    try:
        return str(UUID(given))
    except ValueError:
        raise InvalidRequest(
            f"{given} is not the id of {with_article(thing)}:"
            f" `sovereign {thing}s list` shows the ids"
        ) from None
