"""Offline recognition by pocketsphinx, with a grammar of a few dozen words.

Without a grammar it takes free dictation, which over a telephone gets every second word wrong.
The recogniser runs in a process of its own, see `pocketsphinx_worker`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import PCM_16K, AudioFormat, Encoding
from sovereign_ari.speech.base import SpeechStream, Transcript
from sovereign_ari.speech.pocketsphinx_wire import HEADER, Kind, pack

OPEN_S = 10.0
SEND_S = 5.0
ANSWER_S = 8.0
_WHAT = "pocketsphinx"
_MODULE = "sovereign_ari.speech.pocketsphinx_worker"
_ROOT = Path(__file__).parents[2]


class PocketsphinxSpeechToText:
    """One grammar.

    Args:
        worker: The process that recognises, shared by all.
        grammar: JSGF text, or None.
        phrases: What the caller may say, instead of a grammar.
    """

    def __init__(
        self,
        worker: PocketsphinxWorker,
        *,
        grammar: str | None = None,
        phrases: Sequence[str] = (),
    ) -> None:
        self._worker = worker
        self._config = {"grammar": grammar, "phrases": list(phrases)}

    @property
    def label(self) -> str:
        """Always `pocketsphinx/en-us`."""
        return "pocketsphinx/en-us"

    def format_for(self, wire: AudioFormat) -> AudioFormat:
        """G.711 as it is; everything else as 16 kHz PCM."""
        return wire if wire.encoding in (Encoding.ULAW, Encoding.ALAW) else PCM_16K

    @asynccontextmanager
    async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
        """Start one recognition; the first one waits for the process to start."""
        stream = await self._worker.open({**self._config, "encoding": audio.encoding.value})
        try:
            yield stream
        finally:
            self._worker.close(stream)


class PocketsphinxWorker:
    """The recogniser's process, started when it is first needed and again after a crash.

    An async context manager; leaving it ends the process.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._streams: dict[int, _Stream] = {}
        self._opened = 0

    async def __aenter__(self) -> PocketsphinxWorker:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the process unless it runs.

        Raises:
            ProviderRefused: When it cannot be started at all.
        """
        async with self._starting:
            if self._reader is not None and not self._reader.done():
                return
            await self._stop()
            path = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
            try:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-W", "ignore", "-m", _MODULE,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
                )  # fmt: skip
            except OSError as error:
                raise ProviderRefused(f"{_WHAT} cannot be started: {error}") from error
            assert self._process.stdout is not None
            self._reader = asyncio.create_task(
                self._read(self._process.stdout), name="pocketsphinx-reader"
            )

    async def open(self, config: Mapping[str, Any]) -> _Stream:
        """Open a stream in the process."""
        await self.start()
        self._opened += 1
        stream = _Stream(self, self._opened)
        self._streams[stream.number] = stream
        try:
            await self.send(pack(Kind.OPEN, stream.number, json.dumps(config).encode()))
            async with asyncio.timeout(OPEN_S):
                await stream.opened.wait()
            stream.raise_failure()
        except TimeoutError as error:
            self.close(stream)
            raise ProviderUnavailable(f"{_WHAT} did not start in time") from error
        except BaseException:
            self.close(stream)
            raise
        return stream

    def close(self, stream: _Stream) -> None:
        """Close a stream; never waits."""
        stream.end(None)
        known = self._streams.pop(stream.number, None)
        if known is not None and self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(pack(Kind.CLOSE, stream.number))

    async def send(self, message: bytes) -> None:
        """Write a message; waits, up to a limit, when the process is behind."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(message)
            async with asyncio.timeout(SEND_S):
                await self._process.stdin.drain()
        except TimeoutError as error:
            raise ProviderUnavailable(f"{_WHAT} does not keep up") from error
        except (ConnectionError, RuntimeError) as error:
            raise ProviderUnavailable(f"{_WHAT} has crashed") from error

    async def _read(self, output: asyncio.StreamReader) -> None:
        try:
            while True:
                header = await output.readexactly(HEADER.size)
                size, kind, number = HEADER.unpack(header)
                text = (await output.readexactly(size)).decode()
                if (stream := self._streams.get(number)) is not None:
                    stream.on_message(kind, text)
        except asyncio.IncompleteReadError:
            crash = ProviderUnavailable(f"{_WHAT} has crashed")
            for stream in self._streams.values():
                stream.end(crash)
            self._streams.clear()

    async def _stop(self) -> None:
        process, self._process = self._process, None
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.wait([reader])
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()


class _Stream:
    """See `SpeechStream`."""

    def __init__(self, worker: PocketsphinxWorker, number: int) -> None:
        self.number = number
        self.opened = asyncio.Event()
        self._worker = worker
        self._out: deque[Transcript] = deque()
        self._news = asyncio.Event()
        self._failure: ProviderError | None = None
        self._closed = False
        self._unanswered = 0
        self._answer_by: asyncio.TimerHandle | None = None

    async def send(self, audio: bytes) -> None:
        self.raise_failure()
        await self._worker.send(pack(Kind.AUDIO, self.number, audio))

    async def flush(self) -> None:
        self.raise_failure()
        self._unanswered += 1
        self._expect_answer()
        await self._worker.send(pack(Kind.FLUSH, self.number))

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        while True:
            while self._out:
                yield self._out.popleft()
            self.raise_failure()
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()

    def on_message(self, kind: int, text: str) -> None:
        """Take what the process says."""
        if kind == Kind.REFUSED:
            self.end(ProviderRefused(f"{_WHAT}: {text}"))
        elif kind == Kind.FINAL:
            self._unanswered -= 1
            self._expect_answer()
            self._out.append(Transcript(text, final=True, flushed=True))
        elif kind == Kind.PARTIAL and text:
            if self._out and not self._out[-1].final:
                self._out.pop()
            self._out.append(Transcript(text, final=False))
        self.opened.set()
        self._news.set()

    def end(self, failure: ProviderError | None) -> None:
        """End the stream, by an error or properly."""
        self._failure = self._failure or failure
        self._closed = True
        self._unanswered = 0
        self._expect_answer()
        self.opened.set()
        self._news.set()

    def raise_failure(self) -> None:
        """Raise what ended the stream, if an error did."""
        if self._failure is not None:
            raise self._failure

    def _expect_answer(self) -> None:
        if self._answer_by is not None:
            self._answer_by.cancel()
            self._answer_by = None
        if self._unanswered:
            late = ProviderUnavailable(f"{_WHAT} did not answer in time")
            loop = asyncio.get_running_loop()
            self._answer_by = loop.call_later(ANSWER_S, self.end, late)
