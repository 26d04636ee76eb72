"""Functions that an integrator's server does: the `tool-calls` event."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import uuid4

from sovereign_ari.conversation.tools import Prepared, ToolAnswer, failure
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.webhook import Subject, headers, message
from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.http import Answer
from sovereign_ari.speech.base import ToolSpec
from sovereign_ari.tools.answers import read_answer
from sovereign_ari.tools.arguments import Arguments
from sovereign_ari.tools.tool import Note

EVENT = "tool-calls"
TIMEOUT_S = 10.0
LARGEST_BYTES = 1024 * 1024


class Sends(Protocol):
    """Sends requests to servers that others configure."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = TIMEOUT_S,
        largest_bytes: int = LARGEST_BYTES,
    ) -> Answer:
        """Send one request.

        Raises:
            OutgoingFailed: If there is no whole answer in time.
        """


@dataclass(frozen=True, slots=True)
class WebhookCall:
    """What the tools of one call share.

    Attributes:
        subject: The call.
        assistant: Its assistant.
        http: Sends the requests.
        wall_clock: Aware UTC.
        in_background: Does work that outlives the call; False when there is too much of it.
        note: Writes the timeline.
    """

    subject: Subject
    assistant: Assistant
    http: Sends
    wall_clock: Callable[[], datetime]
    in_background: Callable[[Coroutine[Any, Any, None]], bool]
    note: Note


@dataclass(frozen=True, slots=True)
class WebhookTool:
    """One such function, in either of its stored shapes.

    Attributes:
        spec: How it is offered; its name may differ from `name`.
        takes: What it takes.
        name: What its server calls it.
        url: Its server.
        secret: Signs what is sent there; None sends it unsigned.
        line: Said while it runs.
        is_async: Whether its answer is not waited for.
        of: The call.
    """

    spec: ToolSpec
    takes: Arguments
    name: str
    url: str
    secret: str | None
    line: str | None
    is_async: bool
    of: WebhookCall

    def prepared(self, call_id: str, arguments: Mapping[str, Any]) -> Prepared:
        """See `Tool`."""

        async def run() -> ToolAnswer:
            return await self._ask(call_id, arguments)

        async def start() -> ToolAnswer:
            return self._start(call_id, arguments)

        if self.is_async:
            return Prepared(start, self.line, line_suffices=self.line is not None)
        return Prepared(run, self.line)

    async def _ask(self, call_id: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        """Send one request; whatever comes of it, the model can go on."""
        called = {"name": self.name, "arguments": dict(arguments)}
        now = self.of.wall_clock()
        body = message(
            EVENT,
            now,
            self.of.subject,
            assistant=self.of.assistant.shown,
            tool_call_list=[{"id": call_id, "type": "function", "function": called}],
        )
        try:
            answer = await self.of.http.send(
                "POST",
                self.url,
                headers=headers(EVENT, uuid4().hex, int(now.timestamp()), body, self.secret),
                body=body,
                timeout_s=TIMEOUT_S,
                largest_bytes=LARGEST_BYTES,
            )
        except OutgoingFailed as error:
            return failure(f"the server of the tool cannot be used: {error}")
        return read_answer(answer.status, answer.body, call_id)

    def _start(self, call_id: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        if not self.of.in_background(self._ask_unheard(call_id, arguments)):
            return failure("too much is under way; it was not started")
        said = {"said_to_the_caller": self.line} if self.line else {}
        return ToolAnswer({"status": "started", "note": "it has no result", **said})

    async def _ask_unheard(self, call_id: str, arguments: Mapping[str, Any]) -> None:
        begun_s = time.monotonic()
        answer = await self._ask(call_id, arguments)
        duration_ms = round((time.monotonic() - begun_s) * 1000)
        facts: dict[str, Any] = {"id": call_id, "name": self.name, "duration_ms": duration_ms}
        if answer.failed and isinstance(answer.value, dict):
            facts["error"] = answer.value.get("error")
        self.of.note("async_tool_answered", facts)


def read_webhook_tool(stored: Mapping[str, Any], name: str, of: WebhookCall) -> WebhookTool | None:
    """Read a stored tool, flat or nested; None when there is no server to send it to.

    Args:
        stored: It.
        name: To offer it under.
        of: The call.
    """
    function = stored.get("function") or stored
    server = stored.get("server") or {}
    webhook = of.assistant.webhook
    account = webhook.url if webhook is not None and EVENT in webhook.events else None
    url = stored.get("url") or server.get("url") or account
    if url is None:
        return None
    takes = Arguments(function.get("parameters"))
    return WebhookTool(
        spec=ToolSpec(name, function.get("description") or "", takes.schema),
        takes=takes,
        name=function["name"],
        url=url,
        secret=server.get("secret") or of.assistant.webhook_secret or _secret_of(of.assistant),
        line=stored.get("message") or stored.get("async_response") or stored.get("asyncResponse"),
        is_async=bool(stored.get("async")),
        of=of,
    )


def _secret_of(assistant: Assistant) -> str | None:
    return assistant.webhook.secret if assistant.webhook is not None else None
