"""What somebody hears who is asked to take over a caller, and how his answer is understood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from sovereign_ari.conversation.own_words import own_words
from sovereign_ari.conversation.speakable import speakable
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.consent import consent
from sovereign_ari.errors import ProviderError
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.base import (
    LanguageModel,
    Message,
    ReplyPart,
    SpeechStream,
    SpeechToText,
    Token,
    ToolSpec,
    Transcript,
)

SUMMARISED_WITHIN_S = 5.0
LONGEST_SUMMARY = 600

_SUMMARISE = (
    "A colleague is about to take over this caller. Tell him in one or two short spoken sentences"
    " who calls and what for, in the language of the conversation. Say nothing else."
)


def putting_through(assistant: Assistant) -> str:
    """What a caller hears who talked to the assistant until somebody took his call."""
    return own_words(assistant).putting_through


def briefed(assistant: Assistant, summary: str) -> Assistant:
    """Make the assistant that asks: the same voice, with one thing to say and nothing to do."""
    ours = own_words(assistant)
    return replace(
        assistant,
        first_message=" ".join(filter(None, (ours.handover, summary, ours.handover_question))),
        llm={name: value for name, value in assistant.llm.items() if name != "tools"},
        silence=None,
        silence_timeout_s=None,
        background=None,
        end_call_phrases=(),
    )


async def summarise(model: LanguageModel, history: Sequence[Message]) -> str:
    """Have a model say what a conversation was about; empty when it cannot in time."""
    said = [message for message in history if message.role in ("user", "assistant")]
    told = [replace(message, tool_calls=()) for message in said if message.content.strip()]
    if not told:
        return ""
    text = ""
    try:
        async with asyncio.timeout(SUMMARISED_WITHIN_S):
            stream = model.reply([*told, Message("system", _SUMMARISE)], [])
            async with aclosing(stream) as parts:  # type: ignore[type-var]
                async for part in parts:
                    if isinstance(part, Token) and len(text) < LONGEST_SUMMARY:
                        text += part.text
    except (ProviderError, TimeoutError):
        return ""
    return speakable(text)[:LONGEST_SUMMARY]


class Question:
    """A language model that has one thing to ask, whatever it hears."""

    label = "none/question"

    def __init__(self, assistant: Assistant) -> None:
        self._words = own_words(assistant).handover_question

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        """See `LanguageModel`."""
        yield Token(self._words)


class Answers:
    """A recogniser that looks for an answer in what it passes on.

    The conversation alone would not do: a yes while it speaks is mere assent to it.

    Args:
        recogniser: Understands.
        language: Two letters.
        decided: Told each answer. Must not wait.
    """

    def __init__(
        self, recogniser: SpeechToText, language: str, decided: Callable[[bool], None]
    ) -> None:
        self.label = recogniser.label
        self._recogniser = recogniser
        self._language = language
        self._decided = decided

    def format_for(self, wire: AudioFormat) -> AudioFormat:
        """See `SpeechToText`."""
        return self._recogniser.format_for(wire)

    @asynccontextmanager
    async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
        """See `SpeechToText`."""
        async with self._recogniser.open(audio) as stream:
            yield _Answers(stream, self._look)

    def _look(self, transcript: Transcript) -> None:
        if transcript.final and (answer := consent(transcript.text, self._language)) is not None:
            self._decided(answer)


class _Answers:
    def __init__(self, stream: SpeechStream, look: Callable[[Transcript], None]) -> None:
        self._stream = stream
        self._look = look

    async def send(self, audio: bytes) -> None:
        """See `SpeechStream`."""
        await self._stream.send(audio)

    async def flush(self) -> None:
        """See `SpeechStream`."""
        await self._stream.flush()

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        async for transcript in self._stream:
            self._look(transcript)
            yield transcript
