"""One connection to one recogniser: what it was told, and what it still owes."""

from __future__ import annotations

import asyncio
import re
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from sovereign_ari.errors import ProviderError
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.media.transcode import Converter
from sovereign_ari.speech.base import SpeechStream, SpeechToText, Transcript
from sovereign_ari.speech.patience import Patience
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.succession import now_s
from sovereign_ari.speech.resilience.unheard import Unheard

_SIGNS = re.compile(r"\W+")


class Line:
    """See the module. Nothing here waits but `open` and `tell`.

    Args:
        candidate: Who listens.
        audio: Format of what is told.
        unheard: What is to be told; answers are taken out of it.

    Attributes:
        reading: How far it was told what had waited.
        patience: The deadline of its reader, once that runs.
        answer_s: Longest wait for the answer to a flush.
        slack_s: How much longer the first one may take.
        answered: Whether it has answered one.
        sending: The deadline of whoever tells it something.
        fault: Why it ended, when a sender found out.
    """

    def __init__(
        self, candidate: Candidate[SpeechToText], audio: AudioFormat, unheard: Unheard
    ) -> None:
        self.candidate = candidate
        self.reading = unheard.read()
        self.patience: asyncio.Timeout | None = None
        self.answer_s = 0.0
        self.slack_s = 0.0
        self.answered = False
        self.sending = Patience()
        self.fault: ProviderError | None = None
        self._audio = audio
        self._unheard = unheard
        self._taken = candidate.provider.format_for(audio)
        self._converter = Converter(audio, self._taken)
        self._remote: SpeechStream | None = None
        self._began_s = now_s()
        self._told_bytes = 0
        self._owed = 0
        self._said = ""  # the latest final words
        self._shown = ""  # the latest words that are not final
        self._early = ""  # final words that came before the answer that is owed

    @property
    def begun(self) -> bool:
        """Whether the connection stood."""
        return self._remote is not None

    @property
    def age_s(self) -> float:
        """How long it has stood; 0 when it never did."""
        return now_s() - self._began_s if self.begun else 0.0

    def open(self) -> AbstractAsyncContextManager[SpeechStream]:
        """Connect."""
        return self.candidate.provider.open(self._taken)

    def begin(self, remote: SpeechStream) -> None:
        """Note that it is connected."""
        self._remote = remote
        self._began_s = now_s()
        self._set_deadline()

    def end(self, fault: ProviderError) -> None:
        """Let the reader end, with this fault."""
        self.fault = self.fault or fault
        self._reschedule(now_s())

    async def tell(self, entry: bytes) -> None:
        """Pass on audio, or, when empty, a flush."""
        assert self._remote is not None
        if not entry:
            self._owed += 1
            if self._owed == 1:
                self._set_deadline()
            await self._remote.flush()
            return
        self._told_bytes += len(entry)
        if audio := self._converter.convert(entry):
            await self._remote.send(audio)

    def take(self, transcript: Transcript) -> Transcript | None:
        """Take what was heard: forget what is final; return it as it counts for the call.

        Words made final while an answer is owed are shown, and count with that answer: until then
        they may have to be heard again. An answer that nobody asked for is only words. Words that
        are shown once more when they are final are passed over, for they would interrupt the
        agent; of a caller who repeats himself, the final words count.
        """
        said = _plain(transcript.text)
        if transcript.final:
            self._said = said or self._said
        elif said == self._said:
            return None
        self._shown = ""
        if self._owed or not transcript.final:
            text = f"{self._early} {transcript.text}".strip()
            if transcript.final:
                self._early = "" if transcript.flushed else text
            if transcript.flushed:
                self._settle_flush()
            else:
                self._shown = text
            return replace(transcript, text=text, final=transcript.flushed)
        told_s = self._audio.seconds(self._told_bytes)
        heard_s = told_s if transcript.heard_s is None else min(transcript.heard_s, told_s)
        self._unheard.forget(self.reading.base_s + heard_s)
        return Transcript(transcript.text, final=True, ends_turn=transcript.ends_turn)

    def settle_shown(self) -> Transcript | None:
        """Let the words that were shown answer the flush that is owed: better than none."""
        if not (self._owed and self._shown):
            return None
        self._settle_flush()
        return Transcript(self._shown, final=True, flushed=True)

    def _settle_flush(self) -> None:
        self._owed -= 1
        self.answered = True
        self.slack_s = 0.0
        self._set_deadline()
        self._unheard.answered()
        self.candidate.breaker.succeeded()

    def _set_deadline(self) -> None:
        if self.fault is None:
            self._reschedule(now_s() + self.answer_s + self.slack_s if self._owed else None)

    def _reschedule(self, at_s: float | None) -> None:
        if self.patience is not None and not self.patience.expired():
            self.patience.reschedule(at_s)


def _plain(text: str) -> str:
    return _SIGNS.sub("", text).casefold()
