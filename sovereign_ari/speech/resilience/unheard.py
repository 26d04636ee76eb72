"""What a caller said that no recogniser has made final, to be said again to another. Pure.

    audio   |--- final ---|---------------|-----------|
    flushes               F (unanswered)              F (unanswered)
    kept                  |===========================|

Chunks are kept as they came, without copying, up to a limit; marks of flushes are kept whatever
happens to the audio around them, for each is to be answered exactly once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from sovereign_ari.media.pcm import AudioFormat


@dataclass(slots=True)
class Reading:
    """How far one recogniser has been told.

    Attributes:
        chunk: Number of the next chunk.
        flush: Number of the next flush.
        base_s: Where the call's audio stood when this recogniser's began.
    """

    chunk: int
    flush: int
    base_s: float


class Unheard:
    """The audio and the flushes of one call that are not dealt with.

    Args:
        audio: Format of the audio.
        kept_s: Most audio kept; what is older is lost.
    """

    def __init__(self, audio: AudioFormat, kept_s: float) -> None:
        self._audio = audio
        self._kept_bytes = audio.bytes_for(kept_s)
        self._chunks: deque[bytes] = deque()
        self._first_chunk = 0
        self._first_byte = 0
        self._end_byte = 0
        self._flushes: deque[int] = deque()  # number of the chunk that followed each
        self._first_flush = 0

    @property
    def kept_s(self) -> float:
        """How much audio waits."""
        return self._audio.seconds(self._end_byte - self._first_byte)

    @property
    def end_s(self) -> float:
        """How much audio came in all."""
        return self._audio.seconds(self._end_byte)

    def append(self, chunk: bytes) -> None:
        """Add audio."""
        self._chunks.append(chunk)
        self._end_byte += len(chunk)
        while self._end_byte - self._first_byte > self._kept_bytes and len(self._chunks) > 1:
            self._drop()

    def flush(self) -> None:
        """Add a flush behind the audio so far."""
        self._flushes.append(self._first_chunk + len(self._chunks))

    def answered(self) -> bool:
        """Forget the oldest flush and the audio before it; False when none is open."""
        if not self._flushes:
            return False
        behind = self._flushes.popleft()
        self._first_flush += 1
        while self._first_chunk < behind and self._chunks:
            self._drop()
        return True

    def forget(self, until_s: float) -> None:
        """Forget audio that is final, up to a time of the call, but none behind an open flush."""
        until_byte = self._audio.bytes_for(until_s)
        while self._chunks and not (self._flushes and self._first_chunk >= self._flushes[0]):
            behind_byte = self._first_byte + len(self._chunks[0])
            if behind_byte > until_byte:
                break
            self._drop()
        cut = until_byte - self._first_byte
        if 0 < cut < (len(self._chunks[0]) if self._chunks else 0):
            self._cut_first(cut)

    def read(self) -> Reading:
        """Begin to tell another recogniser, from the oldest of it all."""
        base_s = self._audio.seconds(self._first_byte)
        return Reading(self._first_chunk, self._first_flush, base_s)

    def next(self, reading: Reading) -> bytes | None:
        """Take what is to be told next, a chunk or, empty, a flush; None when it was all told."""
        reading.chunk = max(reading.chunk, self._first_chunk)
        flush = max(reading.flush, self._first_flush)
        reading.flush = flush
        at = flush - self._first_flush
        if at < len(self._flushes) and self._flushes[at] <= reading.chunk:
            reading.flush += 1
            return b""
        if reading.chunk - self._first_chunk >= len(self._chunks):
            return None
        reading.chunk += 1
        return self._chunks[reading.chunk - 1 - self._first_chunk]

    def _drop(self) -> None:
        self._first_byte += len(self._chunks.popleft())
        self._first_chunk += 1

    def _cut_first(self, size: int) -> None:
        if self._flushes and self._first_chunk >= self._flushes[0]:
            return
        self._chunks[0] = self._chunks[0][size:]
        self._first_byte += size
