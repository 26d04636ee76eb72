"""The guard for libraries that speak HTTP with httpx: addresses, redirects and sizes as elsewhere.

Such a library may hide or wrap what goes wrong beneath it, so the first fault is kept in `Faults`.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import anyio
import httpcore
import httpx

from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.bodies import ACCEPT_ENCODING, Allowance, Unpacker
from sovereign_ari.outgoing.policy import OutgoingPolicy

PARTING_TIMEOUT_S = 2.0
"""How long a DELETE, with which a client only says good-bye, may take."""

_FRAMING = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


class Faults:
    """The first thing that went wrong, and whose waiting it ends."""

    def __init__(self) -> None:
        self.first: str | None = None
        self._waiting: list[anyio.CancelScope] = []

    def note(self, sentence: str) -> None:
        """Keep a fault, and end the waiting for what will not come."""
        self.first = self.first or sentence
        for scope in self._waiting:
            scope.cancel()

    @contextmanager
    def ending(self, scope: anyio.CancelScope) -> Iterator[Callable[[], None]]:
        """Let a fault end this scope, until the block is left or what is given is called."""
        self._waiting.append(scope)

        def no_longer() -> None:
            if scope in self._waiting:
                self._waiting.remove(scope)

        try:
            yield no_longer
        finally:
            no_longer()


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that the policy admits, and nowhere else.

    Args:
        policy: Where connections may go.
        allowed_only: Whether they may go only where the operator allows.
    """

    def __init__(self, policy: OutgoingPolicy, *, allowed_only: bool) -> None:
        self._policy = policy
        self._allowed_only = allowed_only
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address of a host that answers.

        Raises:
            OutgoingFailed: If none may be reached, or none answers.
        """
        for address in await self._policy.addresses(host, port, allowed_only=self._allowed_only):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        raise OutgoingFailed(f"{host} port {port} cannot be reached")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse.

        Raises:
            OutgoingFailed: Always.
        """
        raise OutgoingFailed("a file is not a server")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)


class GuardedTransport(httpx.AsyncBaseTransport):
    """Carries the requests of one `httpx.AsyncClient`, over connections of its own.

    Args:
        backend: Makes the connections.
        trust: Whose certificates are believed.
        faults: Is told what goes wrong.
        allowance: How much may be answered in all.
        vital: Methods whose failure is a fault; others may fail.
    """

    def __init__(
        self,
        backend: GuardedBackend,
        *,
        trust: ssl.SSLContext,
        faults: Faults,
        allowance: Allowance,
        vital: frozenset[str],
    ) -> None:
        self._pool = httpcore.AsyncConnectionPool(ssl_context=trust, network_backend=backend)
        self._faults = faults
        self._allowance = allowance
        self._vital = vital

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            httpx.TransportError: If it fails, with a sentence without secrets.
        """
        if request.method == "DELETE":
            return await self._part(request)
        request.headers["Accept-Encoding"] = ACCEPT_ENCODING
        try:
            answer = await self._succeed(request)
            unpacker = Unpacker(_header(answer, b"content-encoding"), self._allowance)
        except OutgoingFailed as error:
            raise self._failed(request, str(error)) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise self._failed(request, _in_words(error, request)) from None
        headers = [(name, value) for name, value in answer.headers if name.lower() not in _FRAMING]
        return httpx.Response(
            answer.status, headers=headers, stream=_Body(self, request, answer, unpacker)
        )

    async def aclose(self) -> None:
        """End all connections."""
        await self._pool.aclose()

    def _failed(self, request: httpx.Request, sentence: str) -> httpx.TransportError:
        """Keep a fault, and make the error that httpx expects."""
        if request.method in self._vital:
            self._faults.note(sentence)
        return httpx.ReadError(sentence, request=request)

    async def _succeed(self, request: httpx.Request) -> httpcore.Response:
        """Send a request that only a success answers.

        Raises:
            OutgoingFailed: If it is refused or sent elsewhere.
        """
        answer = await self._send(request)
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            await answer.aclose()
            raise OutgoingFailed(_refusal(request.url.host, answer.status))
        return answer

    async def _send(self, request: httpx.Request) -> httpcore.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        return await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )

    async def _part(self, request: httpx.Request) -> httpx.Response:
        """Say good-bye; what is answered to it matters to nobody."""
        with anyio.move_on_after(PARTING_TIMEOUT_S):
            try:
                answer = await self._send(request)
                await answer.aclose()
            except (OutgoingFailed, httpcore.NetworkError, httpcore.ProtocolError):
                pass
        return httpx.Response(HTTPStatus.NO_CONTENT)


class _Body(httpx.AsyncByteStream):
    """The body of an answer, unpacked within the allowance."""

    def __init__(
        self,
        transport: GuardedTransport,
        request: httpx.Request,
        answer: httpcore.Response,
        unpacker: Unpacker,
    ) -> None:
        self._transport = transport
        self._request = request
        self._answer = answer
        self._unpacker = unpacker
        self._resumable = False
        self._is_stream = _header(answer, b"content-type").startswith("text/event-stream")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._answer.stream, AsyncIterable)
        try:
            async for piece in self._answer.stream:
                found = self._unpacker.feed(piece)
                self._resumable = self._resumable or b"id:" in found
                yield found
            self._unpacker.finish()
        except OutgoingFailed as error:
            raise self._transport._failed(self._request, str(error)) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
            sentence = f"{self._request.url.host} broke off in the middle of its answer"
            raise self._transport._failed(self._request, sentence) from None
        if self._is_stream and not self._resumable:
            # Readers leave a stream of events once they have what they waited for.
            sentence = f"{self._request.url.host} ended its answer without a result"
            raise self._transport._failed(self._request, sentence)

    async def aclose(self) -> None:
        await self._answer.aclose()


def _header(answer: httpcore.Response, wanted: bytes) -> str:
    found = [value for name, value in answer.headers if name.lower() == wanted]
    return b",".join(found).decode("latin-1").strip().lower()


def _refusal(where: str, status: int) -> str:
    if status < HTTPStatus.BAD_REQUEST:
        return f"{where} answers with a redirect ({status}), which is not followed"
    try:
        return f"{where} answers {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{where} answers {status}"


def _in_words(error: Exception, request: httpx.Request) -> str:
    """Say what went wrong in a sentence without secrets."""
    where = request.url.host
    match error:
        case httpcore.ConnectError():
            return f"{where} has no valid certificate, or does not speak TLS as we do"
        case httpcore.ConnectTimeout() | httpcore.ReadTimeout() | httpcore.WriteTimeout():
            return f"{where} does not answer in time"
        case httpcore.LocalProtocolError():
            return f"the request to {where} cannot be sent"
        case httpcore.ProtocolError() if "disconnected without" not in str(error):
            return f"{where} does not answer in HTTP"
        case _:
            return f"{where} broke off the connection"
