"""Asks language models for whole replies, for chats in text and for the work after calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, cast

from sovereign_ari.domain.agent import Config
from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.speech.base import Message, Token, Usage
from sovereign_ari.speech.registry import ProviderRegistry

WITHIN_S = 30.0
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
        model = self._registry.language_model(llm, keys)
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


def _message(message: Mapping[str, str]) -> Message:
    role = cast('Literal["system", "user", "assistant"]', message["role"])
    return Message(role, message["content"])


def _storable(text: str) -> str:
    """PostgreSQL holds neither NUL characters nor half surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
