"""A synthesiser that lives and dies by a script: as many loud samples as its text has letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sovereign_ari.errors import ProviderError, ProviderUnavailable
from sovereign_ari.media.pcm import PCM_8K, AudioFormat

LETTER_S = 0.06
CHUNK_S = 0.1
BROKE_OFF = ProviderUnavailable("broke off")


@dataclass(frozen=True)
class Voicing:
    """One request.

    Attributes:
        fault: Raised before the first audio.
        first_s: Delay of the first audio.
        pause_s: Delay of each further 100 ms of audio.
        breaks_s: How much audio comes before it breaks off; None for all.
        stalls_s: How much comes before it says nothing more, for ever.
    """

    fault: ProviderError | None = None
    first_s: float = 0.05
    pause_s: float = 0.0
    breaks_s: float | None = None
    stalls_s: float | None = None


class ScriptedVoice:
    """A `TextToSpeech`; each request is the next voicing, and the last one repeats.

    Args:
        voicings: What becomes of the requests.
        audio: Format of the voice.
        level: Of its samples, so that voices can be told apart.
    """

    def __init__(self, *voicings: Voicing, audio: AudioFormat = PCM_8K, level: int = 4000) -> None:
        self.label = "voice"
        self.audio = audio
        self.voicings = list(voicings) or [Voicing()]
        self.asked: list[str] = []
        self.open_requests = 0
        self._level = level

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        voicing = self.voicings[min(len(self.asked), len(self.voicings) - 1)]
        self.asked.append(text)
        self.open_requests += 1
        try:
            await asyncio.sleep(voicing.first_s)
            if voicing.fault is not None:
                raise voicing.fault
            size = self.audio.bytes_for(CHUNK_S)
            sound = self.sound_of(text)
            for at in range(0, len(sound), size):
                came_s = self.audio.seconds(at)
                if voicing.breaks_s is not None and came_s >= voicing.breaks_s - 1e-9:
                    raise BROKE_OFF
                if voicing.stalls_s is not None and came_s >= voicing.stalls_s - 1e-9:
                    await asyncio.Event().wait()
                if at:
                    await asyncio.sleep(voicing.pause_s)
                yield sound[at : at + size]
        finally:
            self.open_requests -= 1

    def sound_of(self, text: str) -> bytes:
        """What it makes of a text."""
        samples = self.audio.bytes_for(len(text) * LETTER_S) // 2
        wave = self._level.to_bytes(2, "little", signed=True)
        wave += (-self._level).to_bytes(2, "little", signed=True)
        return (wave * samples)[: samples * 2]
