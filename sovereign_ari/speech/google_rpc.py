"""Connections to Google's services, and one remote call that streams both ways.

Google's libraries are heavy (a second to import, 27 MB), so they are imported when they are first
used, in a thread. Only the messages of google-cloud-speech and google-cloud-texttospeech are
used, over gRPC itself: their clients would refresh tokens and repeat requests by themselves.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from urllib.parse import quote

from sovereign_ari.errors import ProviderError, ProviderUnavailable
from sovereign_ari.speech.google_credentials import GoogleAccount
from sovereign_ari.speech.google_errors import error_of_status

SPEECH_TYPES = "google.cloud.speech_v2.types.cloud_speech"
VOICE_TYPES = "google.cloud.texttospeech_v1.types.cloud_tts"
_STREAMS_PER_CONNECTION = 80
"""Google takes 100 streams on a connection; the next would wait, without an error."""

_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # else channels to one address share a connection
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


@dataclass(frozen=True, slots=True)
class GoogleServers:
    """Where Google's services are.

    Attributes:
        speech: `host:port` of Speech-to-Text; `{location}` is replaced.
        voices: The same of Text-to-Speech.
        encrypted: False only for a server on this machine that stands in for Google's.
    """

    speech: str = "{location}-speech.googleapis.com:443"
    voices: str = "{location}-texttospeech.googleapis.com:443"
    encrypted: bool = True


@dataclass(frozen=True, slots=True)
class Method:
    """One remote method that streams both ways.

    Attributes:
        what: The service, for messages, e.g. `google speech`.
        target: `host:port`.
        path: `/service/method`.
        answers: Its class of answers; a protobuf message.
        routing: Sent as `x-goog-request-params`, which chooses the region.
    """

    what: str
    target: str
    path: str
    answers: Any
    routing: tuple[str, str] | None = None


class GoogleCloud:
    """The connections that all calls of a process share; ended by `close`.

    Connections carry no credentials: each remote call brings a token of its own.
    """

    def __init__(self, servers: GoogleServers | None = None) -> None:
        self.servers = servers or GoogleServers()
        self._importing = asyncio.Lock()
        self._modules: dict[str, ModuleType] = {}
        self._pools: dict[str, _Pool] = {}
        self._closed = False

    async def module(self, name: str) -> ModuleType:
        """Import one of Google's modules, off the event loop."""
        if name not in self._modules:
            async with self._importing:
                self._modules[name] = await asyncio.to_thread(_imported, name)
        return self._modules[name]

    async def warm_up(self) -> None:
        """Import what calls will need."""
        for name in (SPEECH_TYPES, VOICE_TYPES, "grpc.aio"):
            await self.module(name)

    async def call(self, method: Method, account: GoogleAccount, opening: Any) -> Rpc:
        """Begin a remote call and send its first request.

        Args:
            method: What to call.
            account: Who calls.
            opening: The first request.

        Raises:
            ProviderError: When Google refuses or cannot be reached.
        """
        aio = await self.module("grpc.aio")
        metadata = await account.metadata()
        if method.routing is not None:
            name, value = method.routing
            metadata = (*metadata, ("x-goog-request-params", f"{name}={quote(value, safe='')}"))
        if self._closed:
            raise ProviderUnavailable(f"{method.what}: this process is ending")
        pool = self._pools.get(method.target)
        if pool is None:
            make = self._channels(aio, await self.module("grpc"), method.target)
            pool = self._pools.setdefault(method.target, _Pool(make))
        rpc = Rpc(method.what, aio, pool.begin(method, metadata))
        try:
            await rpc.write(opening)
        except BaseException:
            rpc.cancel()
            raise
        return rpc

    async def close(self) -> None:
        """End all connections, and the calls on them."""
        self._closed = True
        for pool in self._pools.values():
            await pool.close()

    def _channels(self, aio: ModuleType, grpc: ModuleType, target: str) -> Callable[[], Any]:
        def make() -> Any:
            if not self.servers.encrypted:
                return aio.insecure_channel(target, options=_OPTIONS)
            return aio.secure_channel(target, grpc.ssl_channel_credentials(), options=_OPTIONS)

        return make


class _Pool:
    """Connections to one server."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._channels: list[Any] = []
        self._busy: list[int] = []

    def begin(self, method: Method, metadata: tuple[tuple[str, str], ...]) -> Any:
        """Begin a call on the connection with the fewest, or on a new one."""
        at = min(range(len(self._busy)), key=self._busy.__getitem__, default=None)
        if at is None or self._busy[at] >= _STREAMS_PER_CONNECTION:
            at = len(self._channels)
            self._channels.append(self._make())
            self._busy.append(0)
        begin = self._channels[at].stream_stream(
            method.path,
            response_deserializer=method.answers.FromString,
        )
        call = begin(metadata=metadata)
        self._busy[at] += 1
        call.add_done_callback(lambda _: self._end(at))
        return call

    def _end(self, at: int) -> None:
        self._busy[at] -= 1

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()


class Rpc:
    """One remote call. One writer and one reader at a time; every failure is a `ProviderError`."""

    def __init__(self, what: str, aio: ModuleType, call: Any) -> None:
        self._what = what
        self._call = call
        self._end = aio.EOF
        self._failed: type[Exception] = aio.AioRpcError
        self._torn: type[Exception] = aio.InternalError

    async def write(self, request: Any) -> None:
        """Send a request; waits while the server does not read."""
        with self._cancelled_is_an_error():
            try:
                await self._call.wait_for_connection()
                if self._call.done():
                    raise await self._failure()
                # Not `write`: when the server has just ended the call it puts an error of its
                # own in the place of the status that is about to come.
                await self._call._cython_call.send_serialized_message(request.SerializeToString())
            except (self._torn, self._failed):
                raise await self._failure() from None
            except asyncio.CancelledError:
                self._call.cancel()
                raise

    async def read(self) -> Any:
        """Wait for an answer; None at the end."""
        with self._cancelled_is_an_error():
            try:
                answer = await self._call.read()
            except self._failed:
                raise await self._failure() from None
        return None if answer is self._end else answer

    async def half_close(self) -> None:
        """Say that no more requests come."""
        with self._cancelled_is_an_error():
            try:
                await self._call.done_writing()
            except self._torn:
                raise await self._failure() from None

    def cancel(self) -> None:
        """End the call at once; nothing if it has ended."""
        self._call.cancel()

    async def _failure(self) -> ProviderError:
        code = (await self._call.code()).name
        if code == "OK":
            return ProviderUnavailable(f"{self._what} ended the call early")
        return error_of_status(
            self._what, code, _retry_after_s(await self._call.trailing_metadata())
        )

    @contextmanager
    def _cancelled_is_an_error(self) -> Iterator[None]:
        """Tell a remote call that was cancelled from a task that is."""
        try:
            yield
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise ProviderUnavailable(f"{self._what}: the call was cancelled") from None


def _imported(name: str) -> ModuleType:
    # Else gRPC writes lines of its own to our log, e.g. whenever a server goes away.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    return importlib.import_module(name)


def _retry_after_s(trailing: Any) -> float | None:
    """Read the `RetryInfo` of a status, https://google.aip.dev/193."""
    from google.protobuf.message import DecodeError
    from google.rpc import error_details_pb2, status_pb2

    packed = next((v for k, v in trailing or () if k == "grpc-status-details-bin"), b"")
    try:
        status = status_pb2.Status.FromString(packed)
        for detail in status.details:
            if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
                return float(delay.seconds + delay.nanos / 1e9)
    except DecodeError:
        return None
    return None
