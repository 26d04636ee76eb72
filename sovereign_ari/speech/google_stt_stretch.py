"""What was said between two flushes: its audio, as far as it is unrecognised, and its words. Pure.

Google has no way to ask for the words so far but to end a stream, so every flush ends one, and a
stretch of audio between flushes is recognised by one remote call, or by several in turn when one
breaks or grows too old. The next one begins where the last final result ended:

    audio   |-- final --|-- final --|-- not final --|
    first call .....................................x
    second call                     |.................

so that no word is lost and none is heard twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from sovereign_ari.media.pcm import AudioFormat

MESSAGE_BYTES = 15_000
"""Most audio in one request, as the vendor documents it; an even number: whole samples."""


@dataclass(frozen=True, slots=True)
class Result:
    """One result of a response.

    Attributes:
        text: The words.
        final: Whether it may still change.
        end_s: Where it ends in the audio of its call; 0 when the server does not say.
    """

    text: str
    final: bool
    end_s: float


class Stretch:
    """One stretch.

    Args:
        audio: Format of the audio.
        kept_s: Most audio kept behind the last final result while words are coming.
        quiet_kept_s: The same of what was sent while there are none.

    Attributes:
        finals: Final results that were not handed out.
        partial: The words behind them so far.
        ended: Whether it was flushed: no audio comes any more.
        done: Whether no words come any more.
        end: Bytes of audio so far.
        voice_ended: Whether the server says that nobody speaks any more.
    """

    def __init__(self, audio: AudioFormat, kept_s: float, quiet_kept_s: float) -> None:
        self.finals: deque[str] = deque()
        self.partial = ""
        self.ended = False
        self.done = False
        self.end = 0
        self.voice_ended = False
        self._audio = audio
        self._kept_bytes = audio.bytes_for(kept_s)
        self._quiet_kept_bytes = audio.bytes_for(quiet_kept_s)
        self._kept = bytearray()
        self._first = 0  # position of the first byte kept
        self._before = ""  # what the call before had heard, until this one has heard as much
        self._taken = 0  # what lies before was sent
        self._lost = False  # whether audio that words were heard in is kept no longer
        self._began = 0  # where the call of now began
        self._last = Result("", final=True, end_s=0.0)

    @property
    def text(self) -> str:
        """All words that were not handed out."""
        return _joined((*self.finals, self.partial))

    @property
    def first(self) -> int:
        """Position of the first byte that is not final."""
        return self._first

    def append(self, audio: bytes) -> None:
        """Add audio."""
        self._kept += audio
        self.end += len(audio)
        if not self.partial:
            self._forget(min(self.end - self._quiet_kept_bytes, self._taken))
        if len(self._kept) > self._kept_bytes:
            self._lost = self._lost or bool(self.partial)
            self._forget(self.end - self._kept_bytes)

    def take(self, position: int) -> tuple[bytes, int]:
        """Return audio for one request from a position on, and the position behind it."""
        start = max(position, self._first)
        at = start - self._first
        piece = bytes(self._kept[at : at + MESSAGE_BYTES])
        self._taken = start
        return piece, start + len(piece)

    def begin(self, sent: int) -> int:
        """Begin another call; return where its audio begins.

        Args:
            sent: How far the call before has been sent.
        """
        if self._lost:  # the words cannot be heard again, so they stand as they are
            self._settle_partial()
            self._forget(sent)
        self._before = self.partial
        self._began = self._first
        self._last = Result("", final=True, end_s=0.0)
        return self._first

    def on_results(self, results: Iterable[Result], sent: int) -> None:
        """Take one response.

        A final result that ends before the last one, or repeats it, is passed over.

        Args:
            results: In their order.
            sent: How far audio has been sent.
        """
        interim = []
        for result in results:
            if not result.final:
                interim.append(result.text)
            elif not self._is_old(result):
                self._last = result
                self._add_final(result.text)
                behind = self._began + self._audio.bytes_for(result.end_s)
                self._forget(min(behind, sent) if result.end_s > 0 else sent)
                self._lost = False
                self._before = ""
        self.partial = _joined(interim)
        if len(self.partial) < len(self._before):
            self.partial = self._before
        else:
            self._before = ""

    def settle(self) -> None:
        """Let what was heard so far stand: no other words will come."""
        self._settle_partial()
        self._forget(self.end)
        self.done = True

    def _is_old(self, result: Result) -> bool:
        if result.end_s == 0 or self._last.end_s == 0:
            return False
        repeated = result.end_s == self._last.end_s and result.text == self._last.text
        return repeated or result.end_s < self._last.end_s

    def _settle_partial(self) -> None:
        self._add_final(self.partial)
        self.partial = ""
        self._lost = False

    def _add_final(self, text: str) -> None:
        if text := text.strip():
            self.finals.append(text)

    def _forget(self, position: int) -> None:
        if position > self._first:
            del self._kept[: position - self._first]
            self._first = position


def _joined(texts: Iterable[str]) -> str:
    return " ".join(stripped for text in texts if (stripped := text.strip()))
