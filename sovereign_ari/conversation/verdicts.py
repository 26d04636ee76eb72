"""When the network is asked about callers: about all that speak at once, for that costs a quarter.

A frame that completes a chunk waits up to a beat for the chunks of other calls; where few come, it
is judged at once. Its verdict is about its own sound, never a guess from the chunk before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from weakref import WeakKeyDictionary

from sovereign_ari.media.silero import Silero, judge

BEAT_S = 0.008
"""The longest wait: what it adds to the caller's interruption of the agent."""

_FEW = 3  # chunks, which cost as much as one
_CROWDED_S = 0.05


class Verdicts:
    """Has the chunks of all calls on one event loop judged."""

    def __init__(self) -> None:
        self._waiting: dict[Silero, Callable[[], None]] = {}
        self._judged: dict[Silero, Callable[[], None]] = {}
        self._asked_s = deque([-inf] * _FEW, maxlen=_FEW)
        self._beat: asyncio.Handle | None = None

    def ask(self, stream: Silero, then: Callable[[], None]) -> None:
        """Have a stream judged.

        Args:
            stream: A chunk of it is complete, and no earlier question about it is open.
            then: Called once, within the beat, when its probability is right; maybe before this
                returns.
        """
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        crowded = now_s - self._asked_s[0] < _CROWDED_S
        self._asked_s.append(now_s)
        self._waiting[stream] = then
        if not crowded:
            self.settle(stream)
        elif self._beat is None:
            self._beat = loop.call_later(BEAT_S, self._on_beat)

    def settle(self, stream: Silero) -> None:
        """Do not wait any longer with a stream, if it waits."""
        if stream in self._waiting:
            self._judge()  # the others as well; they are told on their beat
        if (then := self._judged.pop(stream, None)) is not None:
            then()

    def _judge(self) -> None:
        judge(self._waiting)
        self._judged.update(self._waiting)
        self._waiting.clear()

    def _on_beat(self) -> None:
        self._beat = None
        self._judge()
        try:
            while self._judged:
                self._judged.pop(next(iter(self._judged)))()
        finally:
            if self._judged:  # a fault in one call is not one of the others
                self._beat = asyncio.get_running_loop().call_soon(self._on_beat)


_OF_LOOP: WeakKeyDictionary[asyncio.AbstractEventLoop, Verdicts] = WeakKeyDictionary()


def verdicts() -> Verdicts:
    """Return those of the running event loop, of which a controller has one."""
    return _OF_LOOP.setdefault(asyncio.get_running_loop(), Verdicts())
