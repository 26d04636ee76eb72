"""Who asks, and whether they may ask again so soon."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Literal

from aiohttp import web
from aiohttp.typedefs import Handler

from api.access import PERIOD, WINDOW, Window
from api.parts import ORGANISATION_ID, PARTS
from api.problems import Problem, Refused
from db.keys import admit
from db.pool import LENT_WITHIN_S
from sovereign_ari.errors import Forbidden

Scope = Literal["read", "calls", "admin"]
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


def _unauthorized(code: str, message: str) -> Refused:
    return Refused(Problem(401, code, "authentication_error", message, headers=_CHALLENGE))


def _presented(request: web.Request) -> str:
    scheme, _, key = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise _unauthorized("unauthorized", "Invalid or missing API key")
    return key.strip()


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a request acts for, and what its key may do."""

    organisation_id: str
    key_id: str
    scopes: frozenset[str]

    def require(self, scope: Scope) -> None:
        """Turn a key away that may not do this; `admin` may do everything.

        Raises:
            Forbidden: Naming the scope.
        """
        if not self.scopes & {scope, "admin"}:
            mine = " and ".join(sorted(self.scopes))
            raise Forbidden(f"this needs a key with the scope {scope}; this one has {mine}")


async def authenticate(request: web.Request) -> Caller:
    """Say whom a request acts for, and count the request.

    Raises:
        Refused: For a key that is missing, unknown, expired or revoked (401) or used up (429).
    """
    presented = _presented(request)
    parts = request.app[PARTS]
    async with parts.pool.acquire(timeout=LENT_WITHIN_S) as connection:
        admission = await admit(
            connection, presented, allowed=parts.allowed_per_minute, period=PERIOD
        )
    if admission is None:
        raise _unauthorized("unauthorized", "Invalid or missing API key")
    if admission.revoked:
        raise _unauthorized("api_key_revoked", "This API key was revoked")
    if admission.expired:
        raise _unauthorized("api_key_expired", "This API key has expired")
    request[ORGANISATION_ID] = admission.organisation_id
    request[WINDOW] = Window(
        parts.allowed_per_minute, admission.remaining, ceil(admission.frees_at.timestamp())
    )
    if not admission.granted:
        wait_s = max(1, ceil((admission.frees_at - admission.now).total_seconds()))
        message = f"Too many requests. Please retry after {wait_s} seconds."
        raise Refused(
            Problem(429, "rate_limit_exceeded", "rate_limit_error", message, retry_after_s=wait_s)
        )
    return Caller(admission.organisation_id, admission.key_id, admission.scopes)


@web.middleware
async def count_strays(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count requests that no endpoint serves, too: their answers tell the limit of the key."""
    if request.match_info.http_exception is not None and "Authorization" in request.headers:
        try:
            await authenticate(request)
        except Refused as refused:
            if refused.problem.status != HTTPStatus.UNAUTHORIZED:
                raise  # whoever has no key is told about the path
    return await handler(request)
