"""Audio formats by name: what a run of bytes means, and how long it lasts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

FRAME_S = 0.020
"""Length of a frame, and of an RTP packet, everywhere in this product."""

FRAMES_PER_S = 50


class Encoding(Enum):
    """How samples stand in bytes. PCM16 is signed, little-endian, mono."""

    PCM16 = "pcm16"
    ULAW = "ulaw"
    ALAW = "alaw"
    G722 = "g722"


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """An encoding at a sampling rate.

    Attributes:
        encoding: How samples stand in bytes.
        rate_hz: Samples per second of the sound itself: 16000 for G.722, although its RTP
            clock says 8000 (RFC 3551 section 4.5.2).
    """

    encoding: Encoding
    rate_hz: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one 20 ms frame."""
        return self.bytes_for(FRAME_S)

    def bytes_for(self, seconds: float) -> int:
        """Bytes that last `seconds`, rounded to whole samples."""
        samples = round(seconds * self.rate_hz)
        match self.encoding:
            case Encoding.PCM16:
                return samples * 2
            case Encoding.G722:
                return samples // 2
            case Encoding.ULAW | Encoding.ALAW:
                return samples

    def seconds(self, size_bytes: int) -> float:
        """How long `size_bytes` of this format last."""
        return size_bytes / self.bytes_for(1.0)


ULAW_8K = AudioFormat(Encoding.ULAW, 8000)
ALAW_8K = AudioFormat(Encoding.ALAW, 8000)
G722_16K = AudioFormat(Encoding.G722, 16000)
PCM_8K = AudioFormat(Encoding.PCM16, 8000)
PCM_16K = AudioFormat(Encoding.PCM16, 16000)
PCM_24K = AudioFormat(Encoding.PCM16, 24000)

BY_CODEC: dict[str, AudioFormat] = {"ulaw": ULAW_8K, "alaw": ALAW_8K, "g722": G722_16K}
"""Asterisk's codec names for the formats a telephone leg may have."""
