"""An ARI server with state, on a real port, that does to a client what Asterisk does at its worst.

It keeps channels and bridges, journals every request, and lets a test push events, answer after
the event, refuse, act and then drop the connection, or send garbage.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from sovereign_ari.wire.ari_http import AriAddress


@dataclass
class FakeAri:
    """State and faults. `requests` holds `METHOD path` of each request, in order."""

    app: str = "sovereign"
    channels: dict[str, str] = field(default_factory=dict)
    bridges: dict[str, set[str]] = field(default_factory=dict)
    globals: dict[str, str] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)
    standing: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    drop_after_acting: set[str] = field(default_factory=set)
    refuse: dict[str, int] = field(default_factory=dict)
    url: str = ""
    connects: int = 0
    began: str = "2026-01-01T00:00:00"

    @property
    def address(self) -> AriAddress:
        return AriAddress(self.url, "user", "secret", self.app)

    async def push(self, event: dict[str, Any] | str) -> None:
        """Send an event, or any text, on every open socket."""
        text = event if isinstance(event, str) else json.dumps(event)
        for socket in self.sockets:
            await socket.send_str(text)

    async def drop_sockets(self) -> None:
        """Close the event sockets as a restart would."""
        for socket in list(self.sockets):
            await socket.close()

    def channel(self, channel_id: str, **more: Any) -> dict[str, Any]:
        return {"id": channel_id, "name": f"PJSIP/{channel_id}", "state": "Ring", **more}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/ari/")
        what = f"{request.method} {path}"
        if request.headers.get("Authorization") != self.address.headers()["Authorization"]:
            return web.json_response({"message": "Authentication required"}, status=401)
        if path == "events":
            return await self._events(request)
        self.requests.append(what)
        body = await request.json() if request.can_read_body else {}
        self.queries.append({**request.query, **body.get("variables", {})})
        if (status := self.refuse.get(what)) is not None:
            return web.json_response({"message": "refused"}, status=status)
        answer = self._act(request.method, path.split("/"), request.query)
        if what in self.drop_after_acting:
            assert request.transport is not None
            request.transport.abort()
        return answer

    def _act(self, method: str, path: list[str], query: Any) -> web.Response:
        match method, path:
            case _, ["asterisk", what]:
                return self._asterisk(method, what, query)
            case "GET", ["applications", _]:
                body = {"name": self.app, "channel_ids": list(self.channels), "bridge_ids": []}
                return web.json_response(body)
            case "GET", ["channels"]:
                named = {c: {"SOVEREIGN_CALL": call} for c, call in self.calls.items()}
                shown = [
                    self.channel(
                        c, channelvars=named.get(c, {}), dialplan=self.standing.get(c, {})
                    )
                    for c in self.channels
                ]
                return web.json_response(shown)
            case "GET", ["bridges"]:
                return web.json_response(
                    [{"id": b, "channels": sorted(c)} for b, c in self.bridges.items()]
                )
            case "POST", ["channels", "externalMedia"]:
                self.channels[query["channelId"]] = "Up"
                variables = {
                    "UNICASTRTP_LOCAL_ADDRESS": "127.0.0.1",
                    "UNICASTRTP_LOCAL_PORT": "40000",
                }
                return web.json_response(self.channel(query["channelId"], channelvars=variables))
            case "POST", ["bridges"]:
                self.bridges[query["bridgeId"]] = set()
                return web.json_response({"id": query["bridgeId"], "channels": []})
            case "POST", ["bridges", bridge, "addChannel"] if bridge in self.bridges:
                self.bridges[bridge] |= set(query["channel"].split(","))
                return web.Response(status=204)
            case "DELETE", [kind, name]:
                held: dict[str, Any] = self.channels if kind == "channels" else self.bridges
                return web.Response(status=404 if held.pop(name, None) is None else 204)
            case "POST" | "PUT", _:
                return web.Response(status=204)
            case _:
                return web.json_response({"message": "not found"}, status=404)

    def _asterisk(self, method: str, what: str, query: Any) -> web.Response:
        if what == "info":
            return web.json_response({"status": {"startup_time": self.began}})
        name = query["variable"]
        if method == "POST":
            self.globals.pop(name, None)
            return web.Response(status=204)
        if name in self.globals:
            return web.json_response({"value": self.globals[name]})
        return web.json_response({"message": "not found"}, status=404)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connects += 1
        self.sockets.append(socket)
        try:
            async for _ in socket:
                pass
        finally:
            self.sockets.remove(socket)
        return socket


@asynccontextmanager
async def fake_ari() -> AsyncIterator[FakeAri]:
    """Run one, on a free port, until the block ends."""
    ari = FakeAri()
    application = web.Application()
    application.router.add_route("*", "/ari/{path:.*}", ari.handle)
    async with TestServer(application) as server:
        ari.url = str(server.make_url("/ari"))
        yield ari
        await ari.drop_sockets()


async def until(condition: Any, timeout_s: float = 5.0) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: If it does not in time.
    """
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
