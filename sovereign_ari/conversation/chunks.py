"""The queue of audio between the RTP socket and the recogniser."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

FIVE_SECONDS_CHUNKS = 50


class ChunkQueue:
    """A bounded queue that drops its oldest chunk when full.

    The socket must never wait and old audio cannot be answered in time any more, so a slow
    recogniser loses the past rather than delaying the present. `dropped` says how much was lost.

    Args:
        limit: Most chunks held.
    """

    def __init__(self, limit: int = FIVE_SECONDS_CHUNKS) -> None:
        self._chunks: deque[bytes] = deque(maxlen=limit)
        self._changed = asyncio.Event()
        self._closed = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._chunks)

    def put(self, chunk: bytes) -> None:
        """Add one chunk. Never waits. The empty chunk is a mark of `Ears`, see there."""
        self.dropped += len(self._chunks) == self._chunks.maxlen
        self._chunks.append(chunk)
        self._changed.set()

    def close(self) -> None:
        """End iteration once the chunks already queued are read."""
        self._closed = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield chunks, oldest first, until closed and empty."""
        while True:
            while self._chunks:
                yield self._chunks.popleft()
            if self._closed:
                return
            self._changed.clear()
            await self._changed.wait()
