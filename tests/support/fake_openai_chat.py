"""`POST /v1/chat/completions`, streamed as server-sent events."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiohttp import web

from tests.support.fake_openai_faults import Fault, Journal, Service, answer_of, hang, sever


@dataclass(frozen=True)
class Call:
    """The model calls a tool; `arguments` is JSON text, sent in pieces."""

    name: str
    arguments: str = "{}"


Reply: TypeAlias = str | Sequence[str | Call]
Script: TypeAlias = Callable[[list[dict[str, Any]], list[dict[str, Any]]], Reply]


def repeat_back(messages: list[dict[str, Any]], _tools: list[dict[str, Any]]) -> Reply:
    """Say what the user said last."""
    said = [m["content"] for m in messages if m["role"] == "user"]
    return f"You said: {said[-1]}" if said else "Hello."


class ChatService(Service):
    """Streams what `reply` returns, word by word.

    Attributes:
        reply: Decides the answer.
        first_token_s: Delay before the first chunk.
        token_s: Delay before each further chunk.
        apart: Models whose requests are served beside all this, at once and by `reply_apart`:
            other work may ask them at any time.
        bodies_apart: Their bodies, in order.
    """

    def __init__(self, journal: Journal, reply: Script) -> None:
        super().__init__(journal)
        self.reply = reply
        self.first_token_s = 0.0
        self.token_s = 0.0
        self.apart: frozenset[str] = frozenset()
        self.reply_apart: Script = lambda _messages, _tools: "A summary."
        self.bodies_apart: list[dict[str, Any]] = []

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """Request bodies, in order."""
        return [body for path, body in self.journal.requests if path == "chat"]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one completion."""
        if (refusal := self.journal.unauthorised(request)) is not None:
            return refusal
        body = await request.json()
        if body["model"] in self.apart:
            self.bodies_apart.append(body)
            return await self._stream(request, body, None, self.reply_apart)
        self.journal.requests.append(("chat", body))
        fault = self.next_fault()
        if fault is not None and fault.kind == "status":
            return answer_of(fault)
        self.open += 1
        try:
            return await self._stream(request, body, fault, self.reply)
        finally:
            self.open -= 1

    async def _stream(
        self,
        request: web.Request,
        body: dict[str, Any],
        fault: Fault | None,
        reply: Script,
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if fault is not None and fault.kind == "hang" and not fault.after:
            await hang()
        await response.prepare(request)
        if fault is not None and fault.kind == "silent":
            return response
        apart = reply is self.reply_apart
        chunks = list(_chunks(body, reply))
        for index, chunk in enumerate(chunks):
            if not apart:
                await asyncio.sleep(self.token_s if index else self.first_token_s)
            if fault is not None and index >= fault.after:
                await _misbehave(request, response, fault)
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response


def _chunks(body: dict[str, Any], script: Script) -> Iterator[dict[str, Any]]:
    reply = script(body["messages"], body.get("tools", []))
    parts = [reply] if isinstance(reply, str) else list(reply)
    calls = 0
    for part in parts:
        if isinstance(part, str):
            for token in re.findall(r"\s*\S+", part):
                yield _chunk(body, {"role": "assistant", "content": token})
        else:
            yield from (_chunk(body, delta) for delta in _call_deltas(calls, part))
            calls += 1
    yield _chunk(body, {}, finish="tool_calls" if calls else "stop")
    if (body.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27}
        yield {**_chunk(body, {}), "choices": [], "usage": usage}


async def _misbehave(request: web.Request, response: web.StreamResponse, fault: Fault) -> None:
    if fault.kind == "hang":
        await hang()
    elif fault.kind == "drop":
        sever(request)
        await hang()  # the handler is cancelled when the connection is gone
    elif fault.kind == "malformed":
        await response.write(b"data: {not json\n\n")


def _call_deltas(index: int, call: Call) -> Iterator[dict[str, Any]]:
    head = {"index": index, "id": f"call_{index}", "type": "function"}
    yield {"tool_calls": [{**head, "function": {"name": call.name, "arguments": ""}}]}
    for start in range(0, len(call.arguments), 5):
        piece = call.arguments[start : start + 5]
        yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _chunk(
    body: dict[str, Any], delta: dict[str, Any], finish: str | None = None
) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": body["model"],
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
