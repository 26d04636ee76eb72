"""Offline speech by the espeak-ng program, one process per sentence.

The program and not its library: the library is GPL-3, and a process can be killed in the middle
of a sentence.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.media.level import amplified
from sovereign_ari.media.pcm import AudioFormat, Encoding

ESPEAK_RATE_HZ = 22050
FIRST_BYTE_S = 5.0
NEXT_CHUNK_S = 5.0
_PROGRAM = "espeak-ng"
_AMPLITUDE = 80  # of 200: no voice clips; with the gain, speech is at about -20 dBFS
_GAIN = 1.25
_READ_BYTES = 8192
_WHAT = "espeak-ng"


class EspeakTextToSpeech:
    """One voice.

    Args:
        voice: Name of an espeak-ng voice.
        words_per_minute: 80 to 300.
    """

    def __init__(self, voice: str = "en-gb", *, words_per_minute: int = 160) -> None:
        self._voice = voice
        self._words_per_minute = words_per_minute

    @property
    def label(self) -> str:
        """`espeak/<voice>`."""
        return f"espeak/{self._voice}"

    @property
    def audio(self) -> AudioFormat:
        """22.05 kHz PCM16."""
        return AudioFormat(Encoding.PCM16, ESPEAK_RATE_HZ)

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """Stream one sentence; the process is killed when nobody listens any more."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + FIRST_BYTE_S
        pending = b""
        header = True
        spoken = False
        async with self._run(text) as output:
            while chunk := await _read(output, deadline_s):
                deadline_s = loop.time() + NEXT_CHUNK_S
                pending += chunk
                if header:
                    if (start := _data_start(pending)) is None:
                        continue
                    pending, header = pending[start:], False
                even = len(pending) & ~1
                if even:
                    spoken = True
                    yield amplified(pending[:even], _GAIN)
                pending = pending[even:]
        if not spoken and any(character.isalnum() for character in text):
            raise ProviderUnavailable(f"{_WHAT} said nothing; is its voice data installed?")

    @asynccontextmanager
    async def _run(self, text: str) -> AsyncIterator[asyncio.StreamReader]:
        options = ("-v", self._voice, "-s", str(self._words_per_minute), "-a", str(_AMPLITUDE))
        try:
            process = await asyncio.create_subprocess_exec(
                _PROGRAM, *options, "-z", "--stdin", "--stdout",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise ProviderRefused(
                "the program espeak-ng is not installed: apt-get install espeak-ng"
            ) from error
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            # On stdin a text can neither be taken for an option nor be seen in `ps`.
            process.stdin.write(text.encode())
            process.stdin.close()
            yield process.stdout
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _read(output: asyncio.StreamReader, deadline_s: float) -> bytes:
    try:
        async with asyncio.timeout_at(deadline_s):
            return await output.read(_READ_BYTES)
    except TimeoutError as error:
        raise ProviderUnavailable(f"{_WHAT} did not answer in time") from error


def _data_start(head: bytes) -> int | None:
    """Find where the samples of a WAV file begin; None while its header is incomplete.

    Sizes in the header are not true: the file is written to a pipe.
    """
    position = 12
    while len(head) >= position + 8:
        size: int
        name, size = struct.unpack_from("<4sI", head, position)
        position += 8
        if name == b"data":
            return position
        position += size
    return None
