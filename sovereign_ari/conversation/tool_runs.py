"""The tools of one conversation at work. They outlive the reply that called them.

A caller who interrupts cuts the reply, not the tool: what it does, it does once, and its result
takes its place in the history when it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sovereign_ari.conversation.tool_results import (
    CALL_ENDED,
    LONGEST_ARGUMENTS_CHARS,
    STILL_RUNNING,
    fenced,
    in_words,
    sendable_arguments,
    sendable_name,
)
from sovereign_ari.conversation.tools import (
    END_CALL,
    Patience,
    Prepared,
    ToolAnswer,
    ToolBox,
    failure,
    hanging_up,
    may_hang_up,
    unknown,
)
from sovereign_ari.speech.base import Message, ToolCall, ToolSpec

MOST_AT_ONCE = 25


class ToolRun:
    """One call of a tool.

    Attributes:
        call: As it stands in the history: every vendor takes it back.
        line: What to say while it runs.
        line_suffices: Whether that is all that the caller need hear of it.
        answer: What became of it, None while it runs.
        hangs_up: Whether the conversation ends with it.
        may_fill: Whether fillers may be spoken while it runs.
        taken_over: Whether a later call waits for the same result.
    """

    def __init__(self, written: ToolCall, line: str | None = None) -> None:
        self.call = replace(
            written,
            name=sendable_name(written.name),
            arguments=sendable_arguments(written.arguments),
        )
        self.line = line
        self.answer: ToolAnswer | None = None
        self.hangs_up = False
        self.line_suffices = False
        self.may_fill = True
        self.taken_over = False
        self.done = asyncio.Event()
        self._content = STILL_RUNNING
        self._record: dict[str, Any] = {
            "id": written.id,
            "name": written.name[:64],
            "arguments": written.arguments[:LONGEST_ARGUMENTS_CHARS],
            "result": None,
        }

    @property
    def message(self) -> Message:
        """What the model is told of it now."""
        return Message("tool", self._content, tool_call_id=self.call.id)

    @property
    def record(self) -> dict[str, Any]:
        """`{id, name, arguments, result, failed, duration_ms}` for the timeline."""
        return dict(self._record)

    def finish(self, answer: ToolAnswer, duration_s: float) -> None:
        """Take its result. The first one stands."""
        if self.answer is not None:
            return
        self.answer = answer
        text, whole_chars = in_words(answer)
        self._content = fenced(text, whole_chars)
        self._record |= {
            "result": text,
            "failed": answer.failed,
            "duration_ms": round(duration_s * 1000),
        }
        if whole_chars > len(text):
            self._record["result_chars"] = whole_chars
        self.done.set()


class ToolRuns:
    """Starts tools and waits for them.

    Args:
        stored: The assistant's tools as stored.
        box: Those that are run elsewhere.
        clock: Monotonic seconds.
        on_done: Told of each tool that ran, at its end.

    Attributes:
        group: Owns the work; set before the first start.
    """

    def __init__(
        self,
        stored: Sequence[Mapping[str, Any]],
        box: ToolBox,
        clock: Callable[[], float],
        on_done: Callable[[ToolRun], None],
    ) -> None:
        self.group: asyncio.TaskGroup | None = None
        self._built_in = [END_CALL] if may_hang_up(stored) else []
        self._box = box
        self._clock = clock
        self._on_done = on_done
        self._ids: set[str] = set()
        self._running: dict[ToolRun, asyncio.Task[None]] = {}

    @property
    def specs(self) -> list[ToolSpec]:
        """What the model is offered."""
        return [*self._built_in, *self._box.specs]

    @property
    def tell_data(self) -> bool:
        """Whether results come from elsewhere, so that the model must be told what they are."""
        return bool(self._box.specs)

    @property
    def patience(self) -> Patience:
        """How long tools may run in silence."""
        return self._box.patience

    @property
    def running(self) -> bool:
        """Whether any tool runs, whoever waits for it."""
        return bool(self._running)

    @property
    def need_filler(self) -> bool:
        """Whether one runs that must not make silence."""
        return any(run.may_fill for run in self._running)

    def start(self, calls: Sequence[ToolCall]) -> list[ToolRun]:
        """Begin all of these at once; those beyond `MOST_AT_ONCE` are refused.

        A call that an earlier reply made already, and that still runs, is not made twice.
        """
        earlier = list(self._running)
        return [
            self._start(call, earlier)
            if number < MOST_AT_ONCE
            else _refused(
                call, failure(f"not done: at most {MOST_AT_ONCE} calls can be made at once")
            )
            for number, call in enumerate(map(self._named, calls))
        ]

    def close(self) -> None:
        """Give up what runs: the conversation is over."""
        for task in self._running.values():
            task.cancel()

    def _start(self, written: ToolCall, earlier: Sequence[ToolRun]) -> ToolRun:
        prepared = self._prepare(written)
        if isinstance(prepared, ToolAnswer):
            return _refused(written, prepared)
        run = ToolRun(written, prepared.line)
        run.hangs_up, run.may_fill = prepared.hangs_up, prepared.may_fill
        run.line_suffices = prepared.line_suffices
        work = prepared.run
        for other in earlier:
            if (other.call.name, other.call.arguments) == (run.call.name, run.call.arguments):
                run.line, work = None, _result_of(other)
                other.taken_over = True
        assert self.group is not None
        self._running[run] = self.group.create_task(self._work(run, work), name="tool")
        return run

    def _prepare(self, call: ToolCall) -> Prepared | ToolAnswer:
        if call.name == END_CALL.name and self._built_in:
            return hanging_up()
        if call.name not in {spec.name for spec in self._box.specs}:
            return unknown(call)
        return self._box.prepare(call)

    async def _work(self, run: ToolRun, work: Callable[[], Awaitable[ToolAnswer]]) -> None:
        begun_s = self._clock()
        answer = ToolAnswer(CALL_ENDED, failed=True)
        try:
            answer = await work()
        finally:
            del self._running[run]
            run.finish(answer, self._clock() - begun_s)
        self._on_done(run)

    def _named(self, call: ToolCall) -> ToolCall:
        """The call with an id that no other has; models and servers give the same one twice."""
        number, chosen = 2, call.id[:64] or "call"
        while chosen in self._ids:
            chosen, number = f"{call.id[:56] or 'call'}-{number}", number + 1
        self._ids.add(chosen)
        return replace(call, id=chosen)


def _refused(written: ToolCall, answer: ToolAnswer) -> ToolRun:
    run = ToolRun(written)
    run.finish(answer, 0.0)
    return run


def _result_of(other: ToolRun) -> Callable[[], Awaitable[ToolAnswer]]:
    """Wait for a call that runs already: the same work is not done twice."""

    async def wait() -> ToolAnswer:
        await other.done.wait()
        assert other.answer is not None
        return other.answer

    return wait
