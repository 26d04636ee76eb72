"""One thread that judges what all callers say: a batch of them costs a fraction of one by one.

The network lets the interpreter go while it computes. On the event loop that is the worst of both:
the loop waits for it, and then for its turn with the interpreter, which at 50 calls took five
times as long as the judgement itself. This thread may wait; the loop reads what it found.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from sovereign_ari.media.silero import DESK, Silero, judge_together

GATHER_S = 0.005
"""How long chunks are collected: a share of the frame after which their result is read."""

MOST = 64

log = logging.getLogger(__name__)


class HearingThread:
    """Judges for every stream of this process between `start` and `stop`."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Silero, bytes]] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="hearing", daemon=True)

    def start(self) -> None:
        """Begin to judge."""
        self._thread.start()
        DESK.submit = self.submit

    def stop(self) -> None:
        """End the thread and wait for it; streams are judged at once from then on."""
        DESK.submit = None
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def submit(self, stream: Silero, chunk: bytes) -> None:
        """Take the next chunk of a stream. Never waits."""
        self._waiting.append((stream, chunk))
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if self._stopping:
                return
            time.sleep(GATHER_S)
            self._wake.clear()
            while batch := self._batch():
                try:
                    judge_together(batch)
                except Exception:  # this thread is the ear of every other call
                    log.exception("a batch of sound could not be judged")

    def _batch(self) -> list[tuple[Silero, bytes]]:
        """Take what waits, the oldest chunk of each stream."""
        batch: dict[int, tuple[Silero, bytes]] = {}
        later: list[tuple[Silero, bytes]] = []
        while self._waiting and len(batch) < MOST:
            one = self._waiting.popleft()
            if id(one[0]) in batch:
                later.append(one)
            else:
                batch[id(one[0])] = one
        self._waiting.extendleft(reversed(later))
        return list(batch.values())
