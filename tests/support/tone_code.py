"""Text as tones: what a fake synthesiser "says" and a test caller can read back from the wire.

A symbol is one byte, sent for 60 ms as two tones at once: its low nibble is one of 16 tones below
1.8 kHz, its high nibble one of 16 above. A byte equal to the one before is sent as `_REPEAT`, so
neighbours always differ and the receiver needs no clock: inserted, lost and concealed packets
only lengthen or shorten a run. A message is `START text CRC END`; a text above 24 bytes is cut to
24 and the message repeated until it lasts 60 ms per character, so that there is something to
interrupt. The tones swell and fall 150 times a second, as by vocal cords: a detector of speech
must take a caller who talks like this for one. Copies after the first begin with another symbol
and are reported only when the first could not be read.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

LITERAL_BYTES = 24
SYMBOL_S = 0.060
_RAMP_S = 0.004
_AMPLITUDE = 0.16  # of full scale, each tone: -14 dBFS together with what the pitch adds
_PITCH_HZ = 150.0  # whole cycles in a packet, as of the tones
_WINDOW_S = 0.020
_HOP_S = 0.005
_MIN_RUN = 1  # hops of one symbol in a row; the checksum guards against a false one
_MIN_RMS = 0.004  # of full scale: -48 dBFS
# Whole cycles in a 20 ms packet: a packet lost or played twice leaves no step in the phase.
_LOW_HZ = 250.0 + 100.0 * np.arange(16)
_HIGH_HZ = 1850.0 + 100.0 * np.arange(16)

_REPEAT, _FIRST, _AGAIN, _END = 1, 2, 3, 4
_PRINTABLE = 0x20

Samples = NDArray[np.float64]


def literal(text: str) -> str:
    """Cut a text to what one message carries, as `decode` will report it."""
    data = bytes(max(byte, _PRINTABLE) for byte in text.encode())[:LITERAL_BYTES]
    return data.decode(errors="ignore")


def encode(text: int | str, rate_hz: int, *, copies: int = 1) -> bytes:
    """Render a text, or a number, as PCM16 at any rate from 8 kHz.

    Args:
        text: What to say.
        rate_hz: Sampling rate.
        copies: Sends at least this many copies, for lossy wires.
    """
    words = str(text)
    data = literal(words).encode()
    body = [*data, _PRINTABLE + zlib.crc32(data) % (256 - _PRINTABLE), _END]
    per_copy_s = (len(body) + 1) * SYMBOL_S
    if len(words) > LITERAL_BYTES:
        copies = max(copies, round(len(words) * SYMBOL_S / per_copy_s))
    symbols = [_FIRST, *body]
    for _ in range(copies - 1):
        symbols += [_AGAIN, *body]
    tones = [_tone(symbol, rate_hz) for symbol in _without_repeats(symbols)]
    pcm = np.concatenate(tones) * 32767
    return pcm.astype("<i2").tobytes()


def decode(pcm16: bytes, rate_hz: int) -> list[str]:
    """Read the texts of a recording, in order; what cannot be read is left out."""
    texts: list[str] = []
    fresh = bytearray()
    start = 0
    for symbol in _symbols(pcm16, rate_hz):
        if symbol in (_FIRST, _AGAIN):
            start = symbol
            fresh.clear()
        elif symbol == _END:
            text = _checked(bytes(fresh)) if start else None
            if text is not None and (start == _FIRST or not texts or texts[-1] != text):
                texts.append(text)
            start = 0
        else:
            fresh.append(symbol)
    return texts


def _checked(message: bytes) -> str | None:
    data, crc = message[:-1], message[-1:]
    if crc != bytes([_PRINTABLE + zlib.crc32(data) % (256 - _PRINTABLE)]):
        return None
    return data.decode(errors="ignore")


def _without_repeats(symbols: list[int]) -> Iterator[int]:
    previous = -1
    for symbol in symbols:
        previous = _REPEAT if symbol == previous else symbol
        yield previous


def _tone(symbol: int, rate_hz: int) -> Samples:
    times_s = np.arange(round(SYMBOL_S * rate_hz)) / rate_hz
    low, high = _LOW_HZ[symbol & 15], _HIGH_HZ[symbol >> 4]
    wave = np.sin(2 * np.pi * low * times_s) + np.sin(2 * np.pi * high * times_s)
    pitch = 2 * np.pi * _PITCH_HZ * times_s
    wave *= 1 + 0.9 * np.cos(pitch) + 0.6 * np.cos(2 * pitch)
    ramp = np.minimum(1.0, np.minimum(times_s, SYMBOL_S - times_s) / _RAMP_S)
    shaped: Samples = _AMPLITUDE * wave * ramp
    return shaped


def _symbols(pcm16: bytes, rate_hz: int) -> Iterator[int]:
    """Find the runs of steady tone pairs and undo the repeat symbol."""
    raw = previous = -1
    for value, length in _runs(_classified(pcm16, rate_hz)):
        if length < _MIN_RUN or value < 0 or value == raw:
            continue  # the same tones again after a gap are one symbol, torn by a lost packet
        raw = value
        previous = previous if value == _REPEAT else value
        if previous >= 0:
            yield previous


def _runs(values: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for index in range(1, len(values) + 1):
        if index == len(values) or values[index] != values[start]:
            yield values[start], index - start
            start = index


def _classified(pcm16: bytes, rate_hz: int) -> list[int]:
    """Name the symbol of each 5 ms hop, -1 where no tone pair stands out."""
    samples = np.frombuffer(pcm16, dtype="<i2").astype(np.float64) / 32768
    window, hop = round(_WINDOW_S * rate_hz), round(_HOP_S * rate_hz)
    if len(samples) < window:
        return []
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    phase = 2j * np.pi * np.arange(window)[:, None] / rate_hz
    low = np.abs(frames @ np.exp(phase * _LOW_HZ)) * 2 / window
    high = np.abs(frames @ np.exp(phase * _HIGH_HZ)) * 2 / window
    rms = np.sqrt(np.mean(frames**2, axis=1))
    clear = rms > _MIN_RMS
    explained = np.zeros(len(frames))
    for group in (low, high):
        ordered = np.sort(group, axis=1)
        clear &= ordered[:, -1] > 1.5 * ordered[:, -2]
        explained += ordered[:, -1] ** 2 / 2
    clear &= explained > 0.45 * rms**2
    symbols = np.argmax(low, axis=1) + 16 * np.argmax(high, axis=1)
    return [int(symbol) for symbol in np.where(clear, symbols, -1)]
