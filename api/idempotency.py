"""`Idempotency-Key`: a POST that is sent again is answered again, for 24 hours, and done once.

Only successes are kept: a request that failed changed nothing and may be sent again. Answers are
kept sealed, for some hold a secret that is shown once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
from aiohttp import web

from api.parts import Asked
from api.problems import Problem, Refused
from db import idempotency as table
from sovereign_ari.errors import Conflict, InvalidRequest, VaultClosed

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request with a key; requests with the same key must have the same fingerprint."""

    key: str
    fingerprint: bytes


async def read_attempt(request: web.Request) -> Attempt | None:
    """Read the header of a POST; None when there is none.

    Raises:
        InvalidRequest: For a key that cannot be one.
    """
    key = request.headers.get(HEADER)
    if request.method != "POST" or key is None:
        return None
    if _KEY.fullmatch(key) is None:
        raise InvalidRequest(
            f"{HEADER}: needs 1 to 255 printable ASCII characters without spaces", param=HEADER
        )
    what = hashlib.sha256(f"{request.method} {request.path}\n".encode())
    what.update(await request.read())
    return Attempt(key, what.digest())


async def once(
    asked: Asked, attempt: Attempt, status: int, work: Callable[[], Awaitable[bytes]]
) -> tuple[bool, bytes]:
    """Do the work in the transaction that claims the key, or give its answer again.

    A second request with the key waits for the first.

    Returns:
        Whether this is a replay, and the body.
    """
    if not await _claim(asked, asked.connection, attempt):
        return True, await _replay(asked, asked.connection, attempt)
    body = await work()
    await _keep(asked, asked.connection, attempt, status, body)
    return False, body


async def once_detached(
    asked: Asked, attempt: Attempt, status: int, work: Callable[[], Awaitable[bytes]]
) -> tuple[bool, bytes]:
    """The same for work that holds no transaction; a request beside it is turned away.

    Raises:
        Conflict: While the first request is under way.
    """
    async with asked.tenant() as connection:
        if not await _claim(asked, connection, attempt):
            return True, await _replay(asked, connection, attempt)
    try:
        body = await work()
    except BaseException:
        async with asked.tenant() as connection:
            await table.forget(connection, asked.organisation_id, attempt.key)
        raise
    async with asked.tenant() as connection:
        await _keep(asked, connection, attempt, status, body)
    return False, body


async def _claim(asked: Asked, connection: asyncpg.Connection, attempt: Attempt) -> bool:
    return await table.claim(connection, asked.organisation_id, attempt.key, attempt.fingerprint)


async def _replay(asked: Asked, connection: asyncpg.Connection, attempt: Attempt) -> bytes:
    stored = await table.find(connection, asked.organisation_id, attempt.key)
    if stored.fingerprint != attempt.fingerprint:
        raise Refused(
            Problem(
                409,
                "idempotency_key_reused",
                "conflict_error",
                f"{HEADER} was used for another request within 24 hours",
                param=HEADER,
            )
        )
    if stored.answer is None:
        raise Conflict(f"the first request with this {HEADER} is still under way")
    bound_to = table.bound_to(asked.organisation_id, attempt.key)
    try:
        return asked.parts.vault.open(stored.answer, bound_to)
    except VaultClosed:
        raise Conflict(
            f"the first request with this {HEADER} was done, but its answer can no longer be read"
        ) from None


async def _keep(
    asked: Asked, connection: asyncpg.Connection, attempt: Attempt, status: int, body: bytes
) -> None:
    bound_to = table.bound_to(asked.organisation_id, attempt.key)
    sealed = asked.parts.vault.seal(body, bound_to)
    await table.keep(connection, asked.organisation_id, attempt.key, status, sealed)
