"""A client that behaves as the vendor's own for Node does, against another base URL.

What it sends and expects is written from its documentation: the key and a JSON content type on
every request, also without a body; path ids percent-encoded; DELETE with a body; two retries, of
anything after a 429 and of GET, PUT and DELETE after a fault of the server or the network; errors
read from the flat form.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

USER_AGENT = "hmsovereign-node/2.4.0"
RETRIES = 2
LONGEST_WAIT_S = 30.0
PAGE = 100
_SAFE_TO_REPEAT = {"GET", "PUT", "DELETE"}


class ApiError(Exception):
    """What the client throws; the subclasses are chosen by status."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        assert isinstance(body["error"], str), "this client reads `error` as a text"
        super().__init__(body.get("message") or body["error"])
        self.status = status
        self.body = body
        self.details: list[str] = body.get("details", [])


class AuthenticationError(ApiError):
    pass


class InsufficientCreditsError(ApiError):
    pass


class NotFoundError(ApiError):
    pass


class RateLimitError(ApiError):
    pass


_CLASSES = {
    401: AuthenticationError,
    402: InsufficientCreditsError,
    404: NotFoundError,
    429: RateLimitError,
}


class VendorClient:
    """The client. `waits` records how long it would have slept; tests need not."""

    def __init__(self, base_url: str, key: str, *, sleep: bool = True) -> None:
        self._base = base_url.rstrip("/")
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
        }
        self._sleep = sleep
        self.waits: list[float] = []

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def request(
        self, method: str, path: str, body: Any = None, query: Mapping[str, Any] | None = None
    ) -> Any:
        """One operation; `path` is encoded already."""
        url = self._base + path + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body)
        status, headers, raw = await self._send(method, url, data)
        for attempt in range(RETRIES):
            if not (status == 429 or (status >= 500 and method in _SAFE_TO_REPEAT)):
                break
            await self._wait(headers.get("Retry-After"), attempt)
            status, headers, raw = await self._send(method, url, data)
        if status == 204:
            return None
        answer = json.loads(raw)
        if status >= 400:
            raise _CLASSES.get(status, ApiError)(status, answer)
        return answer

    async def _send(
        self, method: str, url: str, data: str | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        # The URL is encoded already, as the vendor's client encodes it.
        async with self._session.request(
            method, URL(url, encoded=True), data=data, headers=self._headers
        ) as response:
            return response.status, response.headers, await response.read()

    async def _wait(self, retry_after: str | None, attempt: int) -> None:
        seconds = float(retry_after) if retry_after else min(8.0, 2.0**attempt)
        self.waits.append(min(seconds, LONGEST_WAIT_S))
        if self._sleep:
            await asyncio.sleep(self.waits[-1])

    async def list(self, path: str, envelope: str, **query: Any) -> list[Any]:
        """Items of a list that is not paginated."""
        found = await self.request("GET", path, query=query)
        assert isinstance(found[envelope], list)
        return list(found[envelope])

    async def pages(self, path: str, envelope: str, **query: Any) -> AsyncIterator[Any]:
        """Every item of a paginated list, page after page."""
        offset = 0
        while True:
            page = await self.request(
                "GET", path, query={**query, "limit": PAGE, "offset": offset}
            )
            items = page[envelope]
            for item in items:
                yield item
            if offset + len(items) >= page["pagination"]["total"] or not items:
                return
            offset += len(items)


def encoded(one: str) -> str:
    """An id in a path, as `encodeURIComponent` writes it."""
    return quote(one, safe="!'()*~-_.")
