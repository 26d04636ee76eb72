"""What somebody hears who is asked to take over a caller, and how his answer is understood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from sovereign_ari.conversation.speakable import speakable
from sovereign_ari.conversation.terms import in_language_of
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
_OPENINGS: Mapping[str, str] = {
    "en": "Hello. I have a caller for you.",
    "nl": "Hallo. Ik heb een beller voor u.",
    "de": "Hallo. Ich habe einen Anrufer für Sie.",
    "fr": "Bonjour. J'ai un appel pour vous.",
    "es": "Hola. Tengo una llamada para usted.",
    "it": "Salve. Ho una chiamata per lei.",
    "pt": "Olá. Tenho uma chamada para si.",
    "pl": "Dzień dobry. Mam rozmowę dla pana lub pani.",
}
_QUESTIONS: Mapping[str, str] = {
    "en": "Press 1 or say yes to take the call. Press 2 or say no to decline.",
    "nl": "Toets 1 of zeg ja om het gesprek aan te nemen. Toets 2 of zeg nee om te weigeren.",
    "de": "Drücken Sie 1 oder sagen Sie ja, um anzunehmen. Drücken Sie 2 oder sagen Sie nein, um"
    " abzulehnen.",
    "fr": "Appuyez sur 1 ou dites oui pour accepter. Appuyez sur 2 ou dites non pour refuser.",
    "es": "Pulse 1 o diga sí para aceptar. Pulse 2 o diga no para rechazar.",
    "it": "Prema 1 o dica sì per accettare. Prema 2 o dica no per rifiutare.",
    "pt": "Prima 1 ou diga sim para aceitar. Prima 2 ou diga não para recusar.",
    "pl": "Naciśnij 1 lub powiedz tak, aby przyjąć. Naciśnij 2 lub powiedz nie, aby odmówić.",
}

_PUTTING_THROUGH: Mapping[str, str] = {
    "en": "I am putting you through now.",
    "nl": "Ik verbind u nu door.",
    "de": "Ich verbinde Sie jetzt.",
    "fr": "Je vous mets en relation.",
    "es": "Le paso ahora.",
    "it": "La metto in comunicazione.",
    "pt": "Vou passar a chamada.",
    "pl": "Już łączę.",
}


def putting_through(assistant: Assistant) -> str:
    """What a caller hears who talked to the assistant until somebody took his call."""
    return in_language_of(assistant, _PUTTING_THROUGH)


def briefed(assistant: Assistant, summary: str) -> Assistant:
    """Make the assistant that asks: the same voice, with one thing to say and nothing to do."""
    opening = in_language_of(assistant, _OPENINGS)
    question = in_language_of(assistant, _QUESTIONS)
    return replace(
        assistant,
        first_message=" ".join(filter(None, (opening, summary, question))),
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
        self._words = in_language_of(assistant, _QUESTIONS)

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
