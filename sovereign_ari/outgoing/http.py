"""HTTP requests to servers that others configure: public addresses only, no redirects, bounded."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.bodies import ACCEPT_ENCODING, Allowance, Unpacker
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.outgoing.urls import Target, UrlFault, read_target

USER_AGENT = "HMS-Sovereign/1.0"
TIMEOUT_S = 10.0
LARGEST_BYTES = 1024 * 1024
# One tenant's slow server must not take every connection.
_CONNECTIONS = 1000
_CONNECTIONS_PER_HOST = 100
_UNWANTED_BYTES = 64 * 1024
_UNWANTED_S = 0.5

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # section 5.5
# They frame the message or choose its receiver, which is decided here.
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. Names of headers may be looked up in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class GuardedResolver(AbstractResolver):
    """Looks names up and keeps only the addresses that may be connected to."""

    def __init__(self, policy: OutgoingPolicy) -> None:
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve a name; the connector connects to what is returned here and nowhere else.

        Raises:
            OutgoingFailed: If none of its addresses may be reached.
        """
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in await self._policy.addresses(host, port)
        ]

    async def close(self) -> None:
        """Nothing is held."""


class OutgoingHttp:
    """One pool of connections for all such requests of a process. Closed by its owner.

    Args:
        policy: Where requests may go. It holds for every connection of the pool.
        trust: Whose certificates are believed; by default those that the system believes.
    """

    def __init__(self, policy: OutgoingPolicy, trust: ssl.SSLContext | None = None) -> None:
        self._policy = policy
        self._trust = trust
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = TIMEOUT_S,
        largest_bytes: int | None = LARGEST_BYTES,
    ) -> Answer:
        """Send one request; nothing is tried twice, and a redirect is an answer like any other.

        `largest_bytes` None wants the status alone: it stands whatever the body is, which is left.

        Raises:
            OutgoingFailed: If the address may not be reached, or no whole answer of at most
                `largest_bytes`, after unpacking, arrived within `timeout_s`. The message names
                the host, never the rest of the URL, and no header.
        """
        try:
            target = read_target(url)
            if _TOKEN.fullmatch(method) is None:
                raise OutgoingFailed(f"{method[:20]!r} is not a method of HTTP")
            if (fault := self._policy.fault_of(target)) is not None:
                raise OutgoingFailed(f"the URL {fault}")
        except UrlFault as fault_in_url:
            raise OutgoingFailed(f"the URL {fault_in_url}") from None
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._opened().request(
                    method,
                    target.url,
                    data=body,
                    headers=_checked(headers or {}),
                    allow_redirects=False,
                ) as response,
            ):
                if largest_bytes is None:
                    await _pass_over(response)
                    return Answer(response.status, response.headers, b"")
                content = await _read(response, largest_bytes)
                return Answer(response.status, response.headers, content)
        except TimeoutError:
            raise OutgoingFailed(f"{target.host} did not answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The cause is left out: its text may hold the URL.
            raise OutgoingFailed(_in_words(error, target)) from None

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """The session, made in the loop that uses it."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=guarded_connector(self._policy, self._trust),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def guarded_connector(
    policy: OutgoingPolicy, trust: ssl.SSLContext | None = None
) -> aiohttp.TCPConnector:
    """Make a pool of connections that go only where the policy admits; in the loop that uses it.

    Args:
        policy: Where they may go.
        trust: Whose certificates are believed; by default those that the system believes.
    """

    def opened(found: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket for an address; the last look at where it will connect to."""
        family, kind, protocol, _, address = found
        if not policy.admits(str(address[0])):
            raise PermissionError("not a public address")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return aiohttp.TCPConnector(
        resolver=GuardedResolver(policy),
        use_dns_cache=False,
        limit=_CONNECTIONS,
        limit_per_host=_CONNECTIONS_PER_HOST,
        socket_factory=opened,
        ssl=True if trust is None else trust,
    )


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    """Complete the headers of a request.

    Raises:
        OutgoingFailed: If one cannot be sent, or is not the caller's to set.
    """
    for name, value in headers.items():
        if _TOKEN.fullmatch(name) is None or name.lower() in _OURS:
            raise OutgoingFailed(f"the header {name[:80]!r} cannot be sent")
        if _VALUE.fullmatch(value) is None:
            raise OutgoingFailed(f"the value of the header {name[:80]} cannot be sent")
    named = {name.lower() for name in headers}
    ours = {} if "user-agent" in named else {"User-Agent": USER_AGENT}
    return {**ours, **headers, "Accept-Encoding": ACCEPT_ENCODING}


async def _read(response: aiohttp.ClientResponse, largest_bytes: int) -> bytes:
    encoding = ",".join(response.headers.getall("Content-Encoding", []))
    unpacker = Unpacker(encoding, Allowance(largest_bytes))
    content = bytearray()
    async for piece in response.content.iter_any():
        content += unpacker.feed(piece)
    unpacker.finish()
    return bytes(content)


async def _pass_over(response: aiohttp.ClientResponse) -> None:
    """Read a body that nobody wants if it is short, so that its connection serves again."""
    length = 0
    try:
        async with asyncio.timeout(_UNWANTED_S):
            async for piece in response.content.iter_any():
                length += len(piece)
                if length > _UNWANTED_BYTES:
                    break
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        pass
    if not response.content.at_eof():
        response.close()


def _in_words(error: Exception, target: Target) -> str:
    """Say what went wrong in a sentence without secrets."""
    where = f"{target.host} port {target.port}"
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {where} is not valid"
        case aiohttp.ClientSSLError():
            return f"{where} does not speak TLS as we do"
        case aiohttp.ClientConnectorError():
            return f"{where} cannot be reached"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
            return f"{where} broke off the connection"
        case aiohttp.ClientPayloadError():
            return f"{where} broke off in the middle of its answer"
        case aiohttp.ClientResponseError():
            return f"{where} does not answer in HTTP"
        case aiohttp.InvalidURL():
            return "the URL is not one that can be requested"
        case aiohttp.ClientError() | OSError():
            return f"the connection to {where} failed"
        case _:
            return f"the request to {where} cannot be sent"
