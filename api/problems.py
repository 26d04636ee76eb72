"""Errors on the wire: one table of codes, and the two shapes that clients read."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from api.parts import REQUEST_ID
from db.pool import UNAVAILABLE
from sovereign_ari.errors import (
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    Impossible,
    InvalidRequest,
    NotFound,
    RateLimited,
    VaultClosed,
)

FLAT_CLIENT = "hmsovereign-node/"
RETRY_DATABASE_AFTER_S = 1
RETRY_SECRET_AFTER_S = 60

logger = logging.getLogger("api")


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as a client sees it. `code` is stable, `message` is for people."""

    status: int
    code: str
    kind: str
    message: str
    param: str | None = None
    details: tuple[str, ...] = ()
    retry_after_s: int | None = None
    headers: Mapping[str, str] | None = None


class Refused(Exception):
    """Raised where a request is turned away before any handler runs."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def answer(request: web.Request, problem: Problem) -> web.Response:
    """Write an error down; flat for the vendor's own client, nested for everybody else."""
    named = {
        "code": problem.code,
        "message": problem.message,
        "param": problem.param,
        "type": problem.kind,
    }
    flat = request.headers.get("User-Agent", "").startswith(FLAT_CLIENT)
    body: dict[str, Any] = {"error": problem.message, **named} if flat else {"error": named}
    body["message"] = problem.message
    if problem.details:
        body["details"] = list(problem.details)
    headers = dict(problem.headers or {})
    if problem.retry_after_s is not None:
        body["retry_after"] = problem.retry_after_s
        headers["Retry-After"] = str(problem.retry_after_s)
    return web.Response(
        body=json.dumps(body).encode(),
        status=problem.status,
        headers=headers,
        content_type="application/json",
    )


def _invalid(error: InvalidRequest) -> Problem:
    missing = error.details and error.details[0].endswith(": is required")
    usual = "missing_field" if missing else "invalid_request"  # of the field that `param` names
    code = error.reason or usual
    return Problem(400, code, "validation_error", str(error), error.param, error.details)


def _of_http(error: web.HTTPException, request: web.Request) -> Problem:
    """Describe what aiohttp itself refuses."""
    match error:
        case web.HTTPNotFound():
            return Problem(404, "not_found", "not_found_error", f"there is no {request.path}")
        case web.HTTPMethodNotAllowed():
            return Problem(
                405, "method_not_allowed", "invalid_request_error",
                f"{request.path} does not take {request.method}",
                headers={"Allow": error.headers["Allow"]},
            )  # fmt: skip
        case web.HTTPRequestEntityTooLarge():
            return Problem(
                413, "body_too_large", "invalid_request_error",
                f"the body is larger than {request.client_max_size} bytes",
            )  # fmt: skip
        case _:
            phrase = HTTPStatus(error.status).phrase
            code = phrase.lower().replace(" ", "_")
            return Problem(error.status, code, "invalid_request_error", phrase)


def _known(error: Exception, request: web.Request) -> Problem | None:
    """Find the problem behind an error, None when it is a mistake of ours."""
    match error:
        case Refused():
            return error.problem
        case InvalidRequest():
            return _invalid(error)
        case NotFound():
            return Problem(404, "not_found", "not_found_error", str(error), param=error.param)
        case Forbidden():
            return Problem(403, "insufficient_scope", "permission_error", str(error))
        case Impossible():
            return Problem(
                422, error.reason, "invalid_request_error", str(error), param=error.param
            )
        case RateLimited():
            return Problem(
                429, error.reason, "rate_limit_error", str(error),
                retry_after_s=error.retry_after_s,
            )  # fmt: skip
        case Conflict():
            return Problem(409, error.reason, "conflict_error", str(error))
        case web.HTTPException():
            return _of_http(error, request)
        case web.RequestPayloadError() | HttpProcessingError():
            return Problem(400, "invalid_request", "validation_error", "the body cannot be read")
        case _:
            return _of_operator(error)


def _of_operator(error: Exception) -> Problem | None:
    """Describe what the operator must repair, None when it is a mistake of ours."""
    if isinstance(error, (DatabaseUnavailable, *UNAVAILABLE)):
        return Problem(
            503, "database_unavailable", "api_error",
            "the database cannot be reached or is too busy",
            retry_after_s=RETRY_DATABASE_AFTER_S,
        )  # fmt: skip
    if isinstance(error, VaultClosed):
        return Problem(
            503, "secret_unreadable", "api_error",
            "a stored secret cannot be opened: the operator must restore its master key, or you"
            " store the secret again",
            retry_after_s=RETRY_SECRET_AFTER_S,
        )  # fmt: skip
    return None


class OncePerSecond:
    """Lets one log line per cause and second through, so that an outage floods nothing."""

    def __init__(self) -> None:
        self._last_s: dict[str, float] = {}

    def due(self, cause: str) -> bool:
        """Whether this cause was not logged within the last second."""
        now_s = time.monotonic()
        if now_s - self._last_s.get(cause, -1.0) < 1.0:
            return False
        self._last_s[cause] = now_s
        return True


_COMPLAINTS = web.AppKey("_COMPLAINTS", OncePerSecond)


def install(app: web.Application) -> None:
    """Translate the errors of this application's handlers, once, here."""
    app[_COMPLAINTS] = OncePerSecond()
    app.middlewares.append(problems)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into answers; one that nobody foresaw is logged and answered 500."""
    try:
        return await handler(request)
    except Exception as error:
        problem = _known(error, request)
        complaints = request.app[_COMPLAINTS]
        if problem is None:
            if complaints.due(type(error).__name__):
                logger.exception("a request failed", extra={"request_id": request[REQUEST_ID]})
            problem = Problem(500, "internal_error", "api_error", "something went wrong here")
        elif problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR and complaints.due(problem.code):
            logger.warning("%s: %s", problem.message, type(error).__name__)
        return answer(request, problem)
