"""Tools of MCP servers that others configure, by the official client library behind our guard.

The library follows redirects, looks names up itself, logs what servers say and hides failures in
groups of exceptions; none of that leaves this module.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import anyio
import httpx
from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Implementation, PaginatedRequestParams

from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.bodies import Allowance
from sovereign_ari.outgoing.http import USER_AGENT
from sovereign_ari.outgoing.mcp_failures import NOT_MCP, keep_quiet, late, translated, ungrouped
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.outgoing.transport import Faults, GuardedBackend, GuardedTransport
from sovereign_ari.outgoing.urls import UrlFault, read_target

McpTransport = Literal["streamable_http", "sse"]

TIMEOUT_S = 20.0
LARGEST_BYTES = 4 * 1024 * 1024
MOST_TOOLS = 5000


@dataclass(frozen=True, slots=True)
class McpServer:
    """Where a server is and how it is spoken to. Headers hold secrets and are not shown."""

    url: str
    transport: McpTransport = "streamable_http"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ToolInfo:
    """A tool that a server offers; `input_schema` is the JSON Schema of its arguments."""

    name: str
    description: str | None
    input_schema: Mapping[str, Any]


class McpSession:
    """A conversation with one server. After a failure it is of no more use."""

    def __init__(self, session: ClientSession, faults: Faults, allowance: Allowance) -> None:
        self._session = session
        self._faults = faults
        self._allowance = allowance

    async def list_tools(self, timeout_s: float = TIMEOUT_S) -> list[ToolInfo]:
        """Ask for all tools, page by page.

        Raises:
            OutgoingFailed: If they do not arrive whole within `timeout_s`, or are too many.
        """
        tools: list[ToolInfo] = []
        cursors: set[str] = set()
        cursor: str | None = None
        with self._answering(timeout_s):
            while True:
                page = await self._session.list_tools(params=PaginatedRequestParams(cursor=cursor))
                tools += [ToolInfo(t.name, t.description, t.inputSchema) for t in page.tools]
                cursor = page.nextCursor
                if not cursor:
                    break
                if cursor in cursors or len(cursors) >= MOST_TOOLS or len(tools) > MOST_TOOLS:
                    raise OutgoingFailed("the server's list of tools has no end")
                cursors.add(cursor)
        return tools

    async def call_tool(
        self, name: str, arguments: Mapping[str, Any], timeout_s: float = TIMEOUT_S
    ) -> CallToolResult:
        """Use a tool. Its own failure is a result with `isError`.

        Raises:
            OutgoingFailed: If no result arrives within `timeout_s`; whether the tool did its work
                is then not known.
        """
        with self._answering(timeout_s):
            return await self._session.call_tool(name, dict(arguments))

    @contextmanager
    def _answering(self, timeout_s: float) -> Iterator[None]:
        """Wait no longer than this for the answers to what is asked in the block."""
        if self._faults.first is not None:
            raise OutgoingFailed(self._faults.first)
        self._allowance.renew()
        with anyio.move_on_after(timeout_s) as waiting, self._faults.ending(waiting):
            with translated(self._faults):
                yield
        if waiting.cancelled_caught:
            raise late(self._faults, timeout_s)


async def list_tools(
    policy: OutgoingPolicy,
    server: McpServer,
    *,
    timeout_s: float = TIMEOUT_S,
    trust: ssl.SSLContext | None = None,
) -> list[ToolInfo]:
    """Connect, ask for all tools, and part; all of it within `timeout_s`.

    Raises:
        OutgoingFailed: As one sentence without secrets.
    """
    tools: list[ToolInfo] | None = None
    with anyio.move_on_after(timeout_s):
        async with open_session(policy, server, timeout_s=timeout_s, trust=trust) as session:
            tools = await session.list_tools(timeout_s)
    if tools is None:
        raise late(Faults(), timeout_s)
    return tools


@asynccontextmanager
async def open_session(
    policy: OutgoingPolicy,
    server: McpServer,
    *,
    timeout_s: float = TIMEOUT_S,
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[McpSession]:
    """Connect to a server and part from it at the end; in between, the session is idle or asked.

    Args:
        policy: Where connections may go; without TLS, only where the operator allows.
        server: Whom to connect to.
        timeout_s: For connecting and for the server to introduce itself.
        trust: Whose certificates are believed; by default those that the system believes.

    Raises:
        OutgoingFailed: If that fails, as one sentence without secrets.
    """
    _check(policy, server)
    believed = await asyncio.to_thread(_system_trust) if trust is None else trust
    faults, allowance = Faults(), Allowance(LARGEST_BYTES)
    opening = anyio.CancelScope(deadline=anyio.current_time() + timeout_s)
    with ungrouped(faults), opening, faults.ending(opening) as opened:
        async with AsyncExitStack() as stack:
            client = _client(policy, server, believed, faults, allowance)
            with translated(faults):
                session = await _connect(stack, server, client, faults)
                await session.initialize()
            opened()
            opening.deadline = math.inf
            yield McpSession(session, faults, allowance)
    if opening.cancelled_caught:
        raise late(faults, timeout_s)


def _check(policy: OutgoingPolicy, server: McpServer) -> None:
    try:
        fault = policy.fault_of(read_target(server.url))
    except UrlFault as error:
        fault = str(error)
    if fault is not None:
        raise OutgoingFailed(f"the URL {fault}")


def _client(
    policy: OutgoingPolicy,
    server: McpServer,
    trust: ssl.SSLContext,
    faults: Faults,
    allowance: Allowance,
) -> httpx.AsyncClient:
    plain = server.url.lower().startswith("http:")
    is_sse = server.transport == "sse"
    transport = GuardedTransport(
        GuardedBackend(policy, allowed_only=plain),
        trust=trust,
        faults=faults,
        allowance=allowance,
        # The newer transport's GET opens a second channel that servers need not have.
        vital=frozenset({"GET", "POST"} if is_sse else {"POST"}),
    )
    return httpx.AsyncClient(
        transport=transport,
        headers={"User-Agent": USER_AGENT, **server.headers},
        trust_env=False,
        timeout=None,  # scopes bound every wait
    )


def _given(client: httpx.AsyncClient) -> Callable[..., httpx.AsyncClient]:
    def factory(
        headers: dict[str, str] | None = None,
        timeout: httpx.Timeout | None = None,
        auth: httpx.Auth | None = None,
    ) -> httpx.AsyncClient:
        return client

    return factory


async def _connect(
    stack: AsyncExitStack, server: McpServer, client: httpx.AsyncClient, faults: Faults
) -> ClientSession:
    """Open the library's own layers; the stack closes them in reverse."""
    if server.transport == "sse":
        reading, writing = await stack.enter_async_context(
            sse_client(read_target(server.url).url, httpx_client_factory=_given(client))
        )
    else:
        await stack.enter_async_context(client)
        reading, writing, _ = await stack.enter_async_context(
            streamable_http_client(read_target(server.url).url, http_client=client)
        )

    async def hear(message: object) -> None:
        if isinstance(message, Exception):  # an answer that the library could not read
            faults.note(NOT_MCP)

    return await stack.enter_async_context(
        ClientSession(
            reading,
            writing,
            message_handler=hear,
            client_info=Implementation(name="hms-sovereign", version="1.0"),
        )
    )


@cache
def _system_trust() -> ssl.SSLContext:
    """Read once: there are hundreds of authorities."""
    return ssl.create_default_context()


keep_quiet()
