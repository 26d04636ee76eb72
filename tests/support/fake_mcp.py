"""MCP servers on a real port: the official library's own, and one that answers as it is told."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import mcp.types as types
import uvicorn
from aiohttp import web
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclass
class FakeMcp:
    """A server of the library with numbered tools, in pages.

    Attributes:
        tools: How many it offers.
        page: How many stand on a page.
        seen: Headers of each request, the newest last, with lower-case names.
        methods: HTTP methods of the requests, in order.
        key: What `Authorization` must be, when it must be something.
    """

    tools: int = 1
    page: int = 100
    json_answers: bool = False
    key: str | None = None
    seen: list[dict[str, str]] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    port: int = 0

    def url(self, transport: str) -> str:
        """Where it serves this transport."""
        path = "sse" if transport == "sse" else "mcp"
        return f"http://127.0.0.1:{self.port}/{path}"

    def _library_server(self) -> Server[Any, Any]:
        server: Server[Any, Any] = Server("fake")

        async def list_tools(asked: types.ListToolsRequest) -> types.ServerResult:
            first = int((asked.params and asked.params.cursor) or 0)
            last = min(first + self.page, self.tools)
            tools = [
                types.Tool(name=f"tool_{n}", description=f"Tool {n}", inputSchema=SCHEMA)
                for n in range(first, last)
            ]
            cursor = str(last) if last < self.tools else None
            return types.ServerResult(types.ListToolsResult(tools=tools, nextCursor=cursor))

        async def call_tool(asked: types.CallToolRequest) -> types.ServerResult:
            said = types.TextContent(type="text", text=f"{asked.params.arguments}")
            return types.ServerResult(types.CallToolResult(content=[said]))

        server.request_handlers[types.ListToolsRequest] = list_tools
        server.request_handlers[types.CallToolRequest] = call_tool
        return server

    def app(self) -> Starlette:
        """The application, with both transports."""
        server = self._library_server()
        manager = StreamableHTTPSessionManager(server, json_response=self.json_answers)
        sse = SseServerTransport("/messages/")

        async def streamable(scope: Scope, receive: Receive, send: Send) -> None:
            if not self._may_enter(scope):
                await Response("no", 401)(scope, receive, send)
                return
            await manager.handle_request(scope, receive, send)

        async def events(request: Request) -> Response:
            if not self._may_enter(request.scope):
                return Response("no", 401)
            async with sse.connect_sse(request.scope, request.receive, request._send) as streams:
                reading, writing = streams
                await server.run(reading, writing, server.create_initialization_options())
            return Response()

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with manager.run():
                yield

        routes = [
            Route("/sse", events),
            Mount("/messages/", app=sse.handle_post_message),
            Mount("/", app=streamable),
        ]
        return Starlette(routes=routes, lifespan=lifespan)

    def _may_enter(self, scope: Scope) -> bool:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.seen.append(headers)
        self.methods.append(scope["method"])
        return self.key is None or headers.get("authorization") == self.key


@asynccontextmanager
async def running_mcp(fake: FakeMcp) -> AsyncIterator[FakeMcp]:
    """Serve until the block is left, in a thread: the library's server leaves tasks behind."""
    listening = socket.create_server(("127.0.0.1", 0))
    fake.port = listening.getsockname()[1]
    config = uvicorn.Config(
        fake.app(), log_level="critical", lifespan="on", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), name="fake-mcp")
    thread.start()
    try:
        yield fake
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join)


@dataclass
class RudeServer:
    """Answers every request by a handler, and counts them."""

    handler: Handler
    requests: list[web.Request] = field(default_factory=list)
    port: int = 0

    def url(self, path: str = "/mcp") -> str:
        """An address of it."""
        return f"http://127.0.0.1:{self.port}{path}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.handler(request)


@asynccontextmanager
async def running_rude(
    handler: Handler, trust: ssl.SSLContext | None = None
) -> AsyncIterator[RudeServer]:
    """Serve until the block is left; with `trust`, by TLS."""
    rude = RudeServer(handler)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", rude._answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust)
    await site.start()
    rude.port = runner.addresses[0][1]
    try:
        yield rude
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running_bytes(answer: bytes, *, hang: bool = False) -> AsyncIterator[int]:
    """Serve raw bytes to whoever connects, then close, or say no more; gives the port."""
    ends = asyncio.Event()
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections[task] = writer
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if hang:
                await ends.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        ends.set()
        server.close()
        for writer in connections.values():
            writer.transport.abort()
        await asyncio.gather(*connections)
        await server.wait_closed()


def rpc(asked: Mapping[str, Any], **result: Any) -> dict[str, Any]:
    """A JSON-RPC answer to what was asked."""
    return {"jsonrpc": "2.0", "id": asked.get("id"), "result": result}


def introduction(asked: Mapping[str, Any], version: str = "2025-06-18") -> dict[str, Any]:
    """What a server says to `initialize`."""
    return rpc(
        asked,
        protocolVersion=version,
        capabilities={"tools": {}},
        serverInfo={"name": "rude", "version": "1"},
    )


def polite(tools: Callable[[dict[str, Any]], Awaitable[web.StreamResponse]]) -> Handler:
    """A handler that speaks streamable HTTP as it should, until it is asked for its tools."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return web.Response(status=405)
        asked = await request.json()
        if "id" not in asked:
            return web.Response(status=202)
        if asked["method"] == "initialize":
            return web.json_response(introduction(asked))
        return await tools(asked)

    return answer
