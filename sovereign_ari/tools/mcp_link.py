"""One call's connection to one MCP server, held by a task of its own.

The library's session must be opened and closed by the same task; asking it is anybody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sovereign_ari.conversation.tools import ToolAnswer, failure
from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.mcp import McpServer, McpSession, ToolInfo, open_session
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.tools.mcp_results import read_result

CLOSES_WITHIN_S = 2.5


@dataclass(frozen=True, slots=True)
class StoredServer:
    """An MCP server as the organisation configured it.

    Attributes:
        name: For notes, and for names of tools.
        server: Where it is.
        timeout_s: How long an answer may take.
    """

    name: str
    server: McpServer
    timeout_s: float


class McpLink:
    """A connection that is made when it is needed, and again after it broke.

    Args:
        stored: The server.
        policy: Where connections may go.
    """

    def __init__(self, stored: StoredServer, policy: OutgoingPolicy) -> None:
        self.stored = stored
        self._policy = policy
        self._opening = asyncio.Lock()
        self._session: McpSession | None = None
        self._parting: asyncio.Event | None = None
        self._holding: set[asyncio.Task[None]] = set()
        self._closed = False

    async def list_tools(self, timeout_s: float) -> list[ToolInfo]:
        """Connect and ask for all tools.

        Raises:
            OutgoingFailed: If that fails, or takes longer than this.
        """
        try:
            async with asyncio.timeout(timeout_s):
                session = await self._opened(timeout_s)
                return await session.list_tools(timeout_s)
        except TimeoutError:
            self._drop()
            raise OutgoingFailed(f"no answer within {timeout_s:g} s") from None
        except OutgoingFailed:
            self._drop()
            raise

    async def use(self, name: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        """Use a tool, once; whatever comes of it, the model can go on."""
        timeout_s = self.stored.timeout_s
        session: McpSession | None = None
        try:
            async with asyncio.timeout(timeout_s):
                session = await self._opened(timeout_s)
                return read_result(await session.call_tool(name, arguments, timeout_s))
        except TimeoutError:
            error = f"no answer within {timeout_s:g} s"
        except OutgoingFailed as failed:
            error = str(failed)
        if session is self._session:
            self._drop()
        return failure(f"the server of the tool cannot be used: {error}")

    async def close(self) -> None:
        """Part from the server, and end every task of this."""
        self._closed = True
        self._drop()
        if not self._holding:
            return
        holding = set(self._holding)
        _, late = await asyncio.wait(holding, timeout=CLOSES_WITHIN_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _opened(self, timeout_s: float) -> McpSession:
        async with self._opening:
            if self._session is None:
                await self._open(timeout_s)
            assert self._session is not None
            return self._session

    async def _open(self, timeout_s: float) -> None:
        """Have a task open a session and hold it.

        Raises:
            OutgoingFailed: If it cannot be opened.
        """
        if self._closed:
            raise OutgoingFailed("the call is over")
        ready: asyncio.Future[McpSession] = asyncio.get_running_loop().create_future()
        parting = asyncio.Event()
        task = asyncio.create_task(self._hold(ready, parting, timeout_s), name="mcp")
        self._holding.add(task)
        task.add_done_callback(self._holding.discard)
        try:
            self._session, self._parting = await ready, parting
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _hold(
        self, ready: asyncio.Future[McpSession], parting: asyncio.Event, timeout_s: float
    ) -> None:
        try:
            async with open_session(
                self._policy, self.stored.server, timeout_s=timeout_s
            ) as session:
                if not ready.done():
                    ready.set_result(session)
                    await parting.wait()
        except OutgoingFailed as error:
            if not ready.done():
                ready.set_exception(error)
        finally:
            if not ready.done():
                ready.set_exception(OutgoingFailed("the connection was given up"))

    def _drop(self) -> None:
        """Let the session go; the next use opens another one."""
        if self._parting is not None:
            self._parting.set()
        self._session = self._parting = None
