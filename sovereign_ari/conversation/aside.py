"""Words that the model finds for an occasion of ours, which no caller's turn asks for."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from sovereign_ari.conversation.thinking import Thinker, Thought
from sovereign_ari.errors import ProviderError
from sovereign_ari.speech.base import Message

LONGEST_CHARS = 300  # one sentence is asked for; what the contract allows a fixed one

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Aside:
    """What the model is asked to say.

    Attributes:
        instruction: For the model alone: it stands in one request, and nowhere else.
        otherwise: What is said when the model fails, or says nothing.
    """

    instruction: str
    otherwise: str


async def words_for(
    aside: Aside, thinker: Thinker, history: list[Message], thought: Thought
) -> AsyncGenerator[str, None]:
    """Yield the words, piece by piece, without tools. Closing it ends the request."""
    messages = [*history, Message("system", aside.instruction)]
    said_chars = 0
    try:
        async with aclosing(thinker.without_tools(messages, thought)) as pieces:
            async for piece in pieces:
                said_chars += len(piece)
                yield piece
                if said_chars >= LONGEST_CHARS:
                    break
    except ProviderError as error:
        log.warning("the model found no words of its own: %s: %s", error.code, error)
    if not said_chars:
        thought.text = aside.otherwise
        yield aside.otherwise
    thought.complete = True
