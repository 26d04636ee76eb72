"""When a provider has failed so often that others are asked first. Pure: times are arguments.

    closed ── FAILURES in a row, or "come back later" ──► open
      ▲                                                    │ its time passes
      └── the trial works ── half open ◄───────────────────┘
                                 └── the trial fails ──► open, for twice as long

A circuit only chooses between providers: the last one that is left is asked whatever its circuit
says, so that no count of past faults can end a call that might have worked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

FAILURES = 3
WITHIN_S = 30.0
OPEN_S = 10.0
LONGEST_OPEN_S = 60.0
TRIAL_S = 30.0  # a trial that nobody reported on is over
MOST_CIRCUITS = 2000


class State(StrEnum):
    """Of a circuit."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class CircuitBreaker:
    """Counts how one provider does with one account. Whoever asks it reports how it went."""

    def __init__(self) -> None:
        self._failures: list[float] = []
        self._open_until_s: float | None = None
        self._open_for_s = OPEN_S
        self._trial_until_s: float | None = None

    def state(self, now_s: float) -> State:
        """What `admits` would go by."""
        if self._open_until_s is None:
            return State.CLOSED
        return State.OPEN if now_s < self._open_until_s else State.HALF_OPEN

    def admits(self, now_s: float) -> bool:
        """Whether to ask the provider now. Half open, it admits one request, which is its trial.

        Each admitted request ends with one of `succeeded`, `failed` and `gave_up`.
        """
        state = self.state(now_s)
        if state is not State.HALF_OPEN:
            return state is State.CLOSED
        if self._trial_until_s is not None and now_s < self._trial_until_s:
            return False
        self._trial_until_s = now_s + TRIAL_S
        return True

    def succeeded(self) -> None:
        """Note that it answered: close, and forget what was."""
        self._failures.clear()
        self._open_until_s = self._trial_until_s = None
        self._open_for_s = OPEN_S

    def failed(self, now_s: float, retry_after_s: float | None = None) -> None:
        """Note that it failed or refused.

        Args:
            now_s: Monotonic seconds.
            retry_after_s: When it asked us to come back. It is taken at its word: the circuit
                opens at once, for that long, though not for more than `LONGEST_OPEN_S`.
        """
        self._trial_until_s = None
        if self._open_until_s is not None:
            if now_s >= self._open_until_s:
                self._open_for_s = min(self._open_for_s * 2, LONGEST_OPEN_S)
                self._open_until_s = now_s + self._open_for_s
            return
        self._failures = [at_s for at_s in self._failures if now_s - at_s <= WITHIN_S]
        self._failures.append(now_s)
        if retry_after_s is not None:
            self._open_until_s = now_s + min(retry_after_s, LONGEST_OPEN_S)
        elif len(self._failures) >= FAILURES:
            self._open_until_s = now_s + self._open_for_s

    def gave_up(self) -> None:
        """Note that we ended the request ourselves, which says nothing about the provider."""
        self._trial_until_s = None


@dataclass(frozen=True, slots=True)
class Line:
    """What one circuit stands for.

    Attributes:
        kind: `llm`, `stt` or `tts`.
        label: `provider/model`.
        account: Whose key pays, and at which server: a bad key is nobody else's fault. Only ever
            compared, never shown.
    """

    kind: str
    label: str
    account: str = ""


class Breakers:
    """The circuits of one process, which all its calls share. The oldest idle ones are dropped."""

    def __init__(self) -> None:
        self._circuits: OrderedDict[Line, CircuitBreaker] = OrderedDict()

    def of(self, line: Line) -> CircuitBreaker:
        """The circuit of a line, a closed one when it was never asked for."""
        circuit = self._circuits.setdefault(line, CircuitBreaker())
        self._circuits.move_to_end(line)
        while len(self._circuits) > MOST_CIRCUITS:
            self._circuits.popitem(last=False)
        return circuit

    def levels(self, now_s: float) -> Mapping[tuple[str, str], int]:
        """How open circuits are, by kind and label: of several accounts, the worst.

        0 is closed, 1 half open, 2 open.
        """
        order = list(State)
        worst: dict[tuple[str, str], int] = {}
        for line, circuit in self._circuits.items():
            name = (line.kind, line.label)
            worst[name] = max(worst.get(name, 0), order.index(circuit.state(now_s)))
        return worst
