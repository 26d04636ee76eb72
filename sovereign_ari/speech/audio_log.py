"""Audio sent to a recogniser and not recognised yet, to be sent again after a break. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flush:
    """A mark in the audio: the caller paused here."""

    number: int


class AudioLog:
    """A queue of audio and flush marks, limited by size; the oldest audio goes first.

    Positions count entries from the beginning of the call and never restart.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._entries: deque[bytes | Flush] = deque()
        self._first = 0
        self._size_bytes = 0

    @property
    def first(self) -> int:
        """Position of the oldest entry kept."""
        return self._first

    @property
    def end(self) -> int:
        """Position after the newest entry."""
        return self._first + len(self._entries)

    def append(self, entry: bytes | Flush) -> int:
        """Add an entry; return the position after it."""
        self._entries.append(entry)
        if isinstance(entry, bytes):
            self._size_bytes += len(entry)
            while self._size_bytes > self._limit_bytes and len(self._entries) > 1:
                self._drop()
        return self.end

    def forget(self, until: int) -> None:
        """Drop what is recognised: everything before a position."""
        while self._entries and self._first < until:
            self._drop()

    def after(self, position: int) -> Iterator[tuple[int, bytes | Flush]]:
        """Go through the entries from a position on, including those added meanwhile.

        Yields:
            The position after the entry, and the entry.
        """
        position = max(position, self._first)
        while position < self.end:
            entry = self._entries[position - self._first]
            position += 1
            yield position, entry
            position = max(position, self._first)

    def _drop(self) -> None:
        entry = self._entries.popleft()
        self._first += 1
        if isinstance(entry, bytes):
            self._size_bytes -= len(entry)
