"""Any audio format into any other, as a stream."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from sovereign_ari.media import g711
from sovereign_ari.media.g722 import SILENCE as G722_SILENCE
from sovereign_ari.media.g722 import G722Decoder, G722Encoder
from sovereign_ari.media.pcm import FRAME_S, AudioFormat, Encoding
from sovereign_ari.media.resample import Resampler


class Decoder(Protocol):
    """Expands one stream to PCM16 at its format's rate."""

    def decode(self, audio: bytes) -> bytes:
        """Return the samples of these bytes."""


class Encoder(Protocol):
    """Compresses one stream of PCM16 at its format's rate."""

    def encode(self, pcm: bytes) -> bytes:
        """Return the bytes of these samples; whole samples only."""

    def flush(self) -> bytes:
        """Return what waits for more samples to come."""


class _Each:
    """A codec without state."""

    def __init__(self, function: Callable[[bytes], bytes]) -> None:
        self.decode = function
        self.encode = function

    def flush(self) -> bytes:
        return b""


def _unchanged(audio: bytes) -> bytes:
    return audio


def decoder_for(wire: AudioFormat) -> Decoder:
    """Make a decoder for one stream."""
    match wire.encoding:
        case Encoding.PCM16:
            return _Each(_unchanged)
        case Encoding.ULAW:
            return _Each(g711.ulaw_to_pcm)
        case Encoding.ALAW:
            return _Each(g711.alaw_to_pcm)
        case Encoding.G722:
            return G722Decoder()


def encoder_for(wire: AudioFormat) -> Encoder:
    """Make an encoder for one stream."""
    match wire.encoding:
        case Encoding.PCM16:
            return _Each(_unchanged)
        case Encoding.ULAW:
            return _Each(g711.pcm_to_ulaw)
        case Encoding.ALAW:
            return _Each(g711.pcm_to_alaw)
        case Encoding.G722:
            return G722Encoder()


@lru_cache(maxsize=16)
def silence_frame(wire: AudioFormat) -> bytes:
    """Return 20 ms of silence, fit to be repeated."""
    if wire.encoding is Encoding.G722:
        return G722_SILENCE * (wire.frame_bytes // len(G722_SILENCE))
    return encoder_for(wire).encode(bytes(2 * round(wire.rate_hz * FRAME_S)))


class Converter:
    """Turns one stream of audio from a format into another, whatever its chunks.

    Adds the lag of the resampler (3 ms) when the rates differ, and nothing otherwise.

    Args:
        source: Format of what comes.
        target: Format of what goes.
    """

    _half: bytes

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self._source, self._target = source, target
        self._same = source == target
        self._start()

    def convert(self, audio: bytes) -> bytes:
        """Convert the next bytes, any number of them; returns what they complete."""
        if self._same:
            return audio
        if self._in_samples:
            audio = self._half + audio
            whole = len(audio) & ~1
            self._half = audio[whole:]
            audio = audio[:whole]
        pcm = self._decoder.decode(audio)
        if self._resampler is not None:
            pcm = self._resampler.process(pcm)
        return self._encoder.encode(pcm)

    def flush(self) -> bytes:
        """Return what is held back, drop half a sample, and begin anew."""
        if self._same:
            return b""
        pcm = self._resampler.flush() if self._resampler is not None else b""
        last = self._encoder.encode(pcm) + self._encoder.flush()
        self._start()
        return last

    def _start(self) -> None:
        source, target = self._source, self._target
        self._in_samples = source.encoding is Encoding.PCM16
        self._half = b""
        self._decoder: Decoder = decoder_for(source)
        self._encoder: Encoder = encoder_for(target)
        self._resampler: Resampler | None = (
            Resampler(source.rate_hz, target.rate_hz) if source.rate_hz != target.rate_hz else None
        )
