"""What a dialogue is given, what it tells, and the lines it says on its own account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sovereign_ari.domain.records import EndReason, TurnRecord
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.base import LanguageModel, SpeechToText, TextToSpeech

FAREWELL = "Goodbye."
TIME_IS_UP = "I am sorry, our time is up. Goodbye."
APOLOGY = "I am sorry, something went wrong on our side. Please call again later. Goodbye."


@dataclass(frozen=True, slots=True)
class Providers:
    """Who listens, thinks and speaks in this call.

    Attributes:
        stt: Recogniser.
        llm: Language model.
        tts: Synthesiser.
        apology: `APOLOGY` spoken beforehand, PCM16 in `apology_format`, for when `tts` fails.
    """

    stt: SpeechToText
    llm: LanguageModel
    tts: TextToSpeech
    apology: bytes
    apology_format: AudioFormat


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
class Ending:
    """Why a conversation is over."""

    reason: EndReason
    error: str | None = None
