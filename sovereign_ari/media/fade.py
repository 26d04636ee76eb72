"""Ramps over one frame, so that audio which stops or starts in mid-word does not click."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sovereign_ari.media.pcm import AudioFormat, Encoding
from sovereign_ari.media.transcode import decoder_for, encoder_for


def fade_out(frame: bytes, wire: AudioFormat) -> bytes | None:
    """Return the frame falling to silence; None for G.722, which cannot be cut into."""
    return _ramp(frame, wire, 1.0, 0.0)


def fade_in(frame: bytes, wire: AudioFormat) -> bytes | None:
    """Return the frame rising from silence; None for G.722."""
    return _ramp(frame, wire, 0.0, 1.0)


def _ramp(frame: bytes, wire: AudioFormat, start: float, end: float) -> bytes | None:
    if wire.encoding is Encoding.G722:
        return None
    samples = np.frombuffer(decoder_for(wire).decode(frame), dtype="<i2")
    gains: NDArray[np.float64] = np.linspace(start, end, len(samples))
    return encoder_for(wire).encode((samples * gains).astype("<i2").tobytes())
