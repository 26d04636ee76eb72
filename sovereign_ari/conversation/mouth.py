"""What a conversation needs of the outgoing audio of a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sovereign_ari.media.pcm import AudioFormat


class Mouth(Protocol):
    """The outgoing audio of one call.

    What is put here leaves in real time; it is the only buffer between the synthesiser and the
    caller, so what it has sent is what was heard.
    """

    @property
    def audio(self) -> AudioFormat:
        """What `put` takes: the wire's format, where that can be cut anywhere."""

    def begin(self) -> None:
        """Start a reply: counts and times below are about it alone."""

    def put(self, audio: bytes) -> None:
        """Append audio."""

    def end(self) -> None:
        """Say that the reply is complete, so that its last partial frame can leave."""

    def pause(self) -> None:
        """Send silence, keeping the place."""

    def resume(self) -> None:
        """Go on where it was paused."""

    def cut(self) -> None:
        """Forget what was not sent yet."""

    def take_sent(self) -> Sequence[bytes | None]:
        """Take the frames that left since the last time, as they were put; None for silence."""

    @property
    def sent_bytes(self) -> int:
        """How much of this reply has left."""

    @property
    def queued_s(self) -> float:
        """Seconds of audio that have not left."""

    @property
    def first_sent_s(self) -> float | None:
        """Monotonic time of this reply's first packet, None before it."""

    @property
    def last_sent_s(self) -> float | None:
        """Monotonic time of this reply's latest packet."""
