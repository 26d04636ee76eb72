"""Packets of any length cut into 20 ms frames, lost ones included."""

from __future__ import annotations

from typing import TypeAlias

Frame: TypeAlias = bytes | None
"""20 ms of wire audio, or None where they are lost."""


class Reframer:
    """Cuts in-order payloads of 10 to 60 ms into whole frames.

    A payload of exactly one frame passes through. A frame that is only partly lost is filled by
    repeating the last payload, which G.711 and G.722 both survive for 10 ms; a frame that is
    wholly lost becomes None.

    Args:
        silence: One frame of silence.
    """

    def __init__(self, silence: bytes) -> None:
        self._silence = silence
        self._frame_bytes = len(silence)
        self._pending = b""
        self._last_payload = silence

    def push(self, payload: bytes) -> list[Frame]:
        """Add a payload and take every frame it completes. An empty one says nothing."""
        size = self._frame_bytes
        if not payload:
            return []
        self._last_payload = payload
        if len(payload) == size and not self._pending:
            return [payload]
        audio = self._pending + payload
        whole = len(audio) - len(audio) % size
        self._pending = audio[whole:]
        return [audio[at : at + size] for at in range(0, whole, size)]

    def lose_packet(self) -> list[Frame]:
        """Add a lost packet, taken to be as long as the last one that came."""
        size = self._frame_bytes
        missing_bytes = len(self._last_payload)
        frames: list[Frame] = []
        if self._pending:
            repeated = self._repeat(min(missing_bytes, size - len(self._pending)))
            missing_bytes -= len(repeated)
            self._pending += repeated
            if len(self._pending) == size:
                frames.append(self._pending)
                self._pending = b""
        frames += [None] * (missing_bytes // size)
        self._pending += self._repeat(missing_bytes % size)
        return frames

    def pause(self) -> list[Frame]:
        """Complete a partial frame with silence, so that it delays nothing that comes later."""
        if not self._pending:
            return []
        frame = self._pending + self._silence[len(self._pending) :]
        self._pending = b""
        return [frame]

    def _repeat(self, size: int) -> bytes:
        last = self._last_payload
        return (last * (size // len(last) + 1))[:size]
