"""What the doctor's telephone hears, judged frame by frame. Pure: times are arguments."""

from __future__ import annotations

import audioop
from math import log10

from sovereign_ari.media.g711 import ulaw_to_pcm

LOUD_DBFS = -45.0
"""Fainter is silence: line noise lies at -65 to -50 dBFS."""

_FULL_SCALE = 32768.0
_LOUD_RMS = _FULL_SCALE * 10 ** (LOUD_DBFS / 20)
_LARGEST = 32124  # what the largest code of G.711 µ-law stands for
_BLOCK_BYTES = 80  # 5 ms of PCM16 at 8 kHz


def is_loud(pcm: bytes) -> bool:
    """Whether any 5 ms of PCM16 at 8 kHz are more than silence."""
    blocks = range(0, len(pcm), _BLOCK_BYTES)
    return any(audioop.rms(pcm[at : at + _BLOCK_BYTES], 2) >= _LOUD_RMS for at in blocks)


def without_silent_end(pcm: bytes) -> bytes:
    """Cut PCM16 at 8 kHz after its last 5 ms that are more than silence."""
    end = len(pcm) & ~1
    while end > 0 and not is_loud(pcm[max(0, end - _BLOCK_BYTES) : end]):
        end = max(0, end - _BLOCK_BYTES)
    return pcm[:end]


class Hearing:
    """Remembers when it was loud, and how loud. Frames are µ-law at 8 kHz."""

    def __init__(self) -> None:
        self._loud_at_s: list[float] = []
        self._energy = 0.0
        self._samples = 0
        self._clipped = 0

    def hear(self, frame: bytes, now_s: float) -> None:
        """Take 20 ms that arrived at `now_s`."""
        pcm = ulaw_to_pcm(frame)
        if not is_loud(pcm):
            return
        self._loud_at_s.append(now_s)
        self._samples += len(frame)
        self._energy += audioop.rms(pcm, 2) ** 2 * len(frame)
        if audioop.max(pcm, 2) >= _LARGEST:
            self._clipped += frame.count(0x00) + frame.count(0x80)

    def first_loud_after(self, after_s: float) -> float | None:
        """When the first loud frame arrived after a moment."""
        return next((at_s for at_s in self._loud_at_s if at_s > after_s), None)

    def is_quiet(self, since_s: float) -> bool:
        """Whether nothing loud arrived after a moment."""
        return not self._loud_at_s or self._loud_at_s[-1] <= since_s

    @property
    def level_dbfs(self) -> float | None:
        """RMS level of everything loud; None when nothing was."""
        if not self._samples:
            return None
        return 10 * log10(self._energy / self._samples / _FULL_SCALE**2)

    @property
    def clipped_share(self) -> float:
        """Share of the loud samples that stand at the limit, 0 to 1."""
        return self._clipped / self._samples if self._samples else 0.0
