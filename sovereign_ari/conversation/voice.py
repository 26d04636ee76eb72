"""From text to the caller's ear: synthesis, conversion for the wire, and what was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from sovereign_ari.conversation.mouth import Mouth
from sovereign_ari.errors import ProviderError, ProviderUnavailable
from sovereign_ari.media.pcm import FRAME_S, AudioFormat
from sovereign_ari.media.playout import SpokenLedger
from sovereign_ari.media.transcode import Converter
from sovereign_ari.speech.base import TextToSpeech

FIRST_AUDIO_TIMEOUT_S = 4.0
NEXT_AUDIO_TIMEOUT_S = 4.0
PIECE_S = 0.1
AHEAD_S = 2.0
"""A sentence is not asked for while more than this much of the one before is unheard."""


class Speech:
    """One reply being spoken.

    Args:
        tts: Who synthesises.
        mouth: Where the audio goes.
        clock: Monotonic seconds.

    Attributes:
        first_byte_s: When the synthesiser's first audio came.
        characters: How much text was synthesised.
        failed: Whether the synthesiser is at fault when `say` raises.
    """

    def __init__(self, tts: TextToSpeech, mouth: Mouth, clock: Callable[[], float]) -> None:
        self._tts = tts
        self._mouth = mouth
        self._clock = clock
        self._ledger = SpokenLedger(mouth.audio)
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
        """Whether everything said so far has left."""
        return self._mouth.queued_s <= 0

    async def say(self, text: str) -> None:
        """Synthesise one piece behind what is queued; returns when its audio is all there.

        A request that fails before its first audio is made once more, if the fault may pass.

        Raises:
            ProviderError: If the synthesiser fails, or keeps silent for longer than its deadline.
        """
        await self._wait_until_queued_below(AHEAD_S)
        self.characters += len(text)
        self._ledger.begin(text)
        try:
            await self._synthesise_with_retry(text)
        except ProviderError:
            self.failed = True
            raise
        finally:
            self._ledger.end()

    async def _synthesise_with_retry(self, text: str) -> None:
        put_bytes = self._put_bytes
        try:
            await self._synthesise(text)
        except ProviderError as error:
            if not error.retryable or isinstance(error, _TooSlow) or self._put_bytes > put_bytes:
                raise
            await self._synthesise(text)

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
        timeout_s = FIRST_AUDIO_TIMEOUT_S
        async with aclosing(self._tts.speak(text)) as chunks:  # type: ignore[type-var]
            while True:
                try:
                    async with asyncio.timeout(timeout_s):
                        chunk = await anext(chunks, None)
                except TimeoutError:
                    raise _TooSlow(
                        f"{self._tts.label} sent no audio for {timeout_s:g} s"
                    ) from None
                if chunk is None:
                    break
                if self.first_byte_s is None:
                    self.first_byte_s = self._clock()
                timeout_s = NEXT_AUDIO_TIMEOUT_S
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


class _TooSlow(ProviderUnavailable):
    """The caller has waited long enough: a second try would double the silence."""
