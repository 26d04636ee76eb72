"""From the caller's words to the pieces of a reply: model, tools, sentences."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from sovereign_ari.conversation.sentences import SentenceSplitter
from sovereign_ari.conversation.tools import result_of, wants_to_hang_up
from sovereign_ari.errors import ProviderError, ProviderUnavailable
from sovereign_ari.speech.base import (
    LanguageModel,
    Message,
    ReplyPart,
    ToolCall,
    ToolSpec,
    Usage,
)

FIRST_TOKEN_TIMEOUT_S = 6.0
NEXT_TOKEN_TIMEOUT_S = 6.0
TOOL_ROUNDS = 5


@dataclass(slots=True)
class Thought:
    """What became of one reply, filled in while it is made.

    Attributes:
        text: Everything the model wrote.
        tool_calls: `{id, name, arguments, result}` of each tool.
        messages: Tool calls, what was said before each, and results: for the next round.
        hang_up: Whether the model called `end_call`.
        first_token_s: When its first token or tool call came.
        first_piece_s: When the first speakable piece was complete.
        input_tokens: As counted by the provider; 0 when it does not count.
        output_tokens: Likewise.
        told_chars: How much of `text` stands in `messages`.
    """

    text: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    hang_up: bool = False
    first_token_s: float | None = None
    first_piece_s: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    told_chars: int = 0

    def for_history(self) -> list[Message]:
        """Tool calls and results without what was said beside them: that is kept as heard."""
        return [
            message if message.role == "tool" else replace(message, content="")
            for message in self.messages
        ]


class Thinker:
    """Asks the model, runs its tools, and cuts what it says into pieces.

    Args:
        model: The language model.
        tools: What it may call.
        clock: Monotonic seconds.
    """

    def __init__(
        self, model: LanguageModel, tools: list[ToolSpec], clock: Callable[[], float]
    ) -> None:
        self.label = model.label
        self._model = model
        self._tools = tools
        self._clock = clock

    async def pieces(self, history: list[Message], thought: Thought) -> AsyncGenerator[str, None]:
        """Yield the reply to a conversation, piece by piece. Closing it ends the request.

        A request that fails before it said anything is made once more, if the fault may pass.

        Raises:
            ProviderError: If the model fails.
        """
        for _ in range(TOOL_ROUNDS):
            calls: list[ToolCall] = []
            async with aclosing(self._round_with_retry(history, thought, calls)) as pieces:
                async for piece in pieces:
                    if thought.first_piece_s is None:
                        thought.first_piece_s = self._clock()
                    yield piece
            if not calls:
                return
            self._run_tools(calls, thought)
            if thought.hang_up:
                return
        raise ProviderUnavailable(f"{self.label} called tools {TOOL_ROUNDS} times in a row")

    async def _round_with_retry(
        self, history: list[Message], thought: Thought, calls: list[ToolCall]
    ) -> AsyncGenerator[str, None]:
        said = len(thought.text)
        try:
            async with aclosing(self._round(history, thought, calls)) as pieces:
                async for piece in pieces:
                    yield piece
        except ProviderError as error:
            silent = len(thought.text) == said and not calls
            if not (error.retryable and silent) or isinstance(error, _TooSlow):
                raise
        else:
            return
        async with aclosing(self._round(history, thought, calls)) as pieces:
            async for piece in pieces:
                yield piece

    async def _round(
        self, history: list[Message], thought: Thought, calls: list[ToolCall]
    ) -> AsyncGenerator[str, None]:
        """Stream one answer of the model; its tool calls are appended to `calls`."""
        splitter = SentenceSplitter()
        timeout_s = FIRST_TOKEN_TIMEOUT_S
        stream = self._model.reply([*history, *thought.messages], self._tools)
        async with aclosing(stream) as parts:  # type: ignore[type-var]
            while (part := await self._next(parts, timeout_s)) is not None:
                timeout_s = NEXT_TOKEN_TIMEOUT_S
                if isinstance(part, Usage):
                    thought.input_tokens += part.input_tokens
                    thought.output_tokens += part.output_tokens
                    continue
                if thought.first_token_s is None:
                    thought.first_token_s = self._clock()
                if isinstance(part, ToolCall):
                    calls.append(part)
                    continue
                thought.text += part.text
                for piece in splitter.push(part.text):
                    yield piece
        for piece in splitter.flush():
            yield piece

    async def _next(self, parts: AsyncIterator[ReplyPart], timeout_s: float) -> ReplyPart | None:
        try:
            async with asyncio.timeout(timeout_s):
                return await anext(parts, None)
        except TimeoutError:
            raise _TooSlow(f"{self.label} wrote nothing for {timeout_s:g} s") from None

    def _run_tools(self, calls: list[ToolCall], thought: Thought) -> None:
        said = thought.text[thought.told_chars :].strip()
        thought.told_chars = len(thought.text)
        thought.messages.append(Message("assistant", said, tool_calls=tuple(calls)))
        for call in calls:
            result = result_of(call, self._tools)
            thought.hang_up |= wants_to_hang_up(call) and "error" not in result
            thought.tool_calls.append(
                {
                    "id": call.id,
                    "name": call.name,
                    "arguments": call.arguments,
                    "result": result,
                }
            )
            thought.messages.append(Message("tool", result, tool_call_id=call.id))


class _TooSlow(ProviderUnavailable):
    """The caller has waited long enough: a second try would double the silence."""
