"""An integrator's server on a real port, which checks signatures with code of its own.

The check is written from the contract alone: SHA-256 by RFC 2104's definition of HMAC, with none
of our functions.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

SECRET = "whsec-of-the-tests"
Behaviour = Callable[[web.Request], Any]


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    at_s: float
    headers: dict[str, str]
    raw: bytes

    @property
    def message(self) -> dict[str, Any]:
        """What stands in the envelope."""
        body = json.loads(self.raw)
        assert list(body) == ["message"], f"the body has {list(body)}"
        return dict(body["message"])

    @property
    def event(self) -> str:
        return str(self.message["type"])

    @property
    def id(self) -> str:
        return self.headers["X-Webhook-Id"]

    @property
    def status(self) -> str:
        return str(self.message["call"]["status"])

    @property
    def call_id(self) -> str:
        return str(self.message["call"]["id"])


def hmac_sha256(key: bytes, data: bytes) -> str:
    """RFC 2104 with a block of 64 bytes."""
    key = hashlib.sha256(key).digest() if len(key) > 64 else key
    padded = key.ljust(64, b"\x00")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded) + data).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in padded) + inner).hexdigest()


def is_signed(received: Received, secret: str, *, max_age_s: float = 300) -> bool:
    """Check a signature as the contract tells integrators to."""
    stamp = received.headers["X-Webhook-Timestamp"]
    if abs(time.time() - int(stamp)) > max_age_s:
        return False
    expected = "sha256=" + hmac_sha256(secret.encode(), f"{stamp}.".encode() + received.raw)
    return received.headers.get("X-Webhook-Signature") == expected


class WebhookReceiver:
    """The server.

    Attributes:
        received: Every request, in order of arrival.
        behaviours: What to answer next, in general; after them 200.
        by_call: Likewise for the requests about one call, before those.
        open: Requests that are being answered.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.behaviours: deque[Behaviour] = deque()
        self.by_call: dict[str, deque[Behaviour]] = defaultdict(deque)
        self.always: Behaviour | None = None
        self.open = 0
        self.url = ""
        self._changed = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        received = Received(time.monotonic(), dict(request.headers), raw)
        self.received.append(received)
        async with self._changed:
            self._changed.notify_all()
        self.open += 1
        try:
            mine = self.by_call[received.call_id] or self.behaviours
            behave = mine.popleft() if mine else self.always
            answer = web.Response(text="ok") if behave is None else await behave(request)
            assert isinstance(answer, web.StreamResponse)
            return answer
        finally:
            self.open -= 1

    async def until(self, count: int, within_s: float = 20.0) -> list[Received]:
        """Wait until so many requests came."""
        return await self.wait_for(lambda: len(self.received) >= count, within_s)

    async def wait_for(
        self, condition: Callable[[], bool], within_s: float = 20.0
    ) -> list[Received]:
        """Wait until what was received satisfies a condition."""
        try:
            async with asyncio.timeout(within_s), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError:
            shown = [(one.event, one.status) for one in self.received]
            raise AssertionError(f"received only {shown}") from None
        return list(self.received)

    def of(self, event: str) -> list[Received]:
        """The requests of one event."""
        return [one for one in self.received if one.event == event]


def status(code: int, **headers: str) -> Behaviour:
    """Answer with a status."""

    async def behave(_request: web.Request) -> web.Response:
        return web.Response(status=code, text="as told", headers=headers)

    return behave


def huge(code: int, size: int = 10 * 1024 * 1024) -> Behaviour:
    """Answer with a body of many bytes."""

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=code)
        await response.prepare(request)
        for _ in range(size // 65536):
            await response.write(b"x" * 65536)
        return response

    return behave


def stall(until: asyncio.Event) -> Behaviour:
    """Answer nothing before an event."""

    async def behave(_request: web.Request) -> web.Response:
        await until.wait()
        return web.Response(text="late")

    return behave


def sever() -> Behaviour:
    """Close the connection instead of answering."""

    async def behave(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    return behave


@asynccontextmanager
async def webhook_receiver(port: int = 0) -> AsyncIterator[WebhookReceiver]:
    """Serve on loopback until the block ends."""
    receiver = WebhookReceiver()
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    host, bound = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{bound}/hooks"
    try:
        yield receiver
    finally:
        await runner.cleanup()
