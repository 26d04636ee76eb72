"""The queue between the RTP socket and the recogniser."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

FIVE_SECONDS_FRAMES = 250


class FrameQueue:
    """A bounded queue that drops its oldest frame when full.

    The socket must never wait and old audio cannot be answered in time any more, so a slow
    recogniser loses the past rather than delaying the present. `dropped` says how much was lost.

    Args:
        limit: Most frames held.
    """

    def __init__(self, limit: int = FIVE_SECONDS_FRAMES) -> None:
        self._frames: deque[bytes] = deque(maxlen=limit)
        self._changed = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: bytes) -> None:
        """Add one frame. Never waits. The empty frame is a mark, see `Dialogue`."""
        self.dropped += len(self._frames) == self._frames.maxlen
        self._frames.append(frame)
        self._changed.set()

    def close(self) -> None:
        """End iteration once the frames already queued are read."""
        self._closed = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield frames, oldest first, until closed and empty."""
        while True:
            while self._frames:
                yield self._frames.popleft()
            if self._closed:
                return
            self._changed.clear()
            await self._changed.wait()
