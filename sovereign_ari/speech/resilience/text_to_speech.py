"""A voice that goes on when a vendor does not.

Before the first audio of a text a passing fault is tried again once, and then the next voice is
asked; a refusal, and a silence that was too long, go to the next voice at once. After the first
audio nothing can be taken back, so the fault is raised: whoever speaks knows which words came, and
asks for the rest. Each voice may break off twice before a text is spoken to its end; when all have
done so, they are given up.

The voice that took over stays for the rest of the call: a caller hears one change, not many.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from sovereign_ari.errors import ProviderError, ProviderUnavailable
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.media.transcode import Converter
from sovereign_ari.speech.base import TextToSpeech
from sovereign_ari.speech.checked_voice import checked_audio
from sovereign_ari.speech.patience import Patience
from sovereign_ari.speech.resilience.candidate import Candidate, worth_another_try
from sovereign_ari.speech.resilience.notes import ProviderNotes
from sovereign_ari.speech.resilience.succession import Succession, TooSlow, now_s

_PIECE_S = 0.1


@dataclass(frozen=True, slots=True)
class VoiceLimits:
    """Deadlines, in seconds.

    Attributes:
        first_s: From a text to its first audio, while another voice may be asked.
        last_first_s: The same of the last voice.
        dry_s: How long a caller who has heard all that came waits for more, while another voice
            may be asked.
        pause_s: Longest pause of a vendor within a text.
    """

    first_s: float = 2.0
    last_first_s: float = 4.0
    dry_s: float = 1.2
    pause_s: float = 3.0


class ResilientTextToSpeech:
    """The voice of one call: a primary, and those that stand in for it. A `TextToSpeech`.

    Args:
        candidates: In order of preference, at least one.
        notes: For the timeline.
        limits: Deadlines.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate[TextToSpeech]],
        notes: ProviderNotes,
        limits: VoiceLimits | None = None,
    ) -> None:
        self._candidates = tuple(candidates)
        self._notes = notes
        self._limits = limits or VoiceLimits()
        self._speaker = self._candidates[0]
        self._strikes = 0  # of two for each voice, since the last text that was spoken to its end

    @property
    def label(self) -> str:
        """Of the voice that spoke last."""
        return self._speaker.label

    @property
    def audio(self) -> AudioFormat:
        """Of the primary; what others say is converted to it."""
        return self._candidates[0].provider.audio

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """Stream the audio of one piece of text; closing it ends the request.

        Raises:
            ProviderError: Before the first audio, when no voice can speak. After it, when the one
                that spoke broke off: it is worth asking for the rest of the text then.
        """
        if self._strikes >= 2 * len(self._candidates):
            self._strikes = 0
            raise ProviderUnavailable(f"{self.label} broke off again and again")
        turn = Succession(self._in_order(), self._notes)
        while True:
            candidate = turn.candidate
            spoken = False
            first_s = self._limits.last_first_s if turn.is_last else self._limits.first_s
            try:
                async with aclosing(self._stream(candidate, text, first_s)) as chunks:
                    async for chunk in chunks:
                        self._speaker = candidate
                        spoken = True
                        yield chunk
            except ProviderError as error:
                candidate.failed(error, now_s())
                if spoken:
                    self._after_break(error, turn.took_s)
                    raise
                await turn.go_on(error)
            else:
                candidate.breaker.succeeded()
                self._strikes = 0
                return
            finally:
                candidate.breaker.gave_up()  # which counts when neither of the above was told

    async def _stream(
        self, candidate: Candidate[TextToSpeech], text: str, first_s: float
    ) -> AsyncGenerator[bytes, None]:
        """Ask one voice, for as long as a caller can wait."""
        voice = candidate.provider
        limits = self._limits
        converter = Converter(voice.audio, self.audio)
        piece_bytes = voice.audio.bytes_for(_PIECE_S)
        heard_all_s = 0.0  # when the caller will have heard all that came, at the earliest
        wait_s, patience = first_s, Patience()
        async with aclosing(checked_audio(voice, text)) as chunks:
            while (chunk := await _next(chunks, wait_s, patience, candidate.label)) is not None:
                heard_all_s = max(heard_all_s, now_s()) + voice.audio.seconds(len(chunk))
                if voice.audio == self.audio:
                    yield chunk
                else:
                    for at in range(0, len(chunk), piece_bytes):
                        if audio := converter.convert(chunk[at : at + piece_bytes]):
                            yield audio
                wait_s = limits.pause_s
                if len(self._candidates) > 1:
                    wait_s = min(wait_s, max(0.0, heard_all_s - now_s()) + limits.dry_s)
        if audio := converter.flush():
            yield audio

    def _in_order(self) -> list[Candidate[TextToSpeech]]:
        """The one that speaks in this call, those behind it, and those before it."""
        at = self._candidates.index(self._speaker)
        return [*self._candidates[at:], *self._candidates[:at]]

    def _after_break(self, error: ProviderError, took_s: float) -> None:
        """Choose who is to speak the rest."""
        was = self._speaker
        self._strikes += 1
        once_more = worth_another_try(error) and not isinstance(error, TooSlow)
        if len(self._candidates) > 1 and not once_more:
            self._strikes += self._strikes % 2
        if self._strikes >= 2 * len(self._candidates):
            return
        if self._strikes % 2 or len(self._candidates) == 1:
            self._notes.retry(was.label, error, took_s)
            return
        self._speaker = self._in_order()[1]
        self._notes.fallback(was.label, self._speaker.label, error, took_s)


async def _next(
    chunks: AsyncIterator[bytes], wait_s: float, patience: Patience, label: str
) -> bytes | None:
    try:
        with patience.of(wait_s):
            return await anext(chunks, None)
    except TimeoutError:
        raise TooSlow(f"{label} sent no audio for {wait_s:.1f} s") from None
