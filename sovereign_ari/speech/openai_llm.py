"""OpenAI chat completions, streamed, and every server that speaks the same protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import openai
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall

from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.speech.base import Message, ReplyPart, Token, ToolCall, ToolSpec, Usage
from sovereign_ari.speech.vendor_errors import error_of_status

FIRST_CHUNK_S = 10.0
NEXT_CHUNK_S = 10.0

_NO_REASONING = frozenset(
    {
        "gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano",
        "gpt-5.6-luna", "gpt-5.6-terra", "gpt-5.6-sol",
    }
)  # fmt: skip
"""Models that think before they speak unless told not to; a telephone cannot wait for that."""

_FIXED_TEMPERATURE = frozenset({"gpt-5", "gpt-5-mini", "gpt-5-nano"})
"""Models that refuse any temperature but their own."""

_WHAT = "openai chat"


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
    """One model at one server; the client and its connections are shared with others.

    Args:
        client: Must not retry by itself: retries are written once, around all providers.
        options: The assistant's choice.
        first_chunk_s: Longest wait for the beginning of a reply.
        next_chunk_s: Longest pause within one.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        options: ChatOptions,
        *,
        first_chunk_s: float = FIRST_CHUNK_S,
        next_chunk_s: float = NEXT_CHUNK_S,
    ) -> None:
        self._client = client
        self._options = options
        self._first_chunk_s = first_chunk_s
        self._next_chunk_s = next_chunk_s

    @property
    def label(self) -> str:
        """`openai/<model>`."""
        return f"openai/{self._options.model}"

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        """Stream one reply; tool calls come when the model has finished writing them."""
        request = self._request(messages, tools)
        calls = _ToolCalls()
        finished = False
        deadline_s = asyncio.get_running_loop().time() + self._first_chunk_s
        async with self._open(request, deadline_s) as chunks:
            while (chunk := await self._next(chunks, deadline_s, finished)) is not None:
                deadline_s = asyncio.get_running_loop().time() + self._next_chunk_s
                for choice in chunk.choices[:1]:
                    if choice.delta.content:
                        yield Token(choice.delta.content)
                    for delta in choice.delta.tool_calls or ():
                        calls.add(delta)
                    if choice.finish_reason and not finished:
                        finished = True
                        for call in calls.complete():
                            yield call
                if chunk.usage is not None:
                    yield Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        if not finished:
            raise ProviderUnavailable(f"{_WHAT} broke off before the end of the reply")

    def _request(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> dict[str, Any]:
        options = self._options
        request: dict[str, Any] = {
            "model": options.model,
            "messages": [_message_json(message) for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if tools:
            request["tools"] = [_tool_json(tool) for tool in tools]
        if options.model in _NO_REASONING:
            request["reasoning_effort"] = "none"
        if options.temperature is not None and options.model not in _FIXED_TEMPERATURE:
            request["temperature"] = options.temperature
        if options.max_completion_tokens is not None:
            request["max_completion_tokens"] = options.max_completion_tokens
        return request

    @asynccontextmanager
    async def _open(
        self, request: dict[str, Any], deadline_s: float
    ) -> AsyncIterator[AsyncStream[ChatCompletionChunk]]:
        with _our_errors():
            async with asyncio.timeout_at(deadline_s):
                stream = await self._client.chat.completions.create(**request)
        try:
            yield stream
        finally:
            await stream.close()

    async def _next(
        self, chunks: AsyncStream[ChatCompletionChunk], deadline_s: float, finished: bool
    ) -> ChatCompletionChunk | None:
        """Wait for a chunk; None at the end. After the finish nothing is an error any more."""
        try:
            with _our_errors():
                async with asyncio.timeout_at(deadline_s):
                    return await anext(chunks)
        except StopAsyncIteration:
            return None
        except ProviderUnavailable:
            if finished:
                return None
            raise


@dataclass(slots=True)
class _ToolCalls:
    """Puts tool calls together from their deltas, which come in pieces and interleaved."""

    parts: dict[int, list[str]] = field(default_factory=dict)

    def add(self, delta: ChoiceDeltaToolCall) -> None:
        part = self.parts.setdefault(delta.index, ["", "", ""])
        part[0] = part[0] or delta.id or ""
        if delta.function is not None:
            part[1] += delta.function.name or ""
            part[2] += delta.function.arguments or ""

    def complete(self) -> Iterator[ToolCall]:
        for index, (call_id, name, arguments) in sorted(self.parts.items()):
            if name:
                yield ToolCall(call_id or f"call_{index}", name, arguments or "{}")


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except openai.APIStatusError as error:
        raise error_of_status(
            _WHAT, error.status_code, error.body, error.response.headers
        ) from error
    except (TimeoutError, openai.APITimeoutError) as error:
        raise ProviderUnavailable(f"{_WHAT} did not answer in time") from error
    except openai.APIConnectionError as error:
        raise ProviderUnavailable(f"{_WHAT} cannot be reached, or went away") from error
    except openai.APIError as error:
        raise ProviderUnavailable(f"{_WHAT} reported an error in its stream") from error
    except ValueError as error:
        raise ProviderUnavailable(f"{_WHAT} sent what is not JSON") from error


def _message_json(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
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
