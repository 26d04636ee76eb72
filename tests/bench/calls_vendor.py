"""A vendor for benches, in a process of its own: answers at once and costs next to nothing.

Its voice is an unbroken tone, so that every hole in what a caller hears is somebody's fault.
"""

from __future__ import annotations

import asyncio
import audioop
import functools
import sys

from tests.support.fake_openai import fake_openai
from tests.support.speech_samples import tone

GREETING = "Greeting"
REPLY = "Reply"
GREETING_S = 1.0
REPLY_S = 4.0
TONE_HZ = 500
TONE_DBFS = -16.0
_LOUD_RMS = 300


@functools.cache
def render(text: str, rate_hz: int) -> bytes:
    """Speak: the greeting for one second, anything else for four."""
    return tone(TONE_HZ, GREETING_S if text == GREETING else REPLY_S, rate_hz, TONE_DBFS)


def recognise(pcm: bytes) -> str:
    """Understand the same two words whenever there was anything loud."""
    loud = any(audioop.rms(pcm[n : n + 320], 2) > _LOUD_RMS for n in range(0, len(pcm), 320))
    return "all right" if loud else ""


async def serve() -> None:
    """Serve until standard input closes; the address is printed first."""
    async with fake_openai() as vendor:
        vendor.reply = lambda _messages, _tools: REPLY
        vendor.speech.render = render
        vendor.realtime.recognise = recognise
        print(vendor.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
