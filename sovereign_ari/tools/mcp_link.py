"""One call's connection to one MCP server, held by a task of its own.

The library's session must be opened and closed by the same task; asking it is anybody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sovereign_ari.conversation.tools import ToolAnswer, failure
from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.mcp import McpServer, McpSession, ToolInfo, open_session
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.tools.mcp_results import read_result

CLOSES_WITHIN_S = 2.5

_Answer = TypeVar("_Answer")


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


@dataclass(slots=True)
class _Held:
    """An open session. One that failed is parted from when nobody waits for its answers.

    Attributes:
        session: It.
        parting: Set when its task is to close it.
        users: How many wait for an answer.
        failed: Whether it is of no more use.
    """

    session: McpSession
    parting: asyncio.Event
    users: int = 0
    failed: bool = False

    @contextmanager
    def used(self) -> Iterator[McpSession]:
        """Keep it open for the block."""
        self.users += 1
        try:
            yield self.session
        finally:
            self.users -= 1
            if self.failed and not self.users:
                self.parting.set()


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
        self._held: _Held | None = None
        self._holding: dict[asyncio.Task[None], asyncio.Event] = {}
        self._closed = False

    async def list_tools(self, timeout_s: float) -> list[ToolInfo]:
        """Connect and ask for all tools.

        Raises:
            OutgoingFailed: If that fails, or takes longer than this.
        """
        return await self._asked(timeout_s, lambda session: session.list_tools(timeout_s))

    async def use(self, name: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        """Use a tool, once; whatever comes of it, the model can go on."""
        timeout_s = self.stored.timeout_s
        try:
            result = await self._asked(
                timeout_s, lambda session: session.call_tool(name, arguments, timeout_s)
            )
        except OutgoingFailed as error:
            return failure(f"the server of the tool cannot be used: {error}")
        return read_result(result)

    async def close(self) -> None:
        """Part from the server, and end every task of this."""
        self._closed = True
        self._held = None
        for parting in self._holding.values():
            parting.set()
        if not self._holding:
            return
        _, late = await asyncio.wait(set(self._holding), timeout=CLOSES_WITHIN_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _asked(
        self, timeout_s: float, ask: Callable[[McpSession], Awaitable[_Answer]]
    ) -> _Answer:
        """Ask the session, which is of no more use after a failure.

        Raises:
            OutgoingFailed: If there is no answer in time.
        """
        held: _Held | None = None
        try:
            async with asyncio.timeout(timeout_s):
                held = await self._opened(timeout_s)
                with held.used() as session:
                    return await ask(session)
        except TimeoutError:
            self._give_up(held)
            raise OutgoingFailed(f"no answer within {timeout_s:g} s") from None
        except OutgoingFailed:
            self._give_up(held)
            raise

    def _give_up(self, held: _Held | None) -> None:
        """Let a session go; the next use opens another one."""
        if held is None:
            return
        held.failed = True
        if not held.users:
            held.parting.set()
        if self._held is held:
            self._held = None

    async def _opened(self, timeout_s: float) -> _Held:
        async with self._opening:
            if self._held is None:
                self._held = await self._open(timeout_s)
            return self._held

    async def _open(self, timeout_s: float) -> _Held:
        """Have a task open a session and hold it.

        Raises:
            OutgoingFailed: If it cannot be opened.
        """
        if self._closed:
            raise OutgoingFailed("the call is over")
        ready: asyncio.Future[McpSession] = asyncio.get_running_loop().create_future()
        parting = asyncio.Event()
        task = asyncio.create_task(self._hold(ready, parting, timeout_s), name="mcp")
        self._holding[task] = parting
        task.add_done_callback(self._holding.pop)
        try:
            return _Held(await ready, parting)
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
