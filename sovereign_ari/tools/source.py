"""Makes the tools of calls, and does for them what outlives a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sovereign_ari.conversation.terms import Transfers
from sovereign_ari.conversation.tools import Patience
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.webhook import Subject
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.tools.box import CallToolBox, McpServers
from sovereign_ari.tools.tool import Note
from sovereign_ari.tools.webhook import Sends, WebhookCall

MOST_IN_BACKGROUND = 1000
CLOSES_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Outside:
    """What tools reach the world by.

    Attributes:
        http: Sends requests.
        policy: Where connections may go.
        servers: Knows MCP servers.
    """

    http: Sends
    policy: OutgoingPolicy
    servers: McpServers


class CallToolSource:
    """A `control.ports.ToolSource`. Closed by its owner after the last call.

    Args:
        outside: How tools reach the world.
        wall_clock: Aware UTC.
        patience: How long a tool may run in silence.
    """

    def __init__(
        self, outside: Outside, wall_clock: Callable[[], datetime], patience: Patience
    ) -> None:
        self._outside = outside
        self._wall_clock = wall_clock
        self._patience = patience
        self._background: set[asyncio.Task[None]] = set()

    def for_call(
        self, subject: Subject, assistant: Assistant, note: Note, transfers: Transfers
    ) -> CallToolBox:
        """Read the tools of an assistant for one call."""
        of = WebhookCall(
            subject=subject,
            assistant=assistant,
            http=self._outside.http,
            wall_clock=self._wall_clock,
            in_background=self._in_background,
            note=note,
        )
        outside = self._outside
        return CallToolBox(of, transfers, outside.servers, outside.policy, self._patience)

    async def close(self) -> None:
        """Let what runs in the background end, for as long as a stop may take."""
        if not self._background:
            return
        _, late = await asyncio.wait(set(self._background), timeout=CLOSES_WITHIN_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> bool:
        if len(self._background) >= MOST_IN_BACKGROUND:
            work.close()
            return False
        task = asyncio.create_task(work, name="async tool")
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return True
