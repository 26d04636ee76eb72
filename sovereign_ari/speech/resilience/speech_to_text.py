"""A recogniser that goes on listening when a vendor does not.

What the caller says is kept until its words are final. When a connection is refused, breaks, or
leaves a flush unanswered for too long, another is opened - to the same vendor once more where that
may help, then to the next - and hears what was kept, as fast as it takes it:

    caller    one two three four five
    vendor A  one two x                      breaks off before "one two" is final
    vendor B           one two three four five

so no word is lost, none comes twice, and each flush is answered exactly once. Words that were
shown but not final may change meanwhile. The vendor that took over stays for the rest of the call.
Where there is no other, words that a vendor has shown, and never makes final, stand in the end,
and a session that swallows a flush is replaced by another of the same vendor, once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sovereign_ari.errors import ProviderError, ProviderUnavailable
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.base import SpeechStream, SpeechToText, Transcript
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.line import Line
from sovereign_ari.speech.resilience.notes import ProviderNotes
from sovereign_ari.speech.resilience.succession import Succession, TooSlow, now_s
from sovereign_ari.speech.resilience.unheard import Unheard


@dataclass(frozen=True, slots=True)
class ListeningLimits:
    """Deadlines, in seconds.

    Attributes:
        connect_s: For a connection, while another vendor may be asked.
        last_connect_s: The same of the last vendor.
        send_s: Longest wait for a vendor that does not read.
        answer_s: From a flush to its transcript, while another vendor may be asked.
        last_answer_s: The same of the last vendor.
        lone_answer_s: The same where there is only one, who is asked twice.
        repeat_factor: What is added to the last three for each second that is heard again.
        kept_s: Audio kept for another connection; older audio is lost.
        last_pauses_s: Before each further connection to the last vendor: a caller hears nothing of
            them, and the network may be back by then.
        proven_s: A connection that lived this long was a good one: its end is no failed attempt.
    """

    connect_s: float = 2.5
    last_connect_s: float = 5.0
    send_s: float = 3.0
    answer_s: float = 3.0
    last_answer_s: float = 5.0
    lone_answer_s: float = 2.5
    repeat_factor: float = 0.3
    kept_s: float = 30.0
    last_pauses_s: Sequence[float] = (0.0, 0.5, 1.5)
    proven_s: float = 30.0


class ResilientSpeechToText:
    """The recogniser of one call: a primary, and those that stand in for it. A `SpeechToText`.

    Args:
        candidates: In order of preference, at least one.
        notes: For the timeline.
        limits: Deadlines.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate[SpeechToText]],
        notes: ProviderNotes,
        limits: ListeningLimits | None = None,
    ) -> None:
        self._candidates = tuple(candidates)
        self._listener = self._candidates[0]
        self.notes = notes
        self.limits = limits or ListeningLimits()

    @property
    def label(self) -> str:
        """Of the vendor that listens now."""
        return self._listener.label

    def format_for(self, wire: AudioFormat) -> AudioFormat:
        """The wire's own: what a vendor wants instead is made for it here."""
        return wire

    @asynccontextmanager
    async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
        """Begin to listen; a vendor that cannot be reached shows later, when no other can."""
        stream = _Listening(self, audio)
        # Not a task group: it would wrap what the body of the `async with` raises.
        running = asyncio.create_task(stream.run(), name="stt-resilience")
        try:
            yield stream
        finally:
            stream.close()
            running.cancel()
            await asyncio.wait([running])
            if not running.cancelled():
                running.result()

    def succession(self) -> Succession[SpeechToText]:
        """Who is to listen from now on: the one that does, those behind it, those before it."""
        at = self._candidates.index(self._listener)
        order = [*self._candidates[at:], *self._candidates[:at]]
        return Succession(order, self.notes, self.limits.last_pauses_s)

    def listens(self, candidate: Candidate[SpeechToText]) -> None:
        """Note who does."""
        self._listener = candidate

    @property
    def is_alone(self) -> bool:
        """Whether there is nobody else to ask."""
        return len(self._candidates) == 1


class _Listening:
    """`SpeechStream` over one vendor at a time.

    `send` and `flush` write to what is kept and, once the vendor has caught up, to the vendor.
    """

    def __init__(self, owner: ResilientSpeechToText, audio: AudioFormat) -> None:
        self._owner = owner
        self._limits = owner.limits
        self._audio = audio
        self._unheard = Unheard(audio, owner.limits.kept_s)
        self._line: Line | None = None  # None until it has caught up
        self._out: deque[Transcript] = deque()
        self._news = asyncio.Event()
        self._failure: ProviderError | None = None
        self._swallowed = False  # whether a session ended without an answer, and none came since
        self._closed = False

    def close(self) -> None:
        """End the iterator."""
        self._closed = True
        self._news.set()

    async def send(self, audio: bytes) -> None:
        """Hand over audio; waits, up to a limit, when the vendor does not read."""
        self._raise_failure()
        self._unheard.append(audio)
        if self._line is not None:
            await self._tell(self._line, audio)

    async def flush(self) -> None:
        """Ask for the words so far."""
        self._raise_failure()
        self._unheard.flush()
        if self._line is not None:
            await self._tell(self._line, b"")

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        while True:
            while self._out:
                yield self._out.popleft()
            if self._closed:
                return
            self._raise_failure()
            self._news.clear()
            await self._news.wait()

    async def run(self) -> None:
        """Listen until closed, or until nobody can."""
        try:
            await self._listen_in_turn(self._owner.succession())
        except ProviderError as error:
            self._failure = error
        finally:
            self._failure = self._failure or ProviderUnavailable("the recognition has ended")
            self._news.set()

    async def _listen_in_turn(self, turn: Succession[SpeechToText]) -> None:
        while True:
            candidate = turn.candidate
            line = Line(candidate, self._audio, self._unheard)
            try:
                await self._listen(line, last=turn.is_last)
            except ProviderError as error:
                candidate.failed(error, now_s())
                if line.answered or line.age_s > self._limits.proven_s:
                    turn = self._owner.succession()
                await turn.go_on(error)
            finally:
                candidate.breaker.gave_up()  # which counts when it was not told of a failure

    async def _listen(self, line: Line, *, last: bool) -> None:
        """Use one connection until it ends.

        Raises:
            ProviderError: Always.
        """
        limits = self._limits
        line.answer_s = limits.last_answer_s if last else limits.answer_s
        if self._owner.is_alone:
            line.answer_s = limits.lone_answer_s
        line.slack_s = limits.repeat_factor * self._unheard.kept_s
        connect_s = limits.last_connect_s if last and not self._swallowed else limits.connect_s
        try:
            async with asyncio.timeout(connect_s) as line.patience:
                try:
                    async with line.open() as remote:
                        line.begin(remote)
                        self._owner.listens(line.candidate)
                        await self._serve(line, remote)
                finally:
                    line.patience = None
        except TimeoutError:
            if line.fault is None and self._owner.is_alone:
                self._take(line, line.settle_shown())
            raise line.fault or self._silence_of(line) from None
        raise ProviderUnavailable(f"{line.candidate.label} ended the recognition")

    def _silence_of(self, line: Line) -> ProviderError:
        label = line.candidate.label
        if line.begun and self._owner.is_alone and not self._swallowed:
            self._swallowed = True  # another connection may do better, but not a third
            return ProviderUnavailable(f"{label} did not answer in time")
        return TooSlow(f"{label} did not {'answer' if line.begun else 'open'} in time")

    async def _serve(self, line: Line, remote: SpeechStream) -> None:
        telling = asyncio.create_task(self._catch_up(line), name="stt-catch-up")
        try:
            async for transcript in remote:
                self._on(line, transcript)
        finally:
            self._line = None
            telling.cancel()
            await asyncio.wait([telling])
            if not telling.cancelled():
                telling.result()

    async def _catch_up(self, line: Line) -> None:
        while line.fault is None and (entry := self._unheard.next(line.reading)) is not None:
            await self._tell(line, entry)
        if line.fault is None:
            self._line = line

    async def _tell(self, line: Line, entry: bytes) -> None:
        """Tell a vendor; when it cannot be told, what is kept is told to the next one."""
        try:
            with line.sending.of(self._limits.send_s):
                await line.tell(entry)
        except TimeoutError:
            self._lose(line, TooSlow(f"{line.candidate.label} does not take what is said"))
        except ProviderError as error:
            self._lose(line, error)

    def _lose(self, line: Line, error: ProviderError) -> None:
        if self._line is line:
            self._line = None
        line.end(error)

    def _on(self, line: Line, transcript: Transcript) -> None:
        self._take(line, line.take(transcript))
        if line.answered and not self._owner.is_alone:
            line.answer_s = self._limits.answer_s

    def _take(self, line: Line, transcript: Transcript | None) -> None:
        self._swallowed = self._swallowed and not line.answered
        self._hand_out(transcript)

    def _hand_out(self, transcript: Transcript | None) -> None:
        if transcript is None:
            return
        if self._out and not self._out[-1].final:
            self._out.pop()
        self._out.append(transcript)
        self._news.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
