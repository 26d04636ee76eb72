"""Those that may do a piece of work, the primary and its fall-backs, and whose turn it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sovereign_ari.errors import ProviderError
from sovereign_ari.speech.resilience.breaker import CircuitBreaker
from sovereign_ari.speech.resilience.notes import ProviderNotes

P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)

SHORT_WAIT_S = 1.0
"""How long the caller may be kept waiting because a vendor says when to come back."""


@dataclass(frozen=True, slots=True)
class Candidate(Generic[P_co]):
    """A provider and its circuit.

    Attributes:
        provider: It.
        label: `provider/model`.
        breaker: Its circuit, shared by all calls of this process.
    """

    provider: P_co
    label: str
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)

    def failed(self, error: ProviderError, now_s: float) -> None:
        """Tell the circuit of a fault; one that asks for long patience opens it."""
        wait_s = error.retry_after_s or 0.0
        self.breaker.failed(now_s, wait_s if wait_s > SHORT_WAIT_S else None)


def worth_another_try(error: ProviderError) -> bool:
    """Whether the same request may work at once, or after a wait that a caller does not notice."""
    return error.retryable and (error.retry_after_s or 0.0) <= SHORT_WAIT_S


def in_turn(
    candidates: Sequence[Candidate[P]], clock: Callable[[], float], notes: ProviderNotes
) -> Iterator[Candidate[P]]:
    """Yield each candidate once, in the order in which to ask them.

    One whose circuit does not admit it comes behind all the others, which is noted. Each that is
    asked is to be told how it went, as `CircuitBreaker.admits` says.
    """
    passed_over: list[Candidate[P]] = []
    told = 0
    for candidate in candidates:
        if not candidate.breaker.admits(clock()):
            passed_over.append(candidate)
            continue
        for other in passed_over[told:]:
            notes.circuit_open(other.label, candidate.label)
        told = len(passed_over)
        yield candidate
    yield from passed_over
