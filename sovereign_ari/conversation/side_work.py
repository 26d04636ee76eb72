"""Counts what models do for a call beside its conversation, e.g. brief somebody else.

It goes on the timeline, from where the counting of the call takes it as it takes its turns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing

from sovereign_ari.conversation.terms import Providers
from sovereign_ari.domain.records import TurnRecord
from sovereign_ari.domain.usage import SIDE_WORK
from sovereign_ari.speech.base import (
    NOTHING_USED,
    LanguageModel,
    Message,
    ReplyPart,
    ToolSpec,
    Usage,
)


class CountedModel:
    """A language model that adds up what it is used for.

    Args:
        model: Thinks.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.used = NOTHING_USED

    @property
    def label(self) -> str:
        """See `LanguageModel`."""
        return self._model.label

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        """See `LanguageModel`."""
        stream = self._model.reply(messages, tools)
        async with aclosing(stream) as parts:  # type: ignore[type-var]
            async for part in parts:
                if isinstance(part, Usage):
                    self.used += part
                yield part


class SideWork:
    """What one piece of work took.

    Args:
        purpose: For the timeline.
        providers: Who worked.
    """

    def __init__(self, purpose: str, providers: Providers) -> None:
        self.model = CountedModel(providers.llm)
        self._purpose = purpose
        self._providers = providers
        self._spoken: dict[int, float] = {}

    def turn(self, turn: TurnRecord) -> None:
        """Take a turn of a conversation that was held for it; again when it changes."""
        self._spoken[turn.number] = turn.usage.get("tts_characters", 0)

    def told(
        self, note: Callable[[str, Mapping[str, object]], None], listened_s: float = 0.0
    ) -> None:
        """Put it on the timeline, with the seconds that somebody was listened to."""
        usage = {
            "llm_input_tokens": self.model.used.input_tokens,
            "llm_output_tokens": self.model.used.output_tokens,
            "tts_characters": sum(self._spoken.values()),
            "stt_seconds": round(listened_s, 3),
        }
        at_work = self._providers
        models = {"stt": at_work.stt.label, "llm": at_work.llm.label, "tts": at_work.tts.label}
        if took := {name: amount for name, amount in usage.items() if amount > 0}:
            used = {name.partition("_")[0] for name in took}
            who = {kind: label for kind, label in models.items() if kind in used}
            note(SIDE_WORK, {"for": self._purpose, "models": who, "usage": took})
