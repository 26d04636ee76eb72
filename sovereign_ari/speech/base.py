"""What a conversation asks of a speech or language provider.

The provider owns its connection and its wire format; `resilience` owns deadlines, retries and
fall-backs, written once around these protocols. The conversation owns turn-taking and
cancellation: leaving an `async with` block or closing an iterator - normally, by
error or by barge-in - must end the remote work at once.

Every failure is a `ProviderError`, raised on entering, from `send`, or from the iterator.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from sovereign_ari.media.pcm import AudioFormat


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words recognised of the caller's speech since the last final one.

    Attributes:
        text: The words; empty when nothing was understood.
        final: False while a later `Transcript` may still replace this one.
        flushed: True on the one final transcript that answers a `flush`, so that a listener
            knows that nothing said before the flush is still to come.
        heard_s: Up to where in the stream's audio the words of this final transcript and of all
            before it reach, for vendors that say so. It tells what need not be said again.
        ends_turn: True when the provider itself holds that the caller has finished, as far as it
            can tell. More words may follow all the same.
    """

    text: str
    final: bool
    flushed: bool = False
    heard_s: float | None = field(default=None, compare=False)
    ends_turn: bool = False


class SpeechStream(Protocol):
    """One open recognition. Safe for one sender and one reader at a time."""

    async def send(self, audio: bytes) -> None:
        """Hand over audio in the format of `open`. Waits when the provider is behind."""

    async def flush(self) -> None:
        """Say that the caller paused: recognise what was said so far, now.

        Each flush is answered by exactly one `Transcript(final=True, flushed=True)`, in order,
        with empty text when there was nothing to recognise.
        """

    def __aiter__(self) -> AsyncIterator[Transcript]:
        """Iterate over transcripts until the stream is closed."""


class SpeechToText(Protocol):
    """A recogniser that serves many calls at once.

    Attributes:
        label: `provider/model`, for records and metrics.
    """

    @property
    def label(self) -> str:
        """`provider/model`, for records and metrics."""

    def format_for(self, wire: AudioFormat) -> AudioFormat:
        """Choose what to send for a call whose RTP carries `wire`; equal to it if possible."""

    def open(self, audio: AudioFormat) -> AbstractAsyncContextManager[SpeechStream]:
        """Start one recognition of audio in the given format.

        Raises:
            ProviderError: On entering, when the provider refuses or cannot be reached.
        """


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a tool run. `arguments` is the JSON text it wrote, unchecked."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the conversation as a model sees it.

    Attributes:
        role: Who speaks; `tool` carries a tool's result.
        content: The words.
        tool_calls: On an `assistant` message, what it called.
        tool_call_id: On a `tool` message, which call it answers.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool offered to the model; `parameters` is a JSON Schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the reply's text, as it came."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What the reply cost, sent once at its end by providers that count.

    Attributes:
        input_tokens: Of what was asked.
        output_tokens: Of what was answered.
        estimated: How many of them nobody has counted: those of requests beside it, which were
            given up before their vendor said anything.
    """

    input_tokens: int
    output_tokens: int
    estimated: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.estimated + other.estimated,
        )


NOTHING_USED = Usage(0, 0)
CHARS_PER_TOKEN = 4
"""Of most models and languages, about: for estimates."""

ReplyPart: TypeAlias = Token | ToolCall | Usage


class LanguageModel(Protocol):
    """A model that serves many calls at once."""

    @property
    def label(self) -> str:
        """`provider/model`, for records and metrics."""

    def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        """Stream one reply. An async generator: closing it ends the remote request.

        A `ToolCall` is yielded once, when it is complete.

        Raises:
            ProviderError: While iterating.
        """


class TextToSpeech(Protocol):
    """A synthesiser that serves many calls at once."""

    @property
    def label(self) -> str:
        """`provider/model`, for records and metrics."""

    @property
    def audio(self) -> AudioFormat:
        """Format of what `speak` yields: PCM16 at the voice's own rate."""

    def speak(self, text: str) -> AsyncIterator[bytes]:
        """Stream the audio of one sentence. An async generator; closing it ends the request.

        Chunks are whole samples, of any length.

        Raises:
            ProviderError: While iterating.
        """
