"""Speech or not, per 20 ms frame: WebRTC's detector behind three checks that it needs.

It takes the first frames of any noise for speech, steady buzz for as long as it lasts, and does
not care how faint a sound is. So a frame must also be loud enough, must not be a low hum, and
must stand out from the noise of the line: the quietest moment of the last seconds.
"""

from __future__ import annotations

import audioop
from math import cos, log10, pi

import webrtcvad

from sovereign_ari.media.pcm import FRAME_S

FAINTEST_DBFS = -45.0
"""Fainter sounds are never speech: comfort noise and line noise lie at -65 to -50 dBFS."""

LOUDEST_FLOOR_DBFS = -40.0
"""No line is noisier: what never falls below this is a voice without pauses, not a floor."""

_MODE = 3  # the strictest; lower modes take faint white noise for speech
_END_EFFECT = 0.05
_HIGHEST_HUM_HZ = 105.0  # mains hum and its first harmonic
_ABOVE_FLOOR = 2.5  # 8 dB
_FLOOR_WINDOW_FRAMES = 50  # the floor is the quietest frame of the last 1 to 2 s
_FULL_SCALE = 32768.0
_SILENCE_DBFS = -96.0


def level_dbfs(pcm: bytes) -> float:
    """Return the RMS level of PCM16: 0 for a full-scale square wave, -96 for silence."""
    level = audioop.rms(pcm, 2)
    return 20 * log10(level / _FULL_SCALE) if level else _SILENCE_DBFS


class VoiceActivity:
    """Decides about the frames of one stream, in order.

    Args:
        rate_hz: 8000, 16000, 32000 or 48000, what the WebRTC detector knows.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._frame_bytes = round(rate_hz * FRAME_S) * 2
        self._detector = webrtcvad.Vad(_MODE)
        self._faintest = _FULL_SCALE * 10 ** (FAINTEST_DBFS / 20)
        self._loudest_floor = _FULL_SCALE * 10 ** (LOUDEST_FLOOR_DBFS / 20)
        # Of a sine, the correlation with itself one sample later.
        self._hum_correlation = cos(2 * pi * _HIGHEST_HUM_HZ / rate_hz)
        self._earlier_floor = 0.0
        self._floor = _FULL_SCALE
        self._floor_frames = 0

    def is_speech(self, pcm: bytes) -> bool:
        """Judge 20 ms of PCM16.

        Raises:
            ValueError: If it is not exactly 20 ms.
        """
        if len(pcm) != self._frame_bytes:
            raise ValueError(f"{len(pcm)} bytes are not 20 ms at {self._rate_hz} Hz")
        level = audioop.rms(pcm, 2)
        # The detector adapts to everything, so it hears every frame.
        speech: bool = self._detector.is_speech(pcm, self._rate_hz)
        floor = min(self._floor, self._earlier_floor, self._loudest_floor)
        threshold = max(self._faintest, _ABOVE_FLOOR * floor)
        self._follow_floor(level)
        return speech and level > threshold and not self._is_hum(pcm)

    def _follow_floor(self, level: int) -> None:
        self._floor = min(self._floor, level)
        self._floor_frames += 1
        if self._floor_frames == _FLOOR_WINDOW_FRAMES:
            self._earlier_floor, self._floor = self._floor, _FULL_SCALE
            self._floor_frames = 0

    def _is_hum(self, pcm: bytes) -> bool:
        # Each factor is the correlation but for one sample at an end; together they cancel it.
        factor = audioop.findfactor(pcm[2:], pcm[:-2])
        if factor < self._hum_correlation - _END_EFFECT:
            return False
        reverse = audioop.findfactor(pcm[:-2], pcm[2:])
        return 2 * factor * reverse > self._hum_correlation * (factor + reverse)
