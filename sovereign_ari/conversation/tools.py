"""What a model may have done in a conversation, as the conversation sees it: no requests here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sovereign_ari.speech.base import ToolCall, ToolSpec

END_CALL = ToolSpec(
    name="end_call",
    description="Hang up. Use it when the caller has said goodbye or wants to end the call.",
    parameters={"type": "object", "properties": {}},
)

_END_CALL_TYPES = ("end_call", "endCall")


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What became of a call of a tool.

    Attributes:
        value: For the model: anything that JSON can say.
        failed: Whether it is an error.
        final: Whether nothing is to be said after it, for the caller is on the way elsewhere.
    """

    value: Any
    failed: bool = False
    final: bool = False


def failure(sentence: str) -> ToolAnswer:
    """An error that the model can repair, or speak about."""
    return ToolAnswer({"error": sentence}, failed=True)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call of a tool, checked and not begun.

    Attributes:
        run: Does it. Raises nothing; may be cancelled when the conversation ends.
        line: What to say meanwhile.
        line_suffices: Whether the line is all that the caller need hear of it.
        may_fill: Whether fillers may be spoken while it runs.
        hangs_up: Whether the conversation ends with it.
    """

    run: Callable[[], Awaitable[ToolAnswer]]
    line: str | None = None
    line_suffices: bool = False
    may_fill: bool = True
    hangs_up: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a tool may run in silence.

    Attributes:
        after_s: Silence after which the first filler is spoken.
        every_s: Silence after each filler until the next.
    """

    after_s: float = 2.5
    every_s: float = 6.0


class ToolBox(Protocol):
    """The tools of one call."""

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """What the model is offered now; every name is another one."""

    @property
    def patience(self) -> Patience:
        """How long they may run in silence."""

    def prepare(self, call: ToolCall) -> Prepared | ToolAnswer:
        """Check a call of one of `specs`; an answer at once refuses it, and nothing was done."""


class NoTools:
    """The tools of a call that has none."""

    specs: Sequence[ToolSpec] = ()
    patience = Patience()

    def prepare(self, call: ToolCall) -> Prepared | ToolAnswer:
        """Refuse."""
        return unknown(call)


def unknown(call: ToolCall) -> ToolAnswer:
    """The answer to a call of a tool that nobody offered."""
    return failure(f"there is no tool named {call.name[:64]}")


def may_hang_up(stored: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an assistant's stored tools let it hang up."""
    return any(tool.get("type") in _END_CALL_TYPES for tool in stored)


def hanging_up() -> Prepared:
    """Prepare the tool that ends the conversation, which the dialogue does itself."""

    async def run() -> ToolAnswer:
        return ToolAnswer({"success": True})

    return Prepared(run, hangs_up=True)
