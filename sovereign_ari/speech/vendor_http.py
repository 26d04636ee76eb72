"""One request to a vendor whose answer is read while it comes: deadlines, errors, hanging up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from sovereign_ari.errors import OutgoingFailed, ProviderUnavailable
from sovereign_ari.speech.endpoint import Endpoint
from sovereign_ari.speech.patience import Patience
from sovereign_ari.speech.vendor_errors import error_of_status

_MAX_ERROR_BYTES = 64 * 1024
_END_S = 1.0  # how long the end of a body may follow what its protocol calls the end


@dataclass(frozen=True, slots=True)
class StreamedPost:
    """What to ask, and whom.

    Attributes:
        what: Who answers, for messages, e.g. `openai chat`.
        endpoint: Server and key.
        path: Behind the server's base URL, e.g. `/chat/completions`.
        body: Sent as JSON.
    """

    what: str
    endpoint: Endpoint
    path: str
    body: Mapping[str, Any]

    @asynccontextmanager
    async def send(
        self, session: aiohttp.ClientSession, deadline_s: float
    ) -> AsyncIterator[StreamedAnswer]:
        """Ask; leaving before the end of the answer hangs up.

        Args:
            session: Shared HTTP session.
            deadline_s: Loop time by which the answer must have begun.

        Raises:
            ProviderError: When the vendor refuses or cannot be reached.
        """
        with _our_errors(self.what):
            async with asyncio.timeout_at(deadline_s):
                response = await session.post(
                    f"{self.endpoint.base_url}{self.path}",
                    json=self.body,
                    # A compressor on the way would hold back what is streamed.
                    headers={**self.endpoint.headers, "Accept-Encoding": "identity"},
                    allow_redirects=False,  # the next server would get the key and the words
                )
        answer = StreamedAnswer(self.what, response)
        try:
            if response.status != 200:
                body = await answer.beginning(deadline_s)
                raise error_of_status(self.what, response.status, body, response.headers)
            yield answer
        finally:
            answer.leave()


class StreamedAnswer:
    """The body of an answer, as it comes.

    A connection is used again only when the body was read to its end.
    """

    def __init__(self, what: str, response: aiohttp.ClientResponse) -> None:
        self._what = what
        self._response = response
        self._patience = Patience()
        self._ending = False

    @property
    def kind(self) -> str:
        """What the vendor says that the body is: its `Content-Type`, in small letters."""
        return self._response.headers.get("Content-Type", "").lower()

    async def read(self, deadline_s: float) -> bytes:
        """Take what has come, waiting for something until the deadline; empty at the end.

        Raises:
            ProviderUnavailable: When nothing comes in time, or the body breaks off.
        """
        with _our_errors(self._what):
            with self._patience.of(deadline_s - asyncio.get_running_loop().time()):
                return await self._response.content.readany()

    async def beginning(self, deadline_s: float) -> bytes:
        """Read all of a short body, or enough of a long one."""
        body = b""
        while len(body) < _MAX_ERROR_BYTES and (chunk := await self.read(deadline_s)):
            body += chunk
        return body

    def expect_end(self) -> None:
        """Say that everything has come but the end of the body; nobody need wait for that."""
        self._ending = True

    def leave(self) -> None:
        """Hang up, unless the end of the body has come or is all that is missing."""
        if not self._ending:
            self._response.close()
            return
        hang_up = asyncio.get_running_loop().call_later(_END_S, self._response.close)
        self._response.content.on_eof(hang_up.cancel)


@contextmanager
def _our_errors(what: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise ProviderUnavailable(f"{what} did not answer in time") from error
    except OutgoingFailed as error:
        raise ProviderUnavailable(f"{what}: {error}") from error
    except (aiohttp.ClientError, OSError) as error:
        raise ProviderUnavailable(f"{what} cannot be reached, or went away") from error
