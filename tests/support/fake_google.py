"""A server that speaks the protocols of Google's speech services: gRPC on a real port."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from google.auth import jwt
from google.cloud.speech_v2.types import cloud_speech
from google.cloud.texttospeech_v1.types import cloud_tts

from sovereign_ari.speech.google_rpc import GoogleServers
from tests.support.fake_google_faults import Gate
from tests.support.fake_google_speech import SpeechService
from tests.support.fake_google_voices import VoiceService

PROJECT = "voice-tests"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@functools.cache
def _private_key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def service_account(name: str = "good") -> str:
    """Make the JSON document of a service account; only the one named `good` is known."""
    pem = _private_key(name).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return json.dumps(
        {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": f"key-{name}",
            "private_key": pem.decode(),
            "client_email": f"{name}@{PROJECT}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    )


def is_good(token: str) -> bool:
    """Check a token as Google does: signature, life and scope."""
    public = _private_key("good").public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        claims = jwt.decode(token, certs=pem)
    except ValueError:
        return False
    return bool(claims["scope"] == SCOPE and claims["exp"] - claims["iat"] <= 3600)


class FakeGoogle:
    """Both services on one port.

    Attributes:
        gate: Who comes in; the tokens shown.
        speech: Recognition.
        voices: Synthesis.
        port: Where it listens; the same in its next life.
    """

    def __init__(self) -> None:
        self.gate = Gate(is_good)
        self.speech = SpeechService(self.gate)
        self.voices = VoiceService(self.gate)
        self.port = 0
        self._server: grpc.aio.Server | None = None

    @property
    def servers(self) -> GoogleServers:
        """Addresses for a client."""
        address = f"127.0.0.1:{self.port}"
        return GoogleServers(speech=address, voices=address, encrypted=False)

    @property
    def open(self) -> int:
        """Remote calls being served."""
        return self.speech.open + self.voices.open

    async def live(self) -> None:
        """Listen."""
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        recognise = grpc.stream_stream_rpc_method_handler(
            self.speech.handle,
            request_deserializer=cloud_speech.StreamingRecognizeRequest.deserialize,
            response_serializer=cloud_speech.StreamingRecognizeResponse.serialize,
        )
        synthesise = grpc.stream_stream_rpc_method_handler(
            self.voices.handle,
            request_deserializer=cloud_tts.StreamingSynthesizeRequest.deserialize,
            response_serializer=cloud_tts.StreamingSynthesizeResponse.serialize,
        )
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "google.cloud.speech.v2.Speech", {"StreamingRecognize": recognise}
                ),
                grpc.method_handlers_generic_handler(
                    "google.cloud.texttospeech.v1.TextToSpeech",
                    {"StreamingSynthesize": synthesise},
                ),
            )
        )
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        self._server = server

    async def die(self) -> None:
        """Stop listening and break all calls off."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def until(self, condition: Callable[[], object], timeout_s: float = 5.0) -> None:
        """Wait for something.

        Raises:
            TimeoutError: When it has not happened in time.
        """
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - any state may be waited for
                await asyncio.sleep(0.005)


@asynccontextmanager
async def fake_google() -> AsyncIterator[FakeGoogle]:
    """Run the server in this event loop."""
    server = FakeGoogle()
    await server.live()
    try:
        yield server
    finally:
        await server.die()
