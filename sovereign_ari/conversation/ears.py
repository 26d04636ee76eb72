"""From the caller's packets to the recogniser: voice activity, conversion, and its stream."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from sovereign_ari.conversation.chunks import ChunkQueue
from sovereign_ari.conversation.mouth import Mouth
from sovereign_ari.conversation.verdicts import verdicts
from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.media.hearing import Heard, Hearing
from sovereign_ari.media.pcm import AudioFormat, Encoding
from sovereign_ari.media.transcode import Converter, silence_frame
from sovereign_ari.speech.base import SpeechStream, SpeechToText, Transcript

CHUNK_FRAMES = 5
"""Frames handed to the recogniser at once. A flush hands over what there is, so an end of turn
does not wait for a chunk; a message per frame would cost a call half of its CPU."""

IDLE_CHUNK_FRAMES = 15
IDLE_AFTER_FRAMES = 50
"""As many, and since when, while the caller says nothing: nobody waits for words then. The first
frame of voice takes along what was collected."""

MOST_COMING = 3
"""Frames that may wait behind one that is being judged. A busy process gets a caller's frames in
twos and threes; asked about at once, each would cost as much as those of all callers together."""

_FLUSH = b""


class Ears:
    """Listens to one caller.

    Args:
        stt: The recogniser.
        wire: Format of the call's RTP.
        mouth: What the caller hears of us, for it may come back as an echo.
        on_transcript: Takes what was recognised. Must not wait.
        on_heard: Takes what each frame is, in order, with the time that `hear` was told; within
            `verdicts.BEAT_S`, and before what is recognised later. Must not wait.
    """

    def __init__(
        self,
        stt: SpeechToText,
        wire: AudioFormat,
        mouth: Mouth,
        on_transcript: Callable[[Transcript], None],
        on_heard: Callable[[Heard, float], None],
    ) -> None:
        self.label = stt.label
        self._stt = stt
        self._audio = stt.format_for(wire)
        self._passes_on = self._audio == wire
        decoded = wire if self._passes_on else AudioFormat(Encoding.PCM16, wire.rate_hz)
        self._converter = Converter(decoded, self._audio)
        self._silence = silence_frame(decoded)
        self._hearing = Hearing(wire, mouth.audio)
        self._stream = self._hearing.stream
        self._verdicts = verdicts()
        self._coming: deque[tuple[bytes, Sequence[bytes | None], float]] = deque()
        self._asking = False  # about the frame before those
        self._frame, self._frame_s = b"", 0.0
        self._mouth = mouth
        self._on_transcript = on_transcript
        self._on_heard = on_heard
        self._chunk: list[bytes] = []
        self._quiet_frames = 0
        self._chunks = ChunkQueue()

    @property
    def dropped_chunks(self) -> int:
        """Chunks that the recogniser was too slow for."""
        return self._chunks.dropped

    def hear(self, frame: bytes, now_s: float) -> None:
        """Take 20 ms of the caller's audio as it stood on the wire, and have it judged.

        An echo of ours is silence to the recogniser: its words are not the caller's. What is
        doubtful makes the recogniser be asked, which the listener has to count.
        """
        self._coming.append((frame, self._mouth.take_sent(), now_s))
        if not self._asking:
            self._go_on()
        elif len(self._coming) > MOST_COMING:
            self._settle()

    def _go_on(self) -> None:
        """Judge what has come, up to the first frame that has to wait for the network."""
        while self._coming and not self._asking:
            frame, sent, now_s = self._coming.popleft()
            self._asking = self._hearing.listen(frame, sent)
            self._frame, self._frame_s = frame if self._passes_on else self._hearing.pcm, now_s
            if self._asking:
                self._verdicts.ask(self._stream, self._on_verdict)
            else:
                self._conclude()

    def _on_verdict(self) -> None:
        self._asking = False
        self._conclude()
        self._go_on()

    def _settle(self) -> None:
        """Judge all that has come now: what follows must stand behind it."""
        while self._asking:
            self._verdicts.settle(self._stream)

    def _conclude(self) -> None:
        heard = self._hearing.verdict()
        self._chunk.append(self._silence if heard.echo else self._frame)
        self._quiet_frames = 0 if heard.voiced else self._quiet_frames + 1
        idle = self._quiet_frames > IDLE_AFTER_FRAMES
        if len(self._chunk) >= (IDLE_CHUNK_FRAMES if idle else CHUNK_FRAMES):
            self._hand_over()
        if heard.doubtful:
            self.flush()  # the recogniser knows best: a voice that we miss must not go unanswered
        self._on_heard(heard, self._frame_s)

    def flush(self) -> None:
        """Ask the recogniser for what was said so far, behind the audio already queued."""
        self._settle()
        self._hand_over()
        self._chunks.put(_FLUSH)

    def _hand_over(self) -> None:
        if self._chunk:
            self._chunks.put(b"".join(self._chunk))
            self._chunk.clear()

    async def listen(self) -> None:
        """Keep a recognition open until cancelled.

        Raises:
            ProviderError: If the recogniser cannot go on, and nobody can in its place.
        """
        async with self._stt.open(self._audio) as stream:
            await self._serve(stream)

    async def _serve(self, stream: SpeechStream) -> None:
        sender = asyncio.create_task(self._send(stream), name="stt-send")
        reader = asyncio.create_task(self._read(stream), name="stt-read")
        try:
            done, _ = await asyncio.wait((sender, reader), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (sender, reader):
                task.cancel()
            await asyncio.wait((sender, reader))
        raise ProviderUnavailable(f"{self.label} ended the recognition")

    async def _send(self, stream: SpeechStream) -> None:
        async for chunk in self._chunks:
            if chunk == _FLUSH:
                await stream.flush()
            elif audio := self._converter.convert(chunk):
                await stream.send(audio)

    async def _read(self, stream: SpeechStream) -> None:
        async for transcript in stream:
            self._settle()
            self._on_transcript(transcript)
