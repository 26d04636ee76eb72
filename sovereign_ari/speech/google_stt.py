"""Google Speech-to-Text, version 2, streamed; G.711 passes through as it came."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from sovereign_ari.media.pcm import PCM_16K, AudioFormat, Encoding
from sovereign_ari.speech.base import SpeechStream, Transcript
from sovereign_ari.speech.google_credentials import GoogleAccount
from sovereign_ari.speech.google_rpc import SPEECH_TYPES, GoogleCloud, Method, Rpc
from sovereign_ari.speech.google_stt_recognition import (
    WHAT,
    GoogleLimits,
    Recogniser,
    Recognition,
)
from sovereign_ari.speech.google_stt_stretch import Stretch

LOCATION = "eu"
_PATH = "/google.cloud.speech.v2.Speech/StreamingRecognize"
_ENCODINGS = {Encoding.ULAW: "MULAW", Encoding.ALAW: "ALAW", Encoding.PCM16: "LINEAR16"}


@dataclass(frozen=True, slots=True)
class GoogleSpeechOptions:
    """What an assistant chooses of a recogniser.

    Attributes:
        model: Model name.
        languages: BCP 47 tags.
        location: Region of Google's that hears the caller.
    """

    model: str
    languages: Sequence[str]
    location: str = LOCATION


class GoogleSpeechToText:
    """One model; the connections are shared with others.

    Args:
        cloud: Shared connections.
        account: Who pays.
        options: The assistant's choice.
        limits: Deadlines.
    """

    def __init__(
        self,
        cloud: GoogleCloud,
        account: GoogleAccount,
        options: GoogleSpeechOptions,
        limits: GoogleLimits | None = None,
    ) -> None:
        self._cloud = cloud
        self._account = account
        self._options = options
        self._limits = limits or GoogleLimits()

    @property
    def label(self) -> str:
        """`google/<model>`."""
        return f"google/{self._options.model}"

    def format_for(self, wire: AudioFormat) -> AudioFormat:
        """G.711 as it is; everything else as 16 kHz PCM."""
        return wire if wire.encoding in (Encoding.ULAW, Encoding.ALAW) else PCM_16K

    @asynccontextmanager
    async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
        """Begin the first remote call; leaving ends all of them at once.

        Google says what it thinks of the key when it is asked: a bad one may fail the stream
        after it was entered.
        """
        types = await self._cloud.module(SPEECH_TYPES)
        request = types.StreamingRecognizeRequest.pb()
        recogniser = Recogniser(
            lambda: self._call(types, audio), lambda piece: request(audio=piece), self._limits
        )
        stream = _GoogleStream(recogniser, audio)
        try:
            await stream.connect()
            yield stream
        finally:
            await stream.close()

    async def _call(self, types: ModuleType, audio: AudioFormat) -> Rpc:
        place = f"projects/{self._account.project}/locations/{self._options.location}"
        recogniser = f"{place}/recognizers/_"
        method = Method(
            WHAT,
            self._cloud.servers.speech.format(location=self._options.location),
            _PATH,
            types.StreamingRecognizeResponse.pb(),
            ("recognizer", recogniser),
        )
        return await self._cloud.call(
            method, self._account, self._opening(types, recogniser, audio)
        )

    def _opening(self, types: ModuleType, recogniser: str, audio: AudioFormat) -> Any:
        encodings = types.ExplicitDecodingConfig.AudioEncoding
        request = types.StreamingRecognizeRequest(
            recognizer=recogniser,
            streaming_config={
                "config": {
                    "explicit_decoding_config": {
                        "encoding": encodings[_ENCODINGS[audio.encoding]],
                        "sample_rate_hertz": audio.rate_hz,
                        "audio_channel_count": 1,
                    },
                    "model": self._options.model,
                    "language_codes": list(self._options.languages),
                    "features": {"enable_automatic_punctuation": True},
                },
                "streaming_features": {
                    "interim_results": True,
                    "enable_voice_activity_events": True,
                },
            },
        )
        return types.StreamingRecognizeRequest.pb(request)


class _GoogleStream:
    """`SpeechStream`: a queue of stretches, one for each flush and one that grows."""

    def __init__(self, recogniser: Recogniser, audio: AudioFormat) -> None:
        self._recogniser = recogniser
        self._audio = audio
        self._news = asyncio.Event()
        self._growing = self._fresh()
        self._queue = deque([self._growing])
        self._answered: list[Recognition] = []  # their calls may still be ending
        self._started = False  # whether the growing one was
        self._shown = ("", False)
        self._answered_bytes = 0
        self._heard_s = 0.0
        self._closed = False

    async def connect(self) -> None:
        """Begin with the first stretch."""
        await self._growing.connect()
        self._started = True

    async def close(self) -> None:
        """End everything; the iterator ends."""
        self._closed = True
        self._news.set()
        for recognition in (*self._answered, *self._queue):
            await recognition.close()

    async def send(self, audio: bytes) -> None:
        """Hand over audio; it is sent in the background."""
        self._raise_failure()
        if not self._started:
            self._growing.start()
            self._started = True
        self._growing.append(audio)

    async def flush(self) -> None:
        """End the stretch; one without audio is answered without asking."""
        self._raise_failure()
        stretch = self._growing.stretch
        if stretch.end == 0:
            answered = self._fresh()
            answered.stretch.ended = answered.stretch.done = True
            self._queue.insert(len(self._queue) - 1, answered)
        else:
            self._growing.finish()
            self._growing = self._fresh()
            self._started = False
            self._queue.append(self._growing)
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        while not self._closed:
            if (transcript := self._next()) is not None:
                yield transcript
                continue
            self._raise_failure()
            self._news.clear()
            await self._news.wait()

    def _next(self) -> Transcript | None:
        """Take what the oldest stretch has for the listener, or else the words so far."""
        oldest = self._queue[0].stretch
        if oldest.done:
            self._answered = [r for r in (*self._answered, self._queue.popleft()) if r.running]
            self._shown = ("", False)
            self._answered_bytes += oldest.end
            final = self._final(oldest.text, self._answered_bytes, flushed=True)
            return replace(final, ends_turn=oldest.voice_ended)
        if oldest.finals and not oldest.ended:
            self._shown = ("", False)
            text = oldest.finals.popleft()
            known = not oldest.finals  # where one ends that others follow is not
            return self._final(text, self._answered_bytes + oldest.first if known else 0)
        stretches = [r.stretch for r in self._queue if r.stretch.text]
        text = " ".join(stretch.text for stretch in stretches)
        ended = bool(stretches) and stretches[-1].voice_ended
        if text and (text, ended) != self._shown:
            self._shown = (text, ended)
            return Transcript(text, final=False, ends_turn=ended)
        return None

    def _final(self, text: str, heard_bytes: int, *, flushed: bool = False) -> Transcript:
        self._heard_s = max(self._heard_s, self._audio.seconds(heard_bytes))
        return Transcript(text, final=True, flushed=flushed, heard_s=self._heard_s)

    def _fresh(self) -> Recognition:
        limits = self._recogniser.limits
        stretch = Stretch(self._audio, limits.kept_s, limits.quiet_kept_s)
        return Recognition(self._recogniser, stretch, self._news.set)

    def _raise_failure(self) -> None:
        for recognition in self._queue:
            if recognition.failure is not None:
                raise recognition.failure
