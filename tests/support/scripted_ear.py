"""A recogniser that lives and dies by a script, and what is said to it: bytes that spell words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sovereign_ari.errors import ProviderError, ProviderUnavailable
from sovereign_ari.media.g711 import pcm_to_ulaw
from sovereign_ari.media.pcm import ULAW_8K, AudioFormat
from sovereign_ari.speech.base import SpeechStream, Transcript

WORD_BYTES = 800  # 100 ms
_QUIET = b"\xff"
BROKE_OFF = ProviderUnavailable("broke off")


def sound_of(word: str) -> bytes:
    """Spell a word of small letters in 100 ms of u-law."""
    return word.encode().ljust(WORD_BYTES, _QUIET)


def words_in(ulaw: bytes) -> list[str]:
    """Read what was spelled."""
    return [word.decode() for word in ulaw.split(_QUIET) if word]


@dataclass(frozen=True)
class Life:
    """One connection.

    Attributes:
        refuses: Raised on opening.
        opens_in_s: Delay of opening.
        dies_after: How many chunks and flushes it takes before it breaks off.
        error: How it breaks off.
        says_so: Whether `send` raises as well, or only the iterator.
        deaf_after: How many flushes it answers; None answers all.
        full_after: How many chunks it takes before it stops reading.
        finals: Makes every word final at once, without a flush.
        tells_where: Says with these up to where it has heard.
        partials: Shows words before they are final.
    """

    refuses: ProviderError | None = None
    opens_in_s: float = 0.01
    dies_after: int | None = None
    error: ProviderError = BROKE_OFF
    says_so: bool = False
    deaf_after: int | None = None
    full_after: int | None = None
    finals: bool = False
    tells_where: bool = True
    partials: bool = False


class ScriptedEar:
    """A `SpeechToText`; each opening is the next life, and the last one repeats."""

    def __init__(
        self, *lives: Life, label: str = "ear/a", audio: AudioFormat | None = None
    ) -> None:
        self.label = label
        self.lives = list(lives) or [Life()]
        self.streams: list[ScriptedHearing] = []
        self.asked = 0
        self.open_streams = 0
        self._audio = audio

    def format_for(self, wire: AudioFormat) -> AudioFormat:
        return self._audio or wire

    @asynccontextmanager
    async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
        life = self.lives[min(self.asked, len(self.lives) - 1)]
        self.asked += 1
        self.open_streams += 1
        try:
            await asyncio.sleep(life.opens_in_s)
            if life.refuses is not None:
                raise life.refuses
            self.streams.append(ScriptedHearing(life, audio))
            yield self.streams[-1]
        finally:
            self.open_streams -= 1


class ScriptedHearing:
    """One connection."""

    def __init__(self, life: Life, audio: AudioFormat) -> None:
        self.heard = bytearray()
        self._life = life
        self._audio = audio
        self._taken = 0
        self._flushes = 0
        self._final_bytes = 0
        self._dead = False
        self._out: asyncio.Queue[Transcript | ProviderError | None] = asyncio.Queue(1000)

    def say(self, news: Transcript | ProviderError | None) -> None:
        """Let the listener hear of something; None ends the iteration."""
        self._out.put_nowait(news)

    async def send(self, audio: bytes) -> None:
        await self._take()
        self.heard += audio if self._audio == ULAW_8K else pcm_to_ulaw(audio)
        if self._dead:
            return
        if self._life.finals and self._words():
            heard_s = len(self.heard) / 8000 if self._life.tells_where else None
            text = " ".join(self._words())
            self._final_bytes = len(self.heard)
            self.say(Transcript(text, final=True, heard_s=heard_s))
        elif self._life.partials:
            self.say(Transcript(" ".join(self._words()), final=False))

    async def flush(self) -> None:
        await self._take()
        if self._dead:
            return
        self._flushes += 1
        if self._life.deaf_after is not None and self._flushes > self._life.deaf_after:
            return
        text = " ".join(self._words())
        self._final_bytes = len(self.heard)
        self.say(Transcript(text, final=True, flushed=True))

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        while (news := await self._out.get()) is not None:
            if isinstance(news, ProviderError):
                raise news
            yield news

    def _words(self) -> list[str]:
        return words_in(bytes(self.heard[self._final_bytes :]))

    async def _take(self) -> None:
        life = self._life
        if life.full_after is not None and self._taken >= life.full_after:
            await asyncio.Event().wait()
        if life.dies_after is not None and self._taken >= life.dies_after:
            if not self._dead:
                self._dead = True
                self.say(life.error)
            if life.says_so:
                raise life.error
        self._taken += 1
