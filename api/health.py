"""Whether we live, whether we can work, and how it goes. None of these needs a key."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import asyncpg
from aiohttp import web
from pydantic import BaseModel

from api.kinds import Timestamp
from api.parts import DOCUMENT, PARTS
from db.migrate import count_applied, load_migrations
from db.pool import UNAVAILABLE

CHECK_DEADLINE_S = 1.0


class Check(BaseModel):
    """One part we depend on. `latency_ms` is null when it did not answer."""

    status: Literal["ok", "error"]
    latency_ms: int | None


class Checks(BaseModel):
    """All parts we depend on."""

    database: Check


class HealthView(BaseModel):
    """Answered with 200 when `status` is ok, with 503 otherwise."""

    example: ClassVar[Mapping[str, Any]] = {
        "status": "ok",
        "timestamp": "2026-01-01T12:00:00.000Z",
        "version": "0.1.0",
        "checks": {"database": {"status": "ok", "latency_ms": 1}},
    }
    failing: ClassVar[Mapping[str, Any]] = {
        **example,
        "status": "error",
        "checks": {"database": {"status": "error", "latency_ms": None}},
    }

    status: Literal["ok", "error"]
    timestamp: Timestamp
    version: str
    checks: Checks


class Probe:
    """Asks the database something, once at a time, and waits for it no longer than a deadline.

    A server that stands still also holds up whoever gives up on it: to cancel a statement takes
    another connection. So a question is not cancelled, and until it is answered, or given up by
    the pool, it is the answer to those who ask.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._asking: asyncio.Task[tuple[Check, bool]] | None = None

    async def ask(self) -> tuple[Check, bool]:
        """Whether and how fast the database answers, and whether its schema is ours."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="health")
        asking = self._asking
        await asyncio.wait({asking}, timeout=CHECK_DEADLINE_S)
        return asking.result() if asking.done() else (_AWAY, False)

    async def _ask(self) -> tuple[Check, bool]:
        began_s = time.monotonic()
        try:
            async with self._pool.acquire() as connection:
                applied = await count_applied(connection)
        except UNAVAILABLE:
            return _AWAY, False
        latency_ms = round((time.monotonic() - began_s) * 1000)
        return Check(status="ok", latency_ms=latency_ms), applied >= len(load_migrations())

    async def close(self) -> None:
        """End a question that is still asked."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking}, timeout=CHECK_DEADLINE_S)


_AWAY = Check(status="error", latency_ms=None)
_PROBE = web.AppKey("_PROBE", Probe)


def install(app: web.Application) -> None:
    """Prepare an application, which has its parts, for the routes here."""
    probe = Probe(app[PARTS].pool)

    async def close(_: web.Application) -> None:
        await probe.close()

    app[_PROBE] = probe
    app.on_cleanup.append(close)


async def health(request: web.Request) -> web.Response:
    """The documented health check."""
    parts = request.app[PARTS]
    check, _ = await request.app[_PROBE].ask()
    view = HealthView(
        status=check.status,
        timestamp=parts.now(),
        version=parts.version,
        checks=Checks(database=check),
    )
    return web.Response(
        body=view.model_dump_json().encode(),
        status=200 if check.status == "ok" else 503,
        content_type="application/json",
    )


async def alive(_: web.Request) -> web.Response:
    """This process answers; nothing else is asked."""
    return web.json_response({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """The database answers and has every migration this process knows."""
    check, migrated = await request.app[_PROBE].ask()
    ok = check.status == "ok" and migrated
    body = {"status": "ok" if ok else "error", "database": check.status, "migrated": migrated}
    return web.Response(
        body=json.dumps(body).encode(), status=200 if ok else 503, content_type="application/json"
    )


async def metrics(request: web.Request) -> web.Response:
    """Counters and histograms for Prometheus."""
    return web.Response(
        body=request.app[PARTS].instruments.text(),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )


async def document(request: web.Request) -> web.Response:
    """The OpenAPI document."""
    return web.Response(body=request.app[DOCUMENT], content_type="application/json")


ROUTES = [
    web.get("/health", health),
    web.get("/api/v1/health", health),
    web.get("/healthz", alive),
    web.get("/readyz", ready),
    web.get("/metrics", metrics),
    web.get("/api/openapi.json", document),
]
