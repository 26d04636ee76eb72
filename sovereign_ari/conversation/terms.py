"""What a dialogue is given, what it tells, and in which language it talks of its own accord."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from sovereign_ari.conversation.tools import NoTools, ToolBox
from sovereign_ari.domain.agent import Assistant, Config
from sovereign_ari.domain.records import EndReason, TurnRecord
from sovereign_ari.domain.spoken import language_of
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.base import LanguageModel, SpeechToText, TextToSpeech

_LOCALE = re.compile(r"[a-z]{2}-[A-Z]{2}(?=-)")
"""At the beginning of the names of some vendors' voices."""

_Lines = TypeVar("_Lines")


def in_language_of(assistant: Assistant, lines: Mapping[str, _Lines]) -> _Lines:
    """Choose lines of ours in the language that its voice or else its recogniser names.

    Args:
        assistant: Who will say them.
        lines: By language code of two letters; English stands in for those that are missing.
    """
    tags = (
        assistant.tts.get("language"),
        _tag_of_voice(assistant.tts),
        assistant.stt.get("language"),
    )
    named = (language_of(tag) or "" for tag in tags)
    return next((lines[language] for language in named if language in lines), lines["en"])


def _tag_of_voice(tts: Config) -> str | None:
    """The language that the name of a voice begins with, for vendors that name them so."""
    voice = str(tts.get("voice_id") or "")
    if tts.get("provider") == "espeak":
        return voice
    named = _LOCALE.match(voice)
    return named[0] if named else None


@dataclass(frozen=True, slots=True)
class Providers:
    """Who listens, thinks, speaks and acts in this call.

    Attributes:
        stt: Recogniser.
        llm: Language model.
        tts: Synthesiser.
        apology: Ours, spoken beforehand, PCM16 in `apology_format`, for when `tts` fails.
        tools: What the model may have done, besides hanging up.
        speculate: Whether the model may be asked before the caller's turn is over.
    """

    stt: SpeechToText
    llm: LanguageModel
    tts: TextToSpeech
    apology: bytes
    apology_format: AudioFormat
    tools: ToolBox = field(default_factory=NoTools)
    speculate: bool = True


@dataclass(frozen=True, slots=True)
class Reporting:
    """What the dialogue tells, and the clocks it tells it by.

    Attributes:
        turn: Takes the record of a turn, again each time it changes. Must not wait.
        note: Takes a kind and facts for the timeline. Must not wait.
        clock: Monotonic seconds.
        wall_clock: Aware UTC.
    """

    turn: Callable[[TurnRecord], None]
    note: Callable[[str, Mapping[str, object]], None]
    clock: Callable[[], float]
    wall_clock: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a call may be transferred.

    Attributes:
        kind: Whether `number` is a telephone number in E.164 or a SIP URI.
        number: It.
        mode: How: `blind`, `refer` or `warm`.
        timeout_s: How long to let it ring.
        caller_id: The number to show there, None for the usual one.
        hold: What the caller has until somebody takes the call: music, or a ringing tone, or the
            assistant.
    """

    kind: Literal["number", "sip"]
    number: str
    mode: Literal["blind", "refer", "warm"]
    timeout_s: float
    caller_id: str | None
    hold: Literal["music", "assistant"] = "music"

    @property
    def is_background(self) -> bool:
        """Whether the conversation goes on while somebody is called."""
        return self.hold == "assistant" and self.mode != "refer"


@dataclass(frozen=True, slots=True)
class TransferOutcome:
    """What became of a transfer.

    Attributes:
        transferred: Whether the caller talks to somebody else now, or will without us.
        reason: Why not: a sentence for the model.
        pending: Whether it goes on while the conversation does, which hears how it ended.
    """

    transferred: bool
    reason: str = ""
    pending: bool = False


class Transfers(Protocol):
    """Puts the caller of one call through to somebody else."""

    async def transfer(self, destination: Destination) -> TransferOutcome:
        """Try it, to its end unless the conversation is to go on meanwhile.

        Raises nothing; when it fails the caller is back with us.
        """


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a conversation is over."""

    reason: EndReason
    error: str | None = None
