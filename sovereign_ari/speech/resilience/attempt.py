"""One request to a language model, begun in a task of its own so that two can race."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any, cast

from sovereign_ari.errors import ProviderError, ProviderUnavailable
from sovereign_ari.speech.base import LanguageModel, Message, ReplyPart, ToolSpec, Usage
from sovereign_ari.speech.patience import Patience
from sovereign_ari.speech.resilience.candidate import Candidate

_log = logging.getLogger(__name__)


class TooSlow(ProviderUnavailable):
    """The caller has waited long enough: the same again would double the silence."""


class Attempt:
    """One request.

    Args:
        candidate: Whom to ask.
        messages: The conversation.
        tools: What may be called.
        began_s: Now.
        wait_s: Longest wait for the first content.

    Attributes:
        began_s: When it was made.
        deadline_s: When it has taken too long to begin.
        beginning: Ends with its first content, or False when there is none.
    """

    def __init__(
        self,
        candidate: Candidate[LanguageModel],
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        began_s: float,
        wait_s: float,
    ) -> None:
        self.candidate = candidate
        self.began_s = began_s
        self.deadline_s = began_s + wait_s
        self._wait_s = wait_s
        self._patience = Patience()
        self._ahead: list[ReplyPart] = []
        self._stream = candidate.provider.reply(messages, tools)
        self.beginning = asyncio.create_task(self._begin(), name="model begins")

    @property
    def label(self) -> str:
        """`provider/model`."""
        return self.candidate.label

    @property
    def has_begun(self) -> bool:
        """Whether it has content, or came to a proper end without."""
        task = self.beginning
        return task.done() and not task.cancelled() and task.exception() is None

    @property
    def told(self) -> Usage | None:
        """What it cost, when its vendor has said so already."""
        return next((part for part in self._ahead if isinstance(part, Usage)), None)

    @property
    def too_slow(self) -> TooSlow:
        """The fault of one whose deadline has passed."""
        return TooSlow(f"{self.label} wrote nothing for {round(self._wait_s, 1):g} s")

    async def rest(self, pause_s: Callable[[], float]) -> AsyncGenerator[ReplyPart, None]:
        """Stream it from its beginning, once that has come.

        Args:
            pause_s: Gives the longest wait for each further part.

        Raises:
            ProviderError: When it breaks off.
        """
        for part in self._ahead:
            yield part
        while (following := await self._next(pause_s())) is not None:
            yield following

    async def _next(self, pause_s: float) -> ReplyPart | None:
        try:
            with self._patience.of(pause_s):
                return await anext(self._stream, None)
        except TimeoutError:
            raise TooSlow(f"{self.label} wrote nothing for {pause_s:g} s") from None

    async def _begin(self) -> bool:
        """Wait for the first content; False when there is none."""
        async for part in self._stream:
            self._ahead.append(part)
            if not isinstance(part, Usage):
                return True
        return False

    async def close(self) -> None:
        """End the request, wherever it is."""
        if not self.beginning.done():
            self.beginning.cancel()
            await asyncio.wait((self.beginning,))
        if not self.beginning.cancelled():
            error = self.beginning.exception()
            if error is not None and not isinstance(error, ProviderError):
                _log.error("a request that was given up has failed", exc_info=error)
        await cast("Any", self._stream).aclose()


async def close_all(attempts: Iterable[Attempt]) -> None:
    """End requests whose answers nobody wants."""
    attempts = list(attempts)
    for attempt in attempts:
        attempt.beginning.cancel()
    for attempt in attempts:
        await attempt.close()
