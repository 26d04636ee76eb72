"""One transcription session that outlives its connection.

The audio since the last recognised word is kept, so that a connection that breaks in the middle
of a sentence is replaced by another without losing words.
"""

from __future__ import annotations

import asyncio
import binascii
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from sovereign_ari.errors import ProviderError, ProviderUnavailable
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.audio_log import AudioLog, Flush
from sovereign_ari.speech.base import Transcript
from sovereign_ari.speech.openai_stt_items import TranscriptionItems, flush_event_id
from sovereign_ari.speech.patience import Patience

MIN_COMMIT_S = 0.1
"""Less audio than this the vendor refuses to commit."""

_PROVEN_S = 30.0  # a connection that lived this long was a good one
_BROKEN = (
    aiohttp.WSMsgType.CLOSE,
    aiohttp.WSMsgType.CLOSING,
    aiohttp.WSMsgType.CLOSED,
    aiohttp.WSMsgType.ERROR,
)
_WHAT = "openai transcription"

Socket = aiohttp.ClientWebSocketResponse


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Deadlines, in seconds.

    Attributes:
        connect_s: For a connection until its session is set up.
        send_s: Longest wait for a server that does not read.
        answer_s: From a flush to its transcript.
        kept_s: Unrecognised audio kept for another attempt; older audio is lost.
    """

    connect_s: float = 5.0
    send_s: float = 5.0
    answer_s: float = 8.0
    kept_s: float = 10.0


class OpenAIStream:
    """`SpeechStream` over one connection at a time.

    `send` and `flush` write to the log and, while connected, to the socket; `run` reads. After a
    break `run` connects again and sends the log; a second break without a transcript between
    ends the stream.

    Args:
        connect: Opens a connection whose session is set up.
        audio: Format of what is sent.
        limits: Deadlines.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[Socket]], audio: AudioFormat, limits: StreamLimits
    ) -> None:
        self._connect = connect
        self._limits = limits
        self._min_commit_bytes = audio.bytes_for(MIN_COMMIT_S)
        self._log = AudioLog(audio.bytes_for(limits.kept_s))
        self._items = TranscriptionItems()
        self._socket: Socket | None = None  # None while reconnecting
        self._uncommitted_bytes = 0
        self._flushes = 0
        self._answer_by_s: float | None = None
        self._patience: asyncio.Timeout | None = None
        self._sending = Patience()
        self._news = asyncio.Event()
        self._failure: ProviderError | None = None
        self._retried = False
        self._closed = False

    async def connect(self) -> None:
        """Open the first connection."""
        self._socket = await self._connect()

    async def close(self) -> None:
        """Hang up; the iterator ends."""
        self._closed = True
        self._news.set()
        await self._hang_up()

    async def send(self, audio: bytes) -> None:
        """Hand over audio; waits, up to a limit, when the server does not read."""
        self._raise_failure()
        self._log.append(audio)
        self._uncommitted_bytes += len(audio)
        if self._socket is not None:
            await self._write(self._socket, _append_json(audio), self._sending)

    async def flush(self) -> None:
        """Ask for the words so far; too little audio is answered without asking."""
        self._raise_failure()
        self._flushes += 1
        mark = Flush(self._flushes)
        empty = self._uncommitted_bytes < self._min_commit_bytes
        position = self._log.end if empty else self._log.append(mark)
        self._items.flush(mark.number, position, empty=empty)
        self._news.set()
        if empty:
            return
        self._uncommitted_bytes = 0
        self._expect_answer()
        if self._socket is not None:
            await self._write(self._socket, _commit_json(mark), self._sending)

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        while not self._closed:
            while self._items.out:
                yield self._items.out.popleft()
            self._raise_failure()
            self._news.clear()
            await self._news.wait()

    async def run(self) -> None:
        """Read until the stream is closed or cannot go on."""
        try:
            while self._socket is not None:
                await self._read(self._socket)
                await self._reconnect()
        except ProviderError as error:
            self._failure = error
        finally:
            self._failure = self._failure or ProviderUnavailable(f"{_WHAT} has ended")
            self._news.set()
            await self._hang_up()

    async def _read(self, socket: Socket) -> None:
        """Handle events until the connection breaks or an answer is overdue."""
        started_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(self._answer_by_s) as self._patience:
                while (message := await socket.receive()).type not in _BROKEN:
                    event = event_of(message)
                    if _ends_session(event):
                        return
                    self._on_event(event)
        except TimeoutError:
            raise ProviderUnavailable(f"{_WHAT} did not answer in time") from None
        finally:
            self._patience = None
            if asyncio.get_running_loop().time() - started_s > _PROVEN_S:
                self._retried = False

    def _on_event(self, event: dict[str, Any]) -> None:
        before = self._items.completed
        self._items.on_event(event, self._log.end)
        if event.get("type") == "input_audio_buffer.committed" and not self._items.waiting:
            self._uncommitted_bytes = 0  # the server cut a turn off by itself
        self._log.forget(self._items.done_until)
        if self._items.completed > before:
            self._retried = False
            self._answer_by_s = None
        if not self._items.waiting:
            self._answer_by_s = None
        elif self._answer_by_s is None:
            self._expect_answer()
        self._set_patience()
        if self._items.out:
            self._news.set()

    async def _reconnect(self) -> None:
        await self._hang_up()
        if self._retried:
            raise ProviderUnavailable(f"{_WHAT} broke off twice")
        self._retried = True
        fresh = await self._connect()
        await self._replay(fresh)
        self._socket = fresh

    async def _replay(self, socket: Socket) -> None:
        """Send what was not recognised, and what is said and flushed meanwhile."""
        entries = self._log.after(self._log.first)
        marks = {entry.number: end for end, entry in entries if isinstance(entry, Flush)}
        unanswered, newest = self._items.restart(), self._flushes
        for number in unanswered:  # one that is not in the log is older than what is kept
            position = marks.get(number, self._log.first)
            self._items.flush(number, position, empty=number not in marks)
        self._answer_by_s = None
        if self._items.waiting:
            self._expect_answer()
        sending = Patience()  # whoever speaks may still wait for the connection that is gone
        for _, entry in self._log.after(self._log.first):
            if isinstance(entry, bytes):
                await self._write(socket, _append_json(entry), sending)
            elif entry.number > newest or entry.number in unanswered:
                await self._write(socket, _commit_json(entry), sending)

    async def _hang_up(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def _write(self, socket: Socket, message: str, sending: Patience) -> None:
        """Send, or leave it to the reader to find that the connection is gone."""
        try:
            with sending.of(self._limits.send_s):
                await socket.send_str(message)
        except TimeoutError:
            await socket.close()
        except (aiohttp.ClientError, ConnectionError):
            return

    def _expect_answer(self) -> None:
        if self._answer_by_s is None:
            self._answer_by_s = asyncio.get_running_loop().time() + self._limits.answer_s
            self._set_patience()

    def _set_patience(self) -> None:
        if self._patience is not None:
            self._patience.reschedule(self._answer_by_s)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def event_of(message: aiohttp.WSMessage) -> dict[str, Any]:
    """Parse an event; what is not one becomes an empty event, which means nothing."""
    if message.type is not aiohttp.WSMsgType.TEXT:
        return {}
    try:
        event = json.loads(message.data)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _append_json(audio: bytes) -> str:
    """Build an append event by hand: ten of them a second and call."""
    encoded = binascii.b2a_base64(audio, newline=False).decode("ascii")
    return f'{{"type":"input_audio_buffer.append","audio":"{encoded}"}}'


def _commit_json(mark: Flush) -> str:
    event_id = flush_event_id(mark.number)
    return json.dumps({"type": "input_audio_buffer.commit", "event_id": event_id})


def _ends_session(event: dict[str, Any]) -> bool:
    error = event.get("error")
    if event.get("type") != "error" or not isinstance(error, dict):
        return False
    return error.get("type") == "server_error" or error.get("code") == "session_expired"
