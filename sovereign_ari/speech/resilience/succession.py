"""One piece of work and those who try it, one after the other: each twice if that is worth it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Generic, TypeVar

from sovereign_ari.errors import ProviderError, ProviderUnavailable
from sovereign_ari.speech.resilience.candidate import Candidate, in_turn, worth_another_try
from sovereign_ari.speech.resilience.notes import ProviderNotes

P = TypeVar("P")
_ONE_MORE = (0.0,)


class TooSlow(ProviderUnavailable):
    """The caller has waited long enough: asking the same provider again would take as long."""


class Succession(Generic[P]):
    """Whose turn it is. To be made when the work begins, in the event loop.

    Args:
        candidates: In order of preference, at least one.
        notes: Takes each change.
        last_pauses_s: Before each further try of the last one, whom nobody can follow.

    Attributes:
        candidate: Who is to try now.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate[P]],
        notes: ProviderNotes,
        last_pauses_s: Sequence[float] = _ONE_MORE,
    ) -> None:
        self._notes = notes
        self._last_pauses_s = last_pauses_s
        self._began_s = now_s()
        self._order = in_turn(candidates, now_s, notes)
        self._left = len(candidates) - 1
        self._failures = 0
        self.candidate = next(self._order)

    @property
    def is_last(self) -> bool:
        """Whether nobody is left who could take over."""
        return self._left == 0

    @property
    def took_s(self) -> float:
        """How long the work takes already."""
        return now_s() - self._began_s

    async def go_on(self, error: ProviderError) -> None:
        """Let the same one try again, or the next one.

        Args:
            error: Why the one whose turn it was has failed.

        Raises:
            ProviderError: `error`, when nobody is left.
        """
        was = self.candidate
        pauses_s = self._last_pauses_s if self.is_last else _ONE_MORE
        again = worth_another_try(error) and not isinstance(error, TooSlow)
        if again and self._failures < len(pauses_s):
            self._notes.retry(was.label, error, self.took_s)
            await asyncio.sleep(max(error.retry_after_s or 0.0, pauses_s[self._failures]))
            self._failures += 1
            return
        if self.is_last:
            raise error
        self._left -= 1
        self._failures = 0
        self.candidate = next(self._order)
        self._notes.fallback(was.label, self.candidate.label, error, self.took_s)


def now_s() -> float:
    """The time that circuits and deadlines go by: seconds of the event loop's clock."""
    return asyncio.get_running_loop().time()
