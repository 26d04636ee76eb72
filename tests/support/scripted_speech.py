"""Providers and a mouth that follow a script in the loop's time: typed fakes of the protocols."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from sovereign_ari.errors import ProviderError
from sovereign_ari.media.pcm import PCM_8K, AudioFormat
from sovereign_ari.speech.base import (
    LanguageModel,
    Message,
    ReplyPart,
    SpeechStream,
    SpeechToText,
    TextToSpeech,
    Token,
    ToolCall,
    ToolSpec,
    Transcript,
)
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.hedging import Paces
from sovereign_ari.speech.resilience.language_model import ResilientLanguageModel
from sovereign_ari.speech.resilience.notes import Note, ProviderNotes, unnoted
from sovereign_ari.speech.resilience.speech_to_text import ResilientSpeechToText
from sovereign_ari.speech.resilience.text_to_speech import ResilientTextToSpeech

CHARACTER_S = 0.06


class ScriptedStt:
    """Answers each flush with the next line of its script, after `delay_s`."""

    label = "scripted/stt"

    def __init__(self, *lines: str, delay_s: float = 0.05) -> None:
        self.lines = list(lines)
        self.delay_s = delay_s
        self.fault: ProviderError | None = None
        self.deaf = False
        self.open_streams = 0
        self.sent_frames = 0

    def format_for(self, wire: AudioFormat) -> AudioFormat:
        return wire

    @asynccontextmanager
    async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
        if self.fault:
            raise self.fault
        self.open_streams += 1
        try:
            yield _Stream(self)
        finally:
            self.open_streams -= 1


class _Stream:
    def __init__(self, stt: ScriptedStt) -> None:
        self._stt = stt
        self._answers: asyncio.Queue[Transcript | ProviderError] = asyncio.Queue(100)

    async def send(self, audio: bytes) -> None:
        self._stt.sent_frames += 1

    async def flush(self) -> None:
        if self._stt.deaf:
            return
        await asyncio.sleep(self._stt.delay_s)
        text = self._stt.lines.pop(0) if self._stt.lines else ""
        await self._answers.put(Transcript(text, final=True, flushed=True))

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        while True:
            answer = await self._answers.get()
            if isinstance(answer, ProviderError):
                raise answer
            yield answer


class ScriptedLlm:
    """Answers with `respond(messages)`: text streamed word by word, tool calls, or a fault."""

    label = "scripted/llm"

    def __init__(
        self,
        respond: Callable[[Sequence[Message]], str | list[ReplyPart | ProviderError]],
        *,
        first_token_s: float = 0.02,
    ) -> None:
        self._respond = respond
        self._first_token_s = first_token_s
        self.asked: list[list[Message]] = []
        self.open_replies = 0

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        self.asked.append(list(messages))
        self.open_replies += 1
        try:
            await asyncio.sleep(self._first_token_s)
            answer = self._respond(messages)
            if isinstance(answer, str):
                answer = [Token(word + " ") for word in answer.split()]
            for part in answer:
                if isinstance(part, ProviderError):
                    raise part
                yield part
        finally:
            self.open_replies -= 1


def resilient(
    llm: LanguageModel, note: Note = unnoted, paces: Paces | None = None
) -> ResilientLanguageModel:
    """Wrap a model as calls do."""
    return ResilientLanguageModel([Candidate(llm, llm.label)], ProviderNotes(note, "llm"), paces)


def resilient_ears(stt: SpeechToText, note: Note = unnoted) -> ResilientSpeechToText:
    """Wrap a recogniser as calls do."""
    return ResilientSpeechToText([Candidate(stt, stt.label)], ProviderNotes(note, "stt"))


def resilient_voice(tts: TextToSpeech, note: Note = unnoted) -> ResilientTextToSpeech:
    """Wrap a voice as calls do."""
    return ResilientTextToSpeech([Candidate(tts, tts.label)], ProviderNotes(note, "tts"))


class ScriptedTts:
    """Speaks 60 ms of audio per character, all at once after `first_byte_s`."""

    label = "scripted/tts"
    audio = PCM_8K

    def __init__(self, *, first_byte_s: float = 0.03) -> None:
        self.first_byte_s = first_byte_s
        self.said: list[str] = []
        self.fault: ProviderError | None = None
        self.open_requests = 0

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        self.said.append(text)
        self.open_requests += 1
        try:
            await asyncio.sleep(self.first_byte_s)
            if self.fault:
                raise self.fault
            samples = round(len(text) * CHARACTER_S * 8000)
            yield b"\x00\x10\x00\xf0" * (samples // 2)
        finally:
            self.open_requests -= 1


class TimedMouth:
    """Plays what it is given at real time on the loop's clock. A `Mouth`."""

    def __init__(self, wire: AudioFormat) -> None:
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._queued_s = 0.0
        self._sent_s = 0.0
        self._at_s = self._loop.time()
        self._paused = False
        self._first_s: float | None = None
        self._last_s: float | None = None
        self.log: list[tuple[float, str]] = []

    def _advance(self) -> None:
        now_s = self._loop.time()
        if not self._paused and self._queued_s > 0:
            played_s = min(now_s - self._at_s, self._queued_s)
            if self._queued_s - played_s < 1e-6:
                played_s = self._queued_s
            if played_s > 0 and self._first_s is None:
                self._first_s = self._at_s
            self._queued_s -= played_s
            self._sent_s += played_s
            self._last_s = now_s
        self._at_s = now_s

    def _note(self, what: str) -> None:
        self.log.append((round(self._loop.time(), 2), what))

    @property
    def audio(self) -> AudioFormat:
        return self._wire

    def begin(self) -> None:
        self._advance()
        self._queued_s = self._sent_s = 0.0
        self._first_s = self._last_s = None

    def put(self, audio: bytes) -> None:
        self._advance()
        self._queued_s += self._wire.seconds(len(audio))

    def end(self) -> None:
        self._advance()

    def pause(self) -> None:
        self._advance()
        self._paused = True
        self._note("pause")

    def resume(self) -> None:
        self._advance()
        if self._paused:
            self._note("resume")
        self._paused = False

    def cut(self) -> None:
        self._advance()
        self._queued_s = 0.0
        self._paused = False
        self._note("cut")

    def take_sent(self) -> list[bytes | None]:
        return []

    @property
    def sent_bytes(self) -> int:
        self._advance()
        return round(self._sent_s * self._wire.bytes_for(1.0))

    @property
    def queued_s(self) -> float:
        self._advance()
        return self._queued_s

    @property
    def first_sent_s(self) -> float | None:
        self._advance()
        return self._first_s

    @property
    def last_sent_s(self) -> float | None:
        self._advance()
        return self._last_s


def hang_up_call() -> ToolCall:
    """Make the model's call of the tool that ends the conversation."""
    return ToolCall("tool-1", "end_call", "{}")
