"""G.722 at 64 kbit/s to and from PCM16 at 16 kHz. One byte is two samples.

Both directions adapt to what they have seen: one object serves one stream, from its start.
"""

from __future__ import annotations

import numpy as np
from G722 import G722

RATE_HZ = 16000

SILENCE = b"\xf8\xfc"
"""Repeated for ever, decodes to at most 2 of 32768, and to 26 after speech. What an encoder says
of silence varies for ever; any one frame of it repeated decodes to an offset, of up to 437."""

_BITS_PER_S = 64000


class G722Decoder:
    """Expands one stream. Any number of bytes at a time."""

    def __init__(self) -> None:
        self._codec = G722(RATE_HZ, _BITS_PER_S)

    def decode(self, audio: bytes) -> bytes:
        """Return two samples for each byte."""
        return bytes(memoryview(self._codec.decode(audio))) if audio else b""


class G722Encoder:
    """Compresses one stream. Whole samples; an odd one waits for its pair."""

    def __init__(self) -> None:
        self._codec = G722(RATE_HZ, _BITS_PER_S)
        self._odd = b""

    def encode(self, pcm: bytes) -> bytes:
        """Return a byte for each two samples."""
        if self._odd or len(pcm) % 4:
            pcm = self._odd + pcm
            even = len(pcm) - len(pcm) % 4
            self._odd = pcm[even:]
            pcm = pcm[:even]
        if not pcm:
            return b""
        # The codec takes a bytes object for a list of 8-bit samples, so it gets an array.
        encoded: bytes = self._codec.encode(np.frombuffer(pcm, dtype="<i2"))
        return encoded

    def flush(self) -> bytes:
        """Give the last odd sample a silent one for a pair."""
        return self.encode(bytes(2)) if self._odd else b""
