"""Recognises one stretch of audio, over one remote call at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sovereign_ari.errors import ProviderError, ProviderUnavailable
from sovereign_ari.speech.google_errors import Throttled
from sovereign_ari.speech.google_rpc import Rpc
from sovereign_ari.speech.google_stt_stretch import Result, Stretch

WHAT = "google speech"
_PAUSES_S = (0.0, 0.25)
"""Before each attempt to replace a call that broke; after the last of them it is given up."""

_VOICE_ENDED = (1, 3)  # END_OF_SINGLE_UTTERANCE, SPEECH_ACTIVITY_END
_PROVEN_S = 5.0  # a call that lived this long was a good one
_IDLE_S = 3.0
"""Without audio for this long, a call that ends is replaced when audio comes again: Google ends
calls that send nothing."""


@dataclass(frozen=True, slots=True)
class GoogleLimits:
    """Deadlines, in seconds.

    Attributes:
        connect_s: For a call until its first request is sent.
        send_s: Longest wait for a server that does not read.
        answer_s: From a flush to its transcript.
        kept_s: Unrecognised audio kept for another call while words are coming; of older audio
            the words stand as they were heard last.
        quiet_kept_s: The same while there are no words.
        stream_s: A call older than this is replaced when no words are pending. Google ends it
            after 300.
        longest_s: One older than this is replaced in any case.
    """

    connect_s: float = 5.0
    send_s: float = 5.0
    answer_s: float = 8.0
    kept_s: float = 60.0
    quiet_kept_s: float = 15.0
    stream_s: float = 240.0
    longest_s: float = 280.0


@dataclass(frozen=True, slots=True)
class Recogniser:
    """How to recognise.

    Attributes:
        call: Begins a remote call.
        request: Makes a request of audio.
        limits: Deadlines.
    """

    call: Callable[[], Awaitable[Rpc]]
    request: Callable[[bytes], Any]
    limits: GoogleLimits

    async def begin(self) -> Rpc:
        """Begin a remote call.

        Raises:
            ProviderError: When Google refuses or cannot be reached.
        """
        try:
            async with asyncio.timeout(self.limits.connect_s):
                return await self.call()
        except TimeoutError:
            raise ProviderUnavailable(f"{WHAT} cannot be reached in time") from None


class _Overdue(ProviderUnavailable):
    """There was no answer to a flush: another call would be as late."""


class Recognition:
    """One stretch being recognised.

    Args:
        recogniser: How.
        stretch: What.
        on_news: Called when there are words, the end, or a failure. Must not wait.

    Attributes:
        stretch: The stretch.
        failure: Why it cannot go on.
    """

    def __init__(
        self, recogniser: Recogniser, stretch: Stretch, on_news: Callable[[], None]
    ) -> None:
        self.stretch = stretch
        self.failure: ProviderError | None = None
        self._recogniser = recogniser
        self._limits = recogniser.limits
        self._on_news = on_news
        self._task: asyncio.Task[None] | None = None
        self._first: Rpc | None = None
        self._more = asyncio.Event()
        self._sent = 0
        self._last_audio_s = 0.0
        self._answer_by_s: float | None = None
        self._patience: asyncio.Timeout | None = None
        self._failures = 0
        self._replacing = False

    async def connect(self) -> None:
        """Begin, and wait for the connection.

        Raises:
            ProviderError: When Google refuses or cannot be reached.
        """
        self.start(await self._recogniser.begin())

    def start(self, rpc: Rpc | None = None) -> None:
        """Begin, over this call if there is one already."""
        self._last_audio_s = _now_s()
        self._first = rpc
        self._task = asyncio.create_task(self._run(rpc), name="google-stt")

    def append(self, audio: bytes) -> None:
        """Add audio."""
        self.stretch.append(audio)
        self._last_audio_s = _now_s()
        self._more.set()

    def finish(self) -> None:
        """Say that no audio comes any more; the words must come soon."""
        self.stretch.ended = True
        self._answer_by_s = _now_s() + self._limits.answer_s
        if self._patience is not None:
            self._patience.reschedule(self._answer_by_s)
        self._more.set()

    @property
    def running(self) -> bool:
        """Whether `close` has something to end."""
        return self._task is not None and not self._task.done()

    async def close(self) -> None:
        """End at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if self._first is not None:  # a task that never ran ends nothing
                self._first.cancel()
            if not self._task.cancelled():
                self._task.result()

    async def _run(self, rpc: Rpc | None) -> None:
        try:
            while not self.stretch.done:
                try:
                    rpc = rpc or await self._begin_again()
                    await self._recognise(rpc)
                except ProviderUnavailable as error:
                    await self._after(error)
                rpc = None
        except ProviderError as error:
            self.failure = error
        finally:
            if not self.stretch.done:
                self.failure = self.failure or ProviderUnavailable(f"{WHAT} has ended")
            self._on_news()

    async def _begin_again(self) -> Rpc:
        if not self.stretch.ended and _now_s() - self._last_audio_s > _IDLE_S:
            self._more.clear()
            await self._more.wait()
        return await self._recogniser.begin()

    async def _after(self, error: ProviderUnavailable) -> None:
        """Pause after a failure, or pass it on when another call would not help."""
        if self._replacing:
            self._replacing = False
            return
        if isinstance(error, _Overdue | Throttled):
            raise error
        if self._failures >= len(_PAUSES_S):
            raise ProviderUnavailable(f"{WHAT} broke off again and again") from error
        self._failures += 1
        await asyncio.sleep(_PAUSES_S[self._failures - 1])

    async def _recognise(self, rpc: Rpc) -> None:
        """Serve one call until its end, or until it is to be replaced."""
        position = self.stretch.begin(self._sent)
        pump = asyncio.create_task(self._pump(rpc, position), name="google-stt-send")
        began_s = _now_s()
        try:
            while (response := await self._answer(rpc)) is not None:
                self._failures = 0
                self._take(response)
                self._on_news()
            if not self.stretch.ended:
                raise ProviderUnavailable(f"{WHAT} ended by itself")
            self.stretch.settle()
        except _Overdue:
            if not self.stretch.text:
                raise
            self.stretch.settle()  # words that were never made final are better than none
        finally:
            if _now_s() - began_s > _PROVEN_S:
                self._failures = 0
            pump.cancel()
            await asyncio.wait([pump])
            rpc.cancel()

    def _take(self, response: Any) -> None:
        """Take a response, which holds an event or else results."""
        if response.speech_event_type:
            self.stretch.voice_ended = response.speech_event_type in _VOICE_ENDED
        else:
            self.stretch.on_results(_results(response.results), self._sent)

    async def _answer(self, rpc: Rpc) -> Any:
        try:
            async with asyncio.timeout_at(self._answer_by_s) as self._patience:
                return await rpc.read()
        except TimeoutError:
            raise _Overdue(f"{WHAT} did not answer in time") from None
        finally:
            self._patience = None

    async def _pump(self, rpc: Rpc, position: int) -> None:
        """Send what there is and what comes; a failure ends the call, whose reader finds out."""
        began_s = _now_s()
        self._sent = position
        self._replacing = False
        try:
            while not self._is_due(_now_s() - began_s):
                self._more.clear()
                await self._send_all(rpc)
                if self.stretch.ended:
                    await rpc.half_close()
                    return
                await self._more.wait()
            self._replacing = True
            rpc.cancel()
        except (ProviderError, TimeoutError):
            rpc.cancel()

    async def _send_all(self, rpc: Rpc) -> None:
        while True:
            piece, position = self.stretch.take(self._sent)
            if not piece:
                return
            async with asyncio.timeout(self._limits.send_s):
                await rpc.write(self._recogniser.request(piece))
            self._sent = position

    def _is_due(self, age_s: float) -> bool:
        if self.stretch.ended:
            return False
        pending = bool(self.stretch.partial)
        return age_s > (self._limits.longest_s if pending else self._limits.stream_s)


def _results(results: Iterable[Any]) -> list[Result]:
    return [
        Result(
            result.alternatives[0].transcript,
            result.is_final,
            result.result_end_offset.seconds + result.result_end_offset.nanos / 1e9,
        )
        for result in results
        if result.alternatives
    ]


def _now_s() -> float:
    return asyncio.get_running_loop().time()
