"""Google Text-to-Speech, streamed: the Chirp 3 HD voices, in what the telephone carries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.media.pcm import PCM_8K, PCM_16K, AudioFormat, Encoding
from sovereign_ari.speech.google_credentials import GoogleAccount
from sovereign_ari.speech.google_rpc import VOICE_TYPES, GoogleCloud, Method, Rpc

CHIRP = "chirp-3-hd"
LOCATION = "eu"
FIRST_BYTE_S = 10.0
NEXT_CHUNK_S = 10.0
LONGEST_INPUT_BYTES = 4500
"""Below the 5000 that the vendor takes in one request."""

_WHAT = "google voices"
_PATH = "/google.cloud.texttospeech.v1.TextToSpeech/StreamingSynthesize"
_ENCODINGS = {Encoding.PCM16: "PCM", Encoding.ULAW: "MULAW", Encoding.ALAW: "ALAW"}
_OWN_TAGS = {"cmn-Hans-CN": "cmn-CN"}
"""Tags that the voices spell otherwise than the recognisers."""


@dataclass(frozen=True, slots=True)
class GoogleVoiceOptions:
    """What an assistant chooses of a voice.

    Attributes:
        voice: Name of the speaker, e.g. `Kore`.
        language: BCP 47 tag.
        speaking_rate: 0.25 to 2; 1 is the voice's own.
        model: As the catalogue names it.
        location: Region of Google's that speaks.
        audio: What to ask for: G.711 at 8 kHz, or PCM16.
        first_byte_s: Longest wait for the first audio.
        next_chunk_s: Longest pause within a sentence.
    """

    voice: str
    language: str
    speaking_rate: float = 1.0
    model: str = CHIRP
    location: str = LOCATION
    audio: AudioFormat = PCM_8K
    first_byte_s: float = FIRST_BYTE_S
    next_chunk_s: float = NEXT_CHUNK_S


class GoogleTextToSpeech:
    """One voice; the connections are shared with others.

    Args:
        cloud: Shared connections.
        account: Who pays.
        options: The assistant's choice.
    """

    def __init__(
        self, cloud: GoogleCloud, account: GoogleAccount, options: GoogleVoiceOptions
    ) -> None:
        self._cloud = cloud
        self._account = account
        self._options = options

    @property
    def label(self) -> str:
        """`google/<model>`."""
        return f"google/{self._options.model}"

    @property
    def audio(self) -> AudioFormat:
        """8 kHz PCM16, or what `for_wire` chose."""
        return self._options.audio

    def for_wire(self, wire: AudioFormat) -> GoogleTextToSpeech:
        """The same voice as a call with this RTP wants it: G.711 as it goes out, else 16 kHz."""
        audio = wire if wire.encoding in (Encoding.ULAW, Encoding.ALAW) else PCM_16K
        return GoogleTextToSpeech(self._cloud, self._account, replace(self._options, audio=audio))

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """Stream one sentence; audio is yielded as soon as it is there."""
        sample_bytes = self.audio.bytes_for(1.0) // self.audio.rate_hz
        deadline_s = _now_s() + self._options.first_byte_s
        torn = b""  # half a sample, when a chunk ends within one
        spoken = False
        rpc = await self._ask(text, deadline_s)
        try:
            while (answer := await _next(rpc, deadline_s)) is not None:
                data = torn + answer.audio_content
                whole = len(data) - len(data) % sample_bytes
                torn = data[whole:]
                if whole:
                    spoken = True
                    yield data[:whole]
                deadline_s = _now_s() + self._options.next_chunk_s
        finally:
            rpc.cancel()
        if not spoken:
            raise ProviderUnavailable(f"{_WHAT} sent no audio")

    async def _ask(self, text: str, deadline_s: float) -> Rpc:
        rpc: Rpc | None = None
        try:
            async with asyncio.timeout_at(deadline_s):
                types = await self._cloud.module(VOICE_TYPES)
                rpc = await self._cloud.call(
                    self._method(types), self._account, self._set_up(types)
                )
                for piece in _pieces(text):
                    request = types.StreamingSynthesizeRequest(input={"text": piece})
                    await rpc.write(types.StreamingSynthesizeRequest.pb(request))
                await rpc.half_close()
                return rpc
        except BaseException as error:
            if rpc is not None:
                rpc.cancel()
            if isinstance(error, TimeoutError):
                raise ProviderUnavailable(f"{_WHAT} did not answer in time") from None
            raise

    def _method(self, types: ModuleType) -> Method:
        target = self._cloud.servers.voices.format(location=self._options.location)
        return Method(_WHAT, target, _PATH, types.StreamingSynthesizeResponse.pb())

    def _set_up(self, types: ModuleType) -> Any:
        options = self._options
        language = _OWN_TAGS.get(options.language, options.language)
        request = types.StreamingSynthesizeRequest(
            streaming_config={
                "voice": {
                    "language_code": language,
                    "name": f"{language}-Chirp3-HD-{options.voice}",
                },
                "streaming_audio_config": {
                    "audio_encoding": types.AudioEncoding[_ENCODINGS[options.audio.encoding]],
                    "sample_rate_hertz": options.audio.rate_hz,
                    "speaking_rate": options.speaking_rate,
                },
            }
        )
        return types.StreamingSynthesizeRequest.pb(request)


async def _next(rpc: Rpc, deadline_s: float) -> Any:
    try:
        async with asyncio.timeout_at(deadline_s):
            return await rpc.read()
    except TimeoutError:
        raise ProviderUnavailable(f"{_WHAT} did not answer in time") from None


def _pieces(text: str) -> Iterator[str]:
    """Cut a text into inputs that are short enough, at spaces where there are any."""
    rest = text.encode("utf-8", "replace")
    while len(rest) > LONGEST_INPUT_BYTES:
        end = rest.rfind(b" ", 1, LONGEST_INPUT_BYTES) + 1 or LONGEST_INPUT_BYTES
        while rest[end] & 0xC0 == 0x80:  # within a character
            end -= 1
        yield rest[:end].decode()
        rest = rest[end:]
    if rest:
        yield rest.decode()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
