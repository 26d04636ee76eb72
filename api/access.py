"""The outermost layer: a request id, the headers that stand on every answer, log and metrics."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from uuid import uuid4

from aiohttp import web
from aiohttp.typedefs import Handler

from api.parts import ORGANISATION_ID, PARTS, REQUEST_ID

PERIOD = timedelta(seconds=60)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

logger = logging.getLogger("api")


@dataclass(frozen=True, slots=True)
class Window:
    """What the rate-limit headers say. `reset_unix_s` is when the next place becomes free."""

    limit: int
    remaining: int
    reset_unix_s: int


WINDOW = web.RequestKey("WINDOW", Window)


@web.middleware
async def access(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Name the request, run it, and write down how it went: never its query or its body."""
    given = request.headers.get("X-Request-Id", "")
    request[REQUEST_ID] = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
    began_s = time.monotonic()
    response = await handler(request)
    seconds = time.monotonic() - began_s
    resource = request.match_info.route.resource
    route = "unmatched" if resource is None else resource.canonical
    request.app[PARTS].instruments.answered(request.method, route, response.status, seconds)
    logger.info(
        "%s %s %d",
        request.method,
        route,
        response.status,
        extra={
            "request_id": request[REQUEST_ID],
            "duration_ms": round(seconds * 1000, 1),
            "organisation_id": request.get(ORGANISATION_ID),
        },
    )
    return response


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Runs before any answer leaves. A request without a key has its whole window left."""
    window: Window | None = request.get(WINDOW)
    if window is None:
        parts = request.app[PARTS]
        reset = ceil((parts.now() + PERIOD).timestamp())
        window = Window(parts.allowed_per_minute, parts.allowed_per_minute, reset)
    response.headers["X-RateLimit-Limit"] = str(window.limit)
    response.headers["X-RateLimit-Remaining"] = str(window.remaining)
    response.headers["X-RateLimit-Reset"] = str(window.reset_unix_s)
    response.headers["X-Request-Id"] = request.get(REQUEST_ID, "-")
    if request.content.exception() is not None:
        # The rest of a body that cannot be unpacked: aiohttp would read on, and fail again.
        response.force_close()
        response.headers["Connection"] = "close"
        request.content.feed_eof()
