"""OpenAI chat completions, streamed, and every server that speaks the same protocol."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.speech.base import Message, ReplyPart, ToolSpec
from sovereign_ari.speech.endpoint import Endpoint
from sovereign_ari.speech.openai_compatible import OPENAI, Dialect
from sovereign_ari.speech.openai_llm_chunks import ReplyChunks
from sovereign_ari.speech.sse import EventTooLong, SseParser
from sovereign_ari.speech.vendor_http import StreamedAnswer, StreamedPost

FIRST_CHUNK_S = 10.0
NEXT_CHUNK_S = 10.0
_TAIL_S = 1.0  # for what follows the reply: a count and a full stop, which need not come

_FIXED_TEMPERATURE = frozenset({"gpt-5", "gpt-5-mini", "gpt-5-nano"})
"""Models that refuse any temperature but their own."""


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What an assistant chooses of a model.

    Attributes:
        model: Model name.
        temperature: 0 to 2; None leaves the model's own.
        max_completion_tokens: Longest reply; None leaves the model's own limit.
    """

    model: str
    temperature: float | None = None
    max_completion_tokens: int | None = None


class OpenAILanguageModel:
    """One model at one server; the session and its connections are shared with others.

    Args:
        session: Shared HTTP session.
        endpoint: Server and key.
        options: The assistant's choice.
        dialect: How the server wants it.
        first_chunk_s: Longest wait for the beginning of a reply.
        next_chunk_s: Longest pause within one.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        options: ChatOptions,
        *,
        dialect: Dialect = OPENAI,
        first_chunk_s: float = FIRST_CHUNK_S,
        next_chunk_s: float = NEXT_CHUNK_S,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._options = options
        self._dialect = dialect
        self._first_chunk_s = first_chunk_s
        self._next_chunk_s = next_chunk_s

    @property
    def label(self) -> str:
        """`<provider>/<model>`."""
        return f"{self._dialect.provider}/{self._options.model}"

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        """Stream one reply; tool calls come when the model has finished writing them."""
        body = self._request(messages, tools)
        what = self._dialect.what
        post = StreamedPost(what, self._endpoint, "/chat/completions", body)
        now_s = asyncio.get_running_loop().time
        deadline_s = now_s() + self._first_chunk_s
        reply = ReplyChunks(what)
        async with post.send(self._session, deadline_s) as answer:
            events = _Events(answer, reply)
            while (parts := await events.next(deadline_s)) is not None:
                for part in parts:
                    yield part
                deadline_s = now_s() + (_TAIL_S if reply.finished else self._next_chunk_s)
            if reply.done:
                answer.expect_end()
        if not reply.finished:
            raise ProviderUnavailable(f"{what} broke off before the end of the reply")
        if reply.usage is not None:
            yield reply.usage

    def _request(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> dict[str, Any]:
        options, dialect = self._options, self._dialect
        request: dict[str, Any] = {
            "model": options.model,
            "messages": [_message_json(message, dialect) for message in messages],
            "stream": True,
        }
        if dialect.counts:
            request["stream_options"] = {"include_usage": True}
        if tools:
            request["tools"] = [_tool_json(tool) for tool in tools]
        if options.model in dialect.no_reasoning:
            request["reasoning_effort"] = "none"
        if options.temperature is not None and options.model not in _FIXED_TEMPERATURE:
            request["temperature"] = options.temperature
        if options.max_completion_tokens is not None:
            request[dialect.limit] = options.max_completion_tokens
        return request


class _Events:
    """What the events of an answer mean, one event at a time.

    After the reply has finished nothing is an error any more.
    """

    def __init__(self, answer: StreamedAnswer, reply: ReplyChunks) -> None:
        self._answer = answer
        self._reply = reply
        self._parser = SseParser()
        self._ready: deque[str] = deque()

    async def next(self, deadline_s: float) -> list[ReplyPart] | None:
        """Wait for an event and return its parts; None at the end."""
        try:
            if self._reply.done or not await self._wait(deadline_s):
                return None
            return self._reply.on_event(self._ready.popleft())
        except ProviderUnavailable:
            if self._reply.finished:
                return None
            raise

    async def _wait(self, deadline_s: float) -> bool:
        """Wait until an event is ready; False at the end.

        A comment does not move the deadline: servers send them to keep a connection open on
        which nothing happens.
        """
        while not self._ready:
            chunk = await self._answer.read(deadline_s)
            if not chunk:
                return False
            try:
                events = self._parser.feed(chunk)
            except EventTooLong as error:
                raise ProviderUnavailable(f"{self._reply.what} sent too long a chunk") from error
            self._ready.extend(event.data for event in events)
        return True


def _message_json(message: Message, dialect: Dialect) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [
            {
                "id": dialect.call_id(call.id),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        body["tool_call_id"] = dialect.call_id(message.tool_call_id)
    return body


def _tool_json(tool: ToolSpec) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.parameters),
        },
    }
