"""When a reply is so late that a second request is sent beside the first. Pure.

A model's first token usually comes within its p95; one that does not is likely to be stuck behind
something that a second request would not meet. That costs a prompt, so only a share of requests
may be doubled: a vendor that is down gets hardly more of them than otherwise.
"""

from __future__ import annotations

from collections import OrderedDict, deque

SAMPLES = 200
LEAST_SAMPLES = 20
USUAL_S = 1.5
"""Until enough was measured."""

SHORTEST_S = 0.5
LONGEST_S = 2.5
SHARE = 0.1
RESERVE = 3.0
"""How many may be doubled in a row after a time in which none was."""

MOST_LABELS = 1000


class Pace:
    """How soon the first tokens of one model come."""

    def __init__(self) -> None:
        self._samples_s: deque[float] = deque(maxlen=SAMPLES)
        self._credit = RESERVE

    @property
    def patience_s(self) -> float:
        """How long to wait for a first token before asking a second time: the p95."""
        if len(self._samples_s) < LEAST_SAMPLES:
            return USUAL_S
        ordered = sorted(self._samples_s)
        p95_s = ordered[(len(ordered) * 95 - 1) // 100]
        return min(max(p95_s, SHORTEST_S), LONGEST_S)

    def took(self, first_token_s: float) -> None:
        """Note a first token, or that none had come by then when we gave up waiting."""
        self._samples_s.append(first_token_s)

    def asked(self) -> None:
        """Note a request."""
        self._credit = min(self._credit + SHARE, RESERVE)

    def may_double(self) -> bool:
        """Whether a request may be doubled; counts it if so."""
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True


class Paces:
    """The paces of all models that one process asks, by label. The oldest are dropped."""

    def __init__(self) -> None:
        self._paces: OrderedDict[str, Pace] = OrderedDict()

    def of(self, label: str) -> Pace:
        """The pace of a model."""
        pace = self._paces.setdefault(label, Pace())
        self._paces.move_to_end(label)
        while len(self._paces) > MOST_LABELS:
            self._paces.popitem(last=False)
        return pace
