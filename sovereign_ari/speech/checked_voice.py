"""Audio of a synthesiser that was looked at before anybody hears it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.media.sound_check import HEAD_S, LEAST_S, may_be_mp3, what_it_is
from sovereign_ari.speech.base import TextToSpeech

MOST_S, MOST_S_PER_LETTER = 10.0, 1.0
"""What no voice needs: the rest of what lasts longer is dropped, and its request ended."""
_MP3_FRAMES_BYTES = 2900


async def checked_audio(voice: TextToSpeech, text: str) -> AsyncGenerator[bytes, None]:
    """Stream what a voice makes of a text; closing it ends the request.

    Raises:
        ProviderRefused: If it is a file or compressed data where samples were asked for.
        ProviderUnavailable: If it is the text of an error, or less than a sound.
        ProviderError: As the voice does.
    """
    audio = voice.audio
    head, looked_at, left_s = b"", False, MOST_S + MOST_S_PER_LETTER * len(text)
    async with aclosing(voice.speak(text)) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            left_s -= audio.seconds(len(chunk))
            if not looked_at:
                head += chunk
                needed = _head_bytes(voice, head)
                if len(head) < needed:
                    continue
                _look_at(voice, head[:needed])
                looked_at, chunk, head = True, head, b""
            yield chunk
            if left_s < 0:
                return
    if not looked_at:
        _look_at(voice, head)
        if audio.seconds(len(head)) < LEAST_S and any(map(str.isalnum, text)):
            raise ProviderUnavailable(f"{voice.label} sent no audio")
        if head:
            yield head


def _head_bytes(voice: TextToSpeech, head: bytes) -> int:
    """How much must be there to tell: more of what may be an MP3 file."""
    size = voice.audio.bytes_for(HEAD_S)
    return max(size, _MP3_FRAMES_BYTES) if may_be_mp3(head) else size


def _look_at(voice: TextToSpeech, head: bytes) -> None:
    found = what_it_is(head, voice.audio)
    if found == "text":
        raise ProviderUnavailable(f"{voice.label} sent a text instead of audio")
    if found is not None:
        raise ProviderRefused(f"{voice.label} sent {found} instead of raw samples")
