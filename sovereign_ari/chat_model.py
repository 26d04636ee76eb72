"""Asks language models for whole replies, for chats in text and for the work after calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, cast

from sovereign_ari.domain.agent import Config
from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.speech.base import LanguageModel, Message, Token, Usage
from sovereign_ari.speech.registry import ProviderRegistry, load_catalogue
from sovereign_ari.speech.resilience.breaker import Breakers
from sovereign_ari.speech.resilience.language_model import ResilientLanguageModel
from sovereign_ari.speech.resilience.lineup import Lineups
from sovereign_ari.speech.resilience.notes import ProviderNotes, unnoted
from sovereign_ari.speech.resilience.search import Deadlines

WITHIN_S = 30.0
UNHURRIED = Deadlines(first_s=20.0, replaced_s=8.0, next_s=10.0, give_up_s=20.0, all_s=WITHIN_S)
"""Nobody holds a telephone to an ear."""

LONGEST_REPLY = 20_000


@dataclass(frozen=True, slots=True)
class WholeReply:
    """What a model said, and what that took. `model` is `provider/model`."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int


class RegistryChatModel:
    """The models of a registry.

    Args:
        registry: Makes them; whoever made it closes it.
        within_s: Longest wait for the whole reply.
    """

    def __init__(self, registry: ProviderRegistry, within_s: float = WITHIN_S) -> None:
        self._registry = registry
        self._lineups = Lineups(load_catalogue(), Breakers())
        self._within_s = within_s

    async def reply(
        self, llm: Config, messages: Sequence[Mapping[str, str]], keys: Mapping[str, str | None]
    ) -> str:
        """See `api.parts.ChatModel`. A reply that never ends is cut."""
        return (await self.answer(llm, messages, keys)).text

    async def answer(
        self,
        llm: Config,
        messages: Sequence[Mapping[str, str]],
        keys: Mapping[str, str | None],
    ) -> WholeReply:
        """See `work.reports.Thinks`. A reply that never ends is cut."""
        model = self._model(llm, keys)
        text, usage = "", Usage(0, 0)
        try:
            async with (
                asyncio.timeout(self._within_s),
                aclosing(cast("Any", model.reply([_message(m) for m in messages], ()))) as parts,
            ):
                async for part in parts:
                    if isinstance(part, Token):
                        text += part.text
                    elif isinstance(part, Usage):
                        usage = part
                    if len(text) > LONGEST_REPLY:
                        break
        except TimeoutError as error:
            raise ProviderUnavailable(
                f"{model.label} did not finish its reply within {self._within_s:g} s"
            ) from error
        text = _storable(text[:LONGEST_REPLY]).strip()
        if not text:
            raise ProviderUnavailable(f"{model.label} said nothing")
        return WholeReply(text, model.label, usage.input_tokens, usage.output_tokens)

    def _model(self, llm: Config, keys: Mapping[str, str | None]) -> LanguageModel:
        """The model, or it and its fall-backs; whoever asks alone decides when to ask again."""
        notes = ProviderNotes(unnoted, "llm")
        lineup = self._lineups.of(self._registry.language_model, llm, keys, notes)
        if len(lineup) == 1:
            return lineup[0].provider
        return ResilientLanguageModel(lineup, notes, deadlines=UNHURRIED)


def _message(message: Mapping[str, str]) -> Message:
    role = cast('Literal["system", "user", "assistant"]', message["role"])
    return Message(role, message["content"])


def _storable(text: str) -> str:
    """PostgreSQL holds neither NUL characters nor half surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
