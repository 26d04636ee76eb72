"""An integrator's server on a real port: takes `tool-calls`, keeps them, answers as it is told."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Responder = Callable[["ToolRequest"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class ToolRequest:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def message(self) -> dict[str, Any]:
        """The event."""
        return dict(json.loads(self.raw)["message"])

    @property
    def call(self) -> dict[str, Any]:
        """The one call of a tool in it."""
        (call,) = self.message["tool_call_list"]
        return dict(call)

    @property
    def function(self) -> dict[str, Any]:
        """Name and arguments."""
        return dict(self.call["function"])

    def is_signed_with(self, secret: str) -> bool:
        """Check the signature as the contract's documents tell integrators to."""
        text = self.headers["X-Webhook-Timestamp"].encode() + b"." + self.raw
        digest = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
        return self.headers.get("X-Webhook-Signature") == f"sha256={digest}"


@dataclass
class ToolServer:
    """What it answers, and what it was asked.

    Attributes:
        respond: Answers one request.
        requests: All of them, in order.
        open: How many are being answered now.
        most_open: The most that were at one time.
    """

    respond: Responder
    requests: list[ToolRequest] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    port: int = 0

    def url(self, path: str = "/tools") -> str:
        """Where it takes events."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Take one request."""
        taken = ToolRequest(request.path, dict(request.headers), await request.read())
        self.requests.append(taken)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            return await self.respond(taken)
        finally:
            self.open -= 1


def answering(value: Any, *, after_s: float = 0.0, status: int = 200) -> Responder:
    """Answer everything with this, as JSON unless it is bytes."""

    async def respond(_: ToolRequest) -> web.StreamResponse:
        await asyncio.sleep(after_s)
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return web.Response(body=body, status=status, content_type="application/json")

    return respond


@asynccontextmanager
async def running_tools(respond: Responder | None = None) -> AsyncIterator[ToolServer]:
    """Serve until the block is left."""
    server = ToolServer(respond or answering({"result": "done"}))
    app = web.Application(client_max_size=16 * 2**20)
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.port = runner.addresses[0][1]
        yield server
    finally:
        await runner.cleanup()
