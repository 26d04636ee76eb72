"""What a caller said since the last pause that mattered, for recognisers that hear it as a whole.

PCM16 at 16 kHz, whatever the wire carries.
"""

from __future__ import annotations

import audioop

import numpy as np
from numpy.typing import NDArray

from sovereign_ari.media.g711 import alaw_to_pcm, ulaw_to_pcm
from sovereign_ari.media.pcm import Encoding

RATE_HZ = 16000
BYTES_PER_S = 2 * RATE_HZ
MAX_UTTERANCE_S = 15.0
PAUSE_S = 0.24
MIN_SPEECH_S = 0.10
_BLOCK = RATE_HZ // 50
_PAD_S = 0.15
_LOUD_RMS = 100.0  # -50 dBFS
_QUIETEST_SPEECH = 0.03  # of the loudest block
_ABOVE_FLOOR = 3.0
_HIGHEST_FLOOR_RMS = 400.0
_FLOOR_RATE = 0.02  # per packet
_MIN_PITCHED_S = 0.06
_PITCHED = 0.5  # least self-similarity at the pitch period, of 1
_PITCH_LAGS = slice(RATE_HZ // 400, RATE_HZ // 80)  # 80 to 400 Hz, within a 20 ms block
_FLOOR = np.random.default_rng(1).normal(0.0, 2.0, RATE_HZ).astype(np.float32)

Blocks = NDArray[np.float32]


class Utterance:
    """Audio since the last restart, and where the caller is in it.

    Args:
        encoding: What `add` is given: G.711 at 8 kHz or PCM16 at 16 kHz.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._audio = bytearray()
        self._floor_rms = _LOUD_RMS
        self._speech_s = 0.0
        self._quiet_s = 0.0

    @property
    def speaking(self) -> bool:
        """Whether the last audio was speech, or another loud sound."""
        return self._speech_s > 0 and self._quiet_s == 0

    def add(self, payload: bytes) -> bool:
        """Take audio; return whether the caller has just paused after speaking."""
        pcm = self._pcm_16k(payload)
        self._audio += pcm
        self._keep(MAX_UTTERANCE_S)
        duration_s = len(pcm) / BYTES_PER_S
        rms = audioop.rms(pcm, 2) if pcm else 0
        self._floor_rms += _FLOOR_RATE * (min(rms, 4 * self._floor_rms) - self._floor_rms)
        if rms > max(_LOUD_RMS, _ABOVE_FLOOR * min(self._floor_rms, _HIGHEST_FLOOR_RMS)):
            self._speech_s += duration_s
            self._quiet_s = 0.0
            return False
        before_s, self._quiet_s = self._quiet_s, self._quiet_s + duration_s
        return self._speech_s >= MIN_SPEECH_S and before_s < PAUSE_S <= self._quiet_s

    def restart(self) -> None:
        """Forget the utterance; its last moment may begin the next."""
        self._keep(_PAD_S)
        self._speech_s = self._quiet_s = 0.0

    def trimmed(self) -> bytes:
        """Cut the silence before and after the speech; empty when there was none.

        Sound without any pitch, a cough or a knock, is none. A little noise is added: digital
        silence has no logarithm, and recognisers take one.
        """
        samples = np.frombuffer(bytes(self._audio), dtype="<i2").astype(np.float32)
        blocks = samples[: len(samples) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
        if not len(blocks):
            return b""
        rms = np.sqrt(np.mean(blocks**2, axis=1))
        loudest = float(rms.max())
        loud = np.flatnonzero(rms > max(_LOUD_RMS * 0.6, _QUIETEST_SPEECH * loudest))
        if loudest < _LOUD_RMS or len(loud) * _BLOCK < MIN_SPEECH_S * RATE_HZ:
            return b""
        if np.count_nonzero(_pitched(blocks[loud])) * _BLOCK < _MIN_PITCHED_S * RATE_HZ:
            return b""
        pad = int(_PAD_S * RATE_HZ)
        first = max(0, int(loud[0]) * _BLOCK - pad)
        last = min(len(samples), (int(loud[-1]) + 1) * _BLOCK + pad)
        sound = samples[first:last] + np.resize(_FLOOR, last - first)
        return np.clip(sound, -32768, 32767).astype("<i2").tobytes()

    def _keep(self, seconds: float) -> None:
        del self._audio[: max(0, len(self._audio) - int(seconds * BYTES_PER_S))]

    def _pcm_16k(self, payload: bytes) -> bytes:
        if self._encoding is Encoding.PCM16:
            return payload
        decode = ulaw_to_pcm if self._encoding is Encoding.ULAW else alaw_to_pcm
        # Each sample twice. Its images above 4 kHz stand in for what the telephone took away,
        # which recognisers made for wideband like better than nothing there.
        return np.repeat(np.frombuffer(decode(payload), dtype="<i2"), 2).tobytes()


def _pitched(blocks: Blocks) -> NDArray[np.bool_]:
    """Tell which 20 ms blocks have a pitch, by their autocorrelation."""
    centred = blocks - blocks.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * _BLOCK, axis=1)
    similarity = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :_BLOCK]
    similarity /= np.maximum(similarity[:, :1], 1.0)
    similarity *= _BLOCK / np.arange(_BLOCK, 0, -1)  # fewer samples overlap at longer lags
    best: NDArray[np.bool_] = similarity[:, _PITCH_LAGS].max(axis=1) > _PITCHED
    return best
