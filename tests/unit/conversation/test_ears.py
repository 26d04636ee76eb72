"""How the caller's audio reaches the recogniser: all of it, in order, no later than it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.conversation.ears import (
    CHUNK_FRAMES,
    IDLE_AFTER_FRAMES,
    IDLE_CHUNK_FRAMES,
    Ears,
)
from sovereign_ari.media.g711 import pcm_to_ulaw
from sovereign_ari.media.pcm import ULAW_8K, AudioFormat
from sovereign_ari.speech.base import SpeechStream, Transcript
from tests.support.scripted_speech import TimedMouth
from tests.support.speech_samples import tone

FRAME_BYTES = 160
SILENCE = b"\xff" * FRAME_BYTES
VOICE = pcm_to_ulaw(tone(300, 0.02))


class Listener:
    """A recogniser that only keeps what it is sent: audio, and empty for a flush."""

    label = "a/listener"

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def format_for(self, wire: AudioFormat) -> AudioFormat:
        return wire

    @asynccontextmanager
    async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
        yield self

    async def send(self, audio: bytes) -> None:
        self.sent.append(audio)

    async def flush(self) -> None:
        self.sent.append(b"")

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        await asyncio.Event().wait()
        yield Transcript("", final=True)

    @property
    def frames(self) -> int:
        return sum(map(len, self.sent)) // FRAME_BYTES


async def hear(frames: Sequence[bytes]) -> tuple[Listener, list[int]]:
    """Let ears hear these, and flush; how many frames were not sent yet after each."""
    listener = Listener()
    mouth = TimedMouth(ULAW_8K)
    ears = Ears(listener, ULAW_8K, mouth, lambda _: None, lambda *_: None)
    listening = asyncio.create_task(ears.listen())
    waiting = []
    for number, frame in enumerate(frames, 1):
        ears.hear(frame, 0.0)
        await _settle()
        waiting.append(number - listener.frames)
    ears.flush()
    await _settle()
    listening.cancel()
    await asyncio.wait((listening,))
    return listener, waiting


async def _settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 80)), max_size=6))
def test_all_that_was_said_arrives_in_order_and_before_the_flush(
    stretches: list[tuple[bool, int]],
) -> None:
    frames = [VOICE if loud else SILENCE for loud, count in stretches for _ in range(count)]
    listener, waiting = asyncio.run(hear(frames))
    assert b"".join(listener.sent) == b"".join(frames)
    assert listener.sent[-1] == b""
    assert max(waiting, default=0) < IDLE_CHUNK_FRAMES


def test_nothing_said_is_held_back_for_longer_than_a_chunk_of_speech() -> None:
    silent = IDLE_AFTER_FRAMES + 2 * IDLE_CHUNK_FRAMES + 7
    frames = [SILENCE] * silent + [VOICE] * 40 + [SILENCE] * IDLE_AFTER_FRAMES
    _, waiting = asyncio.run(hear(frames))
    assert max(waiting[silent:]) < CHUNK_FRAMES


def test_a_silent_caller_is_a_message_every_300_ms() -> None:
    listener, _ = asyncio.run(hear([SILENCE] * (IDLE_AFTER_FRAMES + 20 * IDLE_CHUNK_FRAMES)))
    assert len(listener.sent) <= IDLE_AFTER_FRAMES / CHUNK_FRAMES + 22
