"""Who answers one request to a language model: whose turn it is, who failed, what that cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from sovereign_ari.errors import ProviderError
from sovereign_ari.speech.base import (
    CHARS_PER_TOKEN,
    NOTHING_USED,
    LanguageModel,
    Message,
    ReplyPart,
    ToolSpec,
    Usage,
)
from sovereign_ari.speech.resilience.attempt import Attempt, TooSlow, close_all
from sovereign_ari.speech.resilience.breaker import State
from sovereign_ari.speech.resilience.candidate import Candidate, in_turn, worth_another_try
from sovereign_ari.speech.resilience.hedging import Paces
from sovereign_ari.speech.resilience.notes import ProviderNotes


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each wait may be. Seconds.

    Attributes:
        first_s: For the first token of a model that nobody can replace.
        replaced_s: For the first token of one that somebody can.
        next_s: For each further token.
        give_up_s: After so long without a token nobody else is asked.
        all_s: For the first token, whoever writes it.
    """

    first_s: float = 9.5  # the caller has been asked for a moment by then
    replaced_s: float = 3.0
    next_s: float = 6.0
    give_up_s: float = 7.0
    all_s: float = 9.5


ON_THE_PHONE = Deadlines()


class Search:
    """For one reply. Every attempt that it makes ends with it.

    Args:
        candidates: Whom to ask, the primary first.
        notes: For the timeline.
        paces: How soon models usually begin; None never sends a second request.
        deadlines: How long to wait.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate[LanguageModel]],
        notes: ProviderNotes,
        paces: Paces | None,
        deadlines: Deadlines,
    ) -> None:
        self._clock = asyncio.get_running_loop().time
        self._primary = candidates[0]
        self._notes = notes
        self._paces = paces
        self._deadlines = deadlines
        self._turns = in_turn(candidates, self._clock, notes)
        self._unasked = len(candidates)
        self._spare: list[Candidate[LanguageModel]] = []  # their requests lost a race
        self._running: list[Attempt] = []
        self._retried: list[Candidate[LanguageModel]] = []
        self._latest: tuple[Attempt, ProviderError] | None = None
        self._primary_fault: ProviderError | None = None
        self._may_double = paces is not None
        self._wasted = 0  # requests that came to nothing, whose cost nobody told
        self._wasted_told = NOTHING_USED
        self._asked_chars = 0
        self._quiet_since_s = self._clock()

    @property
    def quiet_s(self) -> float:
        """How long nothing has come that was used."""
        return self._clock() - self._quiet_since_s

    async def begin(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Attempt:
        """Ask until somebody begins to answer.

        Raises:
            ProviderError: When nobody does: the primary's fault.
        """
        self._asked_chars = sum(len(message.content) for message in messages)
        while True:
            if not self._running:
                self._ask(await self._successor(), messages, tools)
            await asyncio.wait(
                {attempt.beginning for attempt in self._running},
                timeout=max(0.0, self._next_look_s() - self._clock()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in [it for it in self._running if it.beginning.done()]:
                if self._has_begun(attempt):
                    await self._take(attempt)
                    return attempt
            for attempt in [it for it in self._running if self._clock() >= it.deadline_s]:
                await self.lose(attempt, attempt.too_slow)
            if self._running and self._clock() >= self._doubling_s():
                self._double(messages, tools)

    async def rest_of(self, attempt: Attempt) -> AsyncGenerator[ReplyPart, None]:
        """Stream what `begin` returned.

        Requests that came to nothing are counted too: as their vendor told, else their prompts as
        the vendor counted this one's, else by the length of the texts.

        Raises:
            ProviderError: When it breaks off; `lose` it then, to `begin` again.
        """
        async with aclosing(attempt.rest(self._pause_s)) as parts:
            async for part in parts:
                if isinstance(part, Usage):
                    yield part + self._take_wasted(part.input_tokens)
                else:
                    yield part
        if (uncounted := self._take_wasted(self._asked_chars // CHARS_PER_TOKEN)) != NOTHING_USED:
            yield uncounted

    def _take_wasted(self, prompt_tokens: int) -> Usage:
        """What the requests cost that came to nothing, once."""
        prompts = self._wasted * prompt_tokens
        wasted = self._wasted_told + Usage(prompts, 0, prompts)
        self._wasted, self._wasted_told = 0, NOTHING_USED
        return wasted

    def _write_off(self, attempt: Attempt) -> None:
        """Count an attempt that its vendor has worked on in vain."""
        if attempt.told is None:
            self._wasted += 1
        else:
            self._wasted_told += attempt.told

    def passed_on(self) -> None:
        """Note that something of the reply was used: not all that a model writes is."""
        self._quiet_since_s = self._clock()

    def _pause_s(self) -> float:
        """The longest wait for a further token, for one that repeats what was said as well."""
        limits = self._deadlines
        return max(0.0, min(limits.next_s, limits.all_s - self.quiet_s))

    async def lose(self, attempt: Attempt, error: ProviderError) -> None:
        """Note the fault of an attempt, and end it."""
        if isinstance(error, TooSlow) or attempt.has_begun:
            self._write_off(attempt)
        self._note_fault(attempt, error)
        await attempt.close()

    async def close(self) -> None:
        """End what runs: the reply is complete, or nobody wants it any more."""
        running, self._running = self._running, []
        for attempt in running:
            if attempt.has_begun:
                attempt.candidate.breaker.succeeded()
            else:
                attempt.candidate.breaker.gave_up()
        await close_all(running)

    def _ask(
        self,
        candidate: Candidate[LanguageModel],
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        until_s: float | None = None,
    ) -> None:
        limits, now_s = self._deadlines, self._clock()
        wait_s = limits.replaced_s if self._unasked or self._spare else limits.first_s
        left_s = (until_s or self._quiet_since_s + limits.all_s) - now_s
        self._running.append(Attempt(candidate, messages, tools, now_s, min(wait_s, left_s)))
        if self._paces is not None:
            self._paces.of(candidate.label).asked()

    async def _successor(self) -> Candidate[LanguageModel]:
        """Whom to ask now that nobody is asked."""
        if self._latest is None:
            return self._next_in_turn() or self._primary
        attempt, error = self._latest
        quiet_s = self.quiet_s
        if quiet_s < self._deadlines.give_up_s:
            same, label = attempt.candidate, attempt.label
            if _may_pass(error) and same not in self._retried and not self._is_passed_over(same):
                self._retried.append(same)
                self._notes.retry(label, error, self._clock() - attempt.began_s)
                await asyncio.sleep(error.retry_after_s or 0.0)
                return same
            if (other := self._next_in_turn()) is not None:
                self._notes.fallback(label, other.label, error, quiet_s)
                return other
        raise self._primary_fault or error

    def _is_passed_over(self, candidate: Candidate[LanguageModel]) -> bool:
        """Whether its circuit has opened, and somebody else can be asked."""
        others = self._unasked or self._spare
        return bool(others) and candidate.breaker.state(self._clock()) is State.OPEN

    def _next_in_turn(self) -> Candidate[LanguageModel] | None:
        if self._spare:
            return self._spare.pop(0)
        candidate = next(self._turns, None)
        self._unasked -= candidate is not None
        return candidate

    def _has_begun(self, attempt: Attempt) -> bool:
        """Whether this is the answer; a fault, or nothing while another may come, is not."""
        error = attempt.beginning.exception()
        if isinstance(error, ProviderError):
            self._note_fault(attempt, error)
            return False
        if error is not None:
            raise error
        if len(self._running) > 1 and not attempt.beginning.result():
            self._running.remove(attempt)
            self._write_off(attempt)
            attempt.candidate.breaker.succeeded()
            return False
        return True

    def _note_fault(self, attempt: Attempt, error: ProviderError) -> None:
        self._running.remove(attempt)
        self._latest = attempt, error
        attempt.candidate.failed(error, self._clock())
        if attempt.candidate is self._primary:
            self._primary_fault = self._primary_fault or error
        for other in self._running:
            note = self._notes.retry if other.label == attempt.label else None
            took_s = self._clock() - attempt.began_s
            if note is not None:
                note(attempt.label, error, took_s)
            else:
                self._notes.fallback(attempt.label, other.label, error, took_s)

    async def _take(self, winner: Attempt) -> None:
        """End what runs beside the answer."""
        now_s = self._clock()
        others = [it for it in self._running if it is not winner]
        for attempt in [winner, *others]:
            if self._paces is not None:
                self._paces.of(attempt.label).took(now_s - attempt.began_s)
        for attempt in others:
            self._write_off(attempt)
            attempt.candidate.breaker.gave_up()
            if attempt.candidate is not winner.candidate:
                self._spare.append(attempt.candidate)
        await close_all(others)
        self._running = [winner]

    def _next_look_s(self) -> float:
        return min(self._doubling_s(), *(attempt.deadline_s for attempt in self._running))

    def _doubling_s(self) -> float:
        """When a second request is due: never, once that was decided."""
        if self._paces is None or not self._may_double:
            return float("inf")
        first = self._running[0]
        return first.began_s + self._paces.of(first.label).patience_s

    def _double(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> None:
        """Send a second request beside the one that runs, if that may be."""
        assert self._paces is not None
        self._may_double = False
        first = self._running[0]
        if not self._paces.of(first.label).may_double():
            return
        other = self._next_in_turn()
        if other is not None and other.breaker.state(self._clock()) is State.OPEN:
            self._spare.append(other)
            other = None
        chosen, until_s = (first.candidate, first.deadline_s) if other is None else (other, None)
        self._notes.hedge(first.label, chosen.label, self._clock() - first.began_s)
        self._ask(chosen, messages, tools, until_s)


def _may_pass(error: ProviderError) -> bool:
    return worth_another_try(error) and not isinstance(error, TooSlow)
