"""From the caller's words to the pieces of a reply: model, tools, sentences.

Faults, slowness and fall-backs of models are `speech.resilience`'s. What a model may answer, and
what becomes of it, so that the caller never sits in silence:

    nothing, or nothing speakable   asked once more, without tools; then `no_words` is said
    nothing speakable for long      cut after `pieces.UNSPEAKABLE_S`, and `no_words` is said
    a sentence without an end       its whole words so far are said: of a first piece after
                                    `pieces.FIRST_PIECE_S`, of others after `NEXT_PIECE_S`
    10,000 words                    said until the caller interrupts, and cut behind
                                    `pieces.MOST_CHARS`; never read much further than spoken
    a tool that there is not        the model is told so, and speaks about it
    arguments that do not fit       likewise, with what is wrong
    tools without end               after `TOOL_ROUNDS` asked once more, without tools; then
                                    `no_words` is said, and the call goes on
    a break in the middle           the model has failed once the resilience has
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from sovereign_ari.conversation.own_words import ENGLISH
from sovereign_ari.conversation.pieces import Pieces
from sovereign_ari.conversation.sentences import speakable
from sovereign_ari.conversation.tool_results import GUARD
from sovereign_ari.conversation.tool_runs import ToolRun, ToolRuns
from sovereign_ari.speech.base import (
    NOTHING_USED,
    LanguageModel,
    Message,
    ToolCall,
    ToolSpec,
    Usage,
)

TOOL_ROUNDS = 5
ANSWER_NOW = "Answer the caller now, with what you know; no more tools can be used in this reply."


@dataclass(frozen=True, slots=True)
class ToolRound:
    """What the model said, and the tools it called in one answer."""

    said: str
    runs: Sequence[ToolRun]

    @property
    def messages(self) -> list[Message]:
        """As the model is told of it now."""
        calls = tuple(run.call for run in self.runs)
        return [
            Message("assistant", self.said, tool_calls=calls),
            *(run.message for run in self.runs),
        ]


@dataclass(slots=True)
class Thought:
    """What became of one reply, filled in while it is made.

    Attributes:
        text: Everything that is said: by the model, and for it while tools run.
        rounds: Its tools, with what was said before each.
        complete: Whether the model has come to an end.
        hang_up: Whether the model called `end_call`.
        first_token_s: When its first token or tool call came.
        first_piece_s: When the first speakable piece was complete.
        used: Tokens as counted by the provider; none when it does not count.
        told_chars: How much of `text` stands in `rounds`.
        unspeakable: Whether its latest answer took long and was nothing that could be said.
        filler: What was said while the model was waited for.
        awaited: Whether it was asked, and neither it nor we have said anything since.
    """

    text: str = ""
    rounds: list[ToolRound] = field(default_factory=list)
    complete: bool = False
    hang_up: bool = False
    first_token_s: float | None = None
    first_piece_s: float | None = None
    used: Usage = NOTHING_USED
    told_chars: int = 0
    unspeakable: bool = False
    filler: str = ""
    awaited: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said in this reply, but for a filler."""
        return speakable(self.text) == self.filler

    @property
    def runs(self) -> list[ToolRun]:
        """All tools of this reply."""
        return [run for round_ in self.rounds for run in round_.runs]

    @property
    def is_told(self) -> bool:
        """Whether what was said when the latest tools began is all that the caller need hear."""
        return bool(self.rounds) and all(run.line_suffices for run in self.rounds[-1].runs)

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """`{id, name, arguments, result, failed, duration_ms}` of each tool."""
        return [run.record for run in self.runs]

    @property
    def messages(self) -> list[Message]:
        """Tool calls, what was said before each, and results: for the next round."""
        return [message for round_ in self.rounds for message in round_.messages]

    def for_history(self) -> list[Message]:
        """Tool calls and results without what was said beside them: that is kept as heard."""
        return [
            message if message.role == "tool" else replace(message, content="")
            for message in self.messages
        ]

    def add_line(self, line: str) -> None:
        """Note words of ours that are said in this reply."""
        self.text = f"{self.text.rstrip()} {line} ".lstrip()

    def add_filler(self, line: str) -> None:
        """Note such words while nothing has come of the model, whose own they are not."""
        self.filler = line
        self.add_line(line)
        self.told_chars = len(self.text)
        self.awaited = False


class Thinker:
    """Asks the model, runs its tools, and cuts what it says into pieces.

    Args:
        model: The language model.
        tools: What it may call.
        clock: Monotonic seconds.
        no_words: What to say for a model that says nothing.
    """

    def __init__(
        self,
        model: LanguageModel,
        tools: ToolRuns,
        clock: Callable[[], float],
        no_words: str = ENGLISH.no_words,
    ) -> None:
        self.label = model.label
        self._model = model
        self._tools = tools
        self._clock = clock
        self._no_words = no_words

    async def pieces(self, history: list[Message], thought: Thought) -> AsyncGenerator[str, None]:
        """Yield the reply to a conversation, piece by piece. Closing it ends the request.

        A model that says nothing, or that calls tools in `TOOL_ROUNDS` answers, is asked once more
        without tools; when it says nothing then either, we say that we did not understand.

        Raises:
            ProviderError: If the model fails.
        """
        for _ in range(TOOL_ROUNDS):
            calls: list[ToolCall] = []
            said = False
            async with aclosing(self._answer(history, thought, calls)) as pieces:
                async for piece in pieces:
                    said = True
                    yield piece
            if calls:
                async with aclosing(self._use_tools(calls, thought)) as lines:
                    async for line in lines:
                        yield line
            elif not (said or thought.is_told):
                break
            if not calls or thought.hang_up or _is_final(thought):
                thought.complete = True
                return
        async with aclosing(self._answer_without_tools(history, thought)) as pieces:
            async for piece in pieces:
                yield piece
        thought.complete = True

    def opening(self, history: Sequence[Message]) -> tuple[list[Message], list[ToolSpec]]:
        """What the model is asked first about a conversation."""
        messages = _guarded(history) if self._tools.tell_data else list(history)
        return messages, self._tools.specs

    def without_tools(
        self, messages: list[Message], thought: Thought
    ) -> AsyncGenerator[str, None]:
        """Yield one answer of the model to these messages, which may be nothing.

        Raises:
            ProviderError: If the model fails.
        """
        told = _guarded(messages) if self._tools.tell_data else messages
        return self._round(_Asked(told, [], []), thought)

    async def _answer_without_tools(
        self, history: list[Message], thought: Thought
    ) -> AsyncGenerator[str, None]:
        if not thought.unspeakable:
            said = False
            async with aclosing(self._answer(history, thought, None)) as pieces:
                async for piece in pieces:
                    said = True
                    yield piece
            if said:
                return
        thought.add_line(self._no_words)
        self._note_piece(thought)
        yield self._no_words

    async def _answer(
        self, history: list[Message], thought: Thought, calls: list[ToolCall] | None
    ) -> AsyncGenerator[str, None]:
        """Stream one answer; `calls` takes its tool calls, None offers no tools."""
        messages, specs = self.opening(history)
        messages += thought.messages
        if calls is None:
            messages.append(Message("system", ANSWER_NOW))
            specs = []
        asked = _Asked(messages, specs, [] if calls is None else calls)
        thought.awaited = True
        async with aclosing(self._round(asked, thought)) as pieces:
            async for piece in pieces:
                self._note_piece(thought)
                yield piece
        thought.awaited = False

    def _note_piece(self, thought: Thought) -> None:
        thought.awaited = False
        if thought.first_piece_s is None:
            thought.first_piece_s = self._clock()

    async def _use_tools(
        self, calls: list[ToolCall], thought: Thought
    ) -> AsyncGenerator[str, None]:
        """Run these tools at once, and yield what is to be said meanwhile."""
        said = thought.text[thought.told_chars :].strip()
        runs = self._tools.start(calls)
        lines = list(dict.fromkeys(speakable(run.line) for run in runs if run.line))
        thought.rounds.append(ToolRound(" ".join([said, *lines]).strip(), runs))
        thought.hang_up |= any(run.hangs_up for run in runs)
        for line in filter(None, lines):
            thought.add_line(line)
        thought.told_chars = len(thought.text)
        for line in filter(None, lines):
            self._note_piece(thought)
            yield line
        for run in runs:
            await run.done.wait()
        thought.told_chars = len(thought.text)  # fillers are no words of the model

    async def _round(self, asked: _Asked, thought: Thought) -> AsyncGenerator[str, None]:
        """Stream one answer of the model."""
        pieces = Pieces(self._clock)
        stream = self._model.reply(asked.messages, asked.specs)
        async with aclosing(stream) as parts:  # type: ignore[type-var]
            async for part in parts:
                if isinstance(part, Usage):
                    thought.used += part
                    continue
                if thought.first_token_s is None:
                    thought.first_token_s = self._clock()
                if isinstance(part, ToolCall):
                    asked.calls.append(part)
                    continue
                thought.text += part.text
                for piece in pieces.of(part.text):
                    yield piece
                if pieces.enough:
                    break
        thought.unspeakable = pieces.unspeakable
        for piece in pieces.rest():
            yield piece


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request to the model; its tool calls are appended to `calls`."""

    messages: list[Message]
    specs: list[ToolSpec]
    calls: list[ToolCall]


def _guarded(history: Sequence[Message]) -> list[Message]:
    """Tell what results of tools are, in the system message where the model has one."""
    systems = 0
    while systems < len(history) and history[systems].role == "system":
        systems += 1
    if not systems:
        return [Message("system", GUARD), *history]
    last = history[systems - 1]
    told = replace(last, content=f"{last.content}\n\n{GUARD}")
    return [*history[: systems - 1], told, *history[systems:]]


def _is_final(thought: Thought) -> bool:
    """Whether nothing is to be said after the tools of the latest round."""
    return any(run.answer is not None and run.answer.final for run in thought.rounds[-1].runs)
