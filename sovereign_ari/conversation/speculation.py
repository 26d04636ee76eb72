"""Asking the model before the turn is over, and forgetting it when that was wrong.

A speculative request does nothing but collect what the model writes. When the turn ends with the
words that were anticipated, the reply reads that stream, what was written already at once; else
the request is hung up on. Tools are run, sentences spoken and messages kept by whoever reads the
stream, so nothing of it happens before the turn is real, and nothing is left of a wrong one but
its note on the timeline:

    speculation {outcome: used, ahead_ms}
    speculation {outcome: discarded, reason, input_tokens, output_tokens, estimated}

Tokens that the vendor counted of a discarded request are added to those of the next reply. One
that is hung up on is seldom counted: then the note estimates them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing

from sovereign_ari.domain.spoken import same_words
from sovereign_ari.errors import ProviderError
from sovereign_ari.speech.base import (
    CHARS_PER_TOKEN,
    NOTHING_USED,
    LanguageModel,
    Message,
    ReplyPart,
    Token,
    ToolCall,
    ToolSpec,
    Usage,
)

MOST_PARTS = 256
"""Of a reply that nobody reads yet; then the model waits."""


class Speculation:
    """A `LanguageModel` that may be asked ahead of time, once at a time.

    Args:
        model: The language model.
        note: Takes a kind and facts for the timeline. Must not wait.
        clock: Monotonic seconds.
        allowed: Whether to ask ahead at all.

    Attributes:
        group: Owns the requests; to be set before the first.
    """

    def __init__(
        self,
        model: LanguageModel,
        note: Callable[[str, Mapping[str, object]], None],
        clock: Callable[[], float],
        *,
        allowed: bool,
    ) -> None:
        self.group: asyncio.TaskGroup | None = None
        self._model = model
        self._note = note
        self._clock = clock
        self._allowed = allowed
        self._guess: _Guess | None = None
        self._uncounted = NOTHING_USED

    @property
    def label(self) -> str:
        """See `LanguageModel`."""
        return self._model.label

    def begin(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> None:
        """Ask ahead, in place of what was asked ahead before."""
        if not self._allowed:
            return
        self.retract("caller_went_on")
        assert self.group is not None
        guess = _Guess(messages, tools, self._clock())
        guess.task = self.group.create_task(guess.run(self._model), name="speculation")
        self._guess = guess

    def retract(self, reason: str) -> None:
        """Hang up on what was asked ahead, if there is anything."""
        guess, self._guess = self._guess, None
        if guess is None:
            return
        guess.cancel()
        if guess.usage is not None:
            self._uncounted += guess.usage
        cost = guess.usage or guess.estimate
        self._note(
            "speculation",
            {
                "outcome": "discarded",
                "reason": reason,
                "input_tokens": cost.input_tokens,
                "output_tokens": cost.output_tokens,
                "estimated": guess.usage is None,
            },
        )

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        """See `LanguageModel`; goes on with what was asked ahead when it was the same.

        A speculative request that has failed is made again: nobody has waited for it.
        """
        guess = self._guess
        if guess is not None and guess.is_for(messages, tools) and not guess.failed:
            self._guess = None
            ahead_ms = round((self._clock() - guess.begun_s) * 1000)
            self._note("speculation", {"outcome": "used", "ahead_ms": ahead_ms})
            source: AsyncIterator[ReplyPart] = guess.parts()
        else:
            failed = guess is not None and guess.failed
            self.retract("failed" if failed else "other_words")
            source = self._model.reply(messages, tools)
        uncounted, self._uncounted = self._uncounted, NOTHING_USED
        async with aclosing(source) as parts:  # type: ignore[type-var]
            if uncounted != NOTHING_USED:
                yield uncounted
            async for part in parts:
                yield part


class _Guess:
    """One request made ahead.

    Attributes:
        begun_s: When it was made.
        usage: What it cost, as the vendor counts.
        failed: Whether it ended with a fault before anybody read it.
        task: Makes it.
    """

    def __init__(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], begun_s: float
    ) -> None:
        self.begun_s = begun_s
        self.usage: Usage | None = None
        self.failed = False
        self.task: asyncio.Task[None] | None = None
        self._messages = list(messages)
        self._tools = list(tools)
        self._written_chars = 0
        self._parts: asyncio.Queue[ReplyPart | ProviderError | None] = asyncio.Queue(MOST_PARTS)

    @property
    def estimate(self) -> Usage:
        """What it cost, by the length of the texts."""
        asked_chars = sum(len(message.content) for message in self._messages)
        return Usage(asked_chars // CHARS_PER_TOKEN, self._written_chars // CHARS_PER_TOKEN)

    def is_for(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> bool:
        """Whether it asks the same, but for how the caller's last words are written."""
        if len(messages) != len(self._messages) or list(tools) != self._tools:
            return False
        *before, last = messages
        *guessed_before, guessed = self._messages
        same = last.role == guessed.role and same_words(last.content, guessed.content)
        return same and before == guessed_before

    async def run(self, model: LanguageModel) -> None:
        """Collect the reply."""
        end: ProviderError | None = None
        try:
            async with aclosing(model.reply(self._messages, self._tools)) as parts:  # type: ignore[type-var]
                async for part in parts:
                    self._count(part)
                    await self._parts.put(part)
        except ProviderError as error:
            self.failed = True
            end = error
        await self._parts.put(end)

    async def parts(self) -> AsyncIterator[ReplyPart]:
        """Yield the reply from its beginning; closing it ends the request."""
        try:
            while (part := await self._parts.get()) is not None:
                if isinstance(part, ProviderError):
                    raise part
                yield part
        finally:
            self.cancel()

    def cancel(self) -> None:
        """End the request."""
        if self.task is not None:
            self.task.cancel()

    def _count(self, part: ReplyPart) -> None:
        match part:
            case Usage():
                self.usage = part if self.usage is None else self.usage + part
            case Token(text=text):
                self._written_chars += len(text)
            case ToolCall(arguments=arguments):
                self._written_chars += len(arguments)
