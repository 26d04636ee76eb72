"""From text to the caller's ear: synthesis, conversion for the wire, and what was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from sovereign_ari.conversation.mouth import Mouth
from sovereign_ari.conversation.speakable import speakable
from sovereign_ari.domain.pronunciation import Pronunciation
from sovereign_ari.errors import ProviderError
from sovereign_ari.media.ledger import Pace, SpokenLedger
from sovereign_ari.media.pcm import FRAME_S, AudioFormat
from sovereign_ari.media.transcode import Converter
from sovereign_ari.speech.base import TextToSpeech

PIECE_S = 0.2
MOST_BREAKS = 7
"""How often voices may break off within one piece of text: twice each, of a primary and three."""

AHEAD_S = 2.0
"""A sentence is not asked for while more than this much of the one before is unheard."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How the voice of one call speaks.

    Attributes:
        pronunciation: What it says instead of what is written.
        pace: How fast, as far as is known.
    """

    pronunciation: Pronunciation = field(default_factory=Pronunciation)
    pace: Pace = field(default_factory=Pace)


class Speech:
    """One reply being spoken.

    Args:
        tts: Who synthesises.
        mouth: Where the audio goes.
        clock: Monotonic seconds.
        manner: How it speaks.

    Attributes:
        first_byte_s: When the synthesiser's first audio came.
        characters: How much text was synthesised.
        failed: Whether the synthesiser is at fault when `say` raises.
    """

    def __init__(
        self,
        tts: TextToSpeech,
        mouth: Mouth,
        clock: Callable[[], float],
        manner: Manner | None = None,
    ) -> None:
        self._tts = tts
        self._mouth = mouth
        self._clock = clock
        manner = manner or Manner()
        self._pronunciation = manner.pronunciation
        self._ledger = SpokenLedger(mouth.audio, manner.pace)
        self.first_byte_s: float | None = None
        self.characters = 0
        self.failed = False
        self._put_bytes = 0
        mouth.begin()

    @property
    def heard(self) -> str:
        """The words that have left the PBX so far."""
        return self._ledger.heard(self._mouth.sent_bytes)

    @property
    def is_over(self) -> bool:
        """Whether everything said so far has left.

        Less than a frame stays until it is known that nothing follows: nobody misses it.
        """
        return self._mouth.queued_s < FRAME_S

    async def say(self, text: str) -> None:
        """Synthesise one piece behind what is queued; returns when its audio is all there.

        When the synthesiser breaks off, it is asked for the words that did not come, from one
        word before the one it broke off in: a word may be heard twice, but none is missing.

        Raises:
            ProviderError: If the synthesiser fails before the first audio, or again and again.
        """
        if not (text := speakable(text)):
            return
        await self._wait_until_queued_below(AHEAD_S)
        swaps = self._pronunciation.swaps(text)
        spoken = self._ledger.begin(text, swaps, self._mouth.sent_bytes)
        try:
            await self._synthesise_to_the_end(spoken)
        except ProviderError:
            self.failed = True
            raise
        finally:
            self._ledger.end()

    async def _synthesise_to_the_end(self, text: str) -> None:
        breaks = 0
        while True:
            put_bytes = self._put_bytes
            self.characters += len(text)
            try:
                await self._synthesise(text)
            except ProviderError:
                breaks += 1
                if self._put_bytes == put_bytes or breaks > MOST_BREAKS:
                    raise
            else:
                return
            text = self._ledger.break_off()

    async def said_within(self, text: str, timeout_s: float) -> bool:
        """Synthesise a last word; False when that fails as well, or takes too long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.say(text)
        except (ProviderError, TimeoutError):
            return False
        return True

    async def _synthesise(self, text: str) -> None:
        converter = Converter(self._tts.audio, self._mouth.audio)
        async with aclosing(self._tts.speak(text)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                if self.first_byte_s is None:
                    self.first_byte_s = self._clock()
                await self._put_fairly(converter, chunk)
        self._put(converter.flush())

    async def _put_fairly(self, converter: Converter, chunk: bytes) -> None:
        """Convert piece by piece, so that a long reply that came at once holds up nobody else."""
        size = self._tts.audio.bytes_for(PIECE_S)
        for at in range(0, len(chunk), size):
            self._put(converter.convert(chunk[at : at + size]))
            await asyncio.sleep(0)

    def play(self, text: str, audio: bytes, source: AudioFormat) -> None:
        """Queue audio that exists already, as the speech of `text`."""
        converter = Converter(source, self._mouth.audio)
        self._ledger.begin(text)
        self._put(converter.convert(audio))
        self._put(converter.flush())
        self._ledger.end()

    async def finish(self) -> None:
        """Wait until the last of it has been sent."""
        self._mouth.end()
        await self._wait_until_queued_below(0.0)

    def cut(self) -> str:
        """Stop at once and return the words that were heard."""
        self._mouth.cut()
        return self.heard

    def _put(self, audio: bytes) -> None:
        if audio:
            self._put_bytes += len(audio)
            self._ledger.extend(audio)
            self._mouth.put(audio)

    async def _wait_until_queued_below(self, seconds: float) -> None:
        # The pacer's thread empties the mouth on its own clock; nothing is there to wait on.
        while (over_s := self._mouth.queued_s - seconds) > 0:  # noqa: ASYNC110
            await asyncio.sleep(max(over_s, FRAME_S / 2))
