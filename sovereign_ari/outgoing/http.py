"""HTTP requests to servers that others configure: public addresses only, no redirects, bounded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.policy import OutgoingPolicy

USER_AGENT = "HMS-Sovereign/1.0"
TIMEOUT_S = 10.0
LARGEST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class GuardedResolver(AbstractResolver):
    """Looks names up and keeps only the addresses that may be connected to."""

    def __init__(self, policy: OutgoingPolicy) -> None:
        self._policy = policy
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve a name; the connector connects to what is returned here and nowhere else.

        Raises:
            OutgoingFailed: If none of its addresses may be reached.
        """
        found = await self._inner.resolve(host, port, family)
        admitted = [result for result in found if self._policy.admits(result["host"])]
        if not admitted:
            raise OutgoingFailed(f"{host} has no public address")
        return admitted

    async def close(self) -> None:
        """Nothing is held."""
        await self._inner.close()


class OutgoingHttp:
    """One pool of connections for all such requests of a process. Closed by its owner."""

    def __init__(self, policy: OutgoingPolicy) -> None:
        self._policy = policy
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = TIMEOUT_S,
        largest_bytes: int = LARGEST_BYTES,
    ) -> Answer:
        """Send one request; nothing is tried twice, and a redirect is an answer like any other.

        Raises:
            OutgoingFailed: If the address may not be reached, or no whole answer of at most
                `largest_bytes` arrived within `timeout_s`.
        """
        if (fault := self._policy.fault(url)) is not None:
            raise OutgoingFailed(f"the URL {fault}")
        options: dict[str, Any] = {"headers": {"User-Agent": USER_AGENT, **(headers or {})}}
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._opened().request(
                    method, url, data=body, allow_redirects=False, **options
                ) as response,
            ):
                content = await _read(response, largest_bytes)
                return Answer(response.status, dict(response.headers), content)
        except TimeoutError:
            raise OutgoingFailed(f"no answer within {timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise OutgoingFailed(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        """The session, made in the loop that uses it."""
        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=GuardedResolver(self._policy))
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


async def _read(response: aiohttp.ClientResponse, largest_bytes: int) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > largest_bytes:
            raise OutgoingFailed(f"the answer is larger than {largest_bytes} bytes")
    return bytes(content)
