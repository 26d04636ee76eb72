"""G.711 to and from PCM16 (ITU-T G.711). One byte is one sample; no state."""

from __future__ import annotations

import audioop

ULAW_SILENCE = b"\xff"
ALAW_SILENCE = b"\xd5"


def ulaw_to_pcm(audio: bytes) -> bytes:
    """Expand µ-law to PCM16."""
    return audioop.ulaw2lin(audio, 2)


def alaw_to_pcm(audio: bytes) -> bytes:
    """Expand A-law to PCM16."""
    return audioop.alaw2lin(audio, 2)


def pcm_to_ulaw(pcm: bytes) -> bytes:
    """Compress PCM16, whole samples, to µ-law."""
    return audioop.lin2ulaw(pcm, 2)


def pcm_to_alaw(pcm: bytes) -> bytes:
    """Compress PCM16, whole samples, to A-law."""
    return audioop.lin2alaw(pcm, 2)
