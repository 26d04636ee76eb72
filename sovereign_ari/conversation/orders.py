"""What clients of the API told the assistant to say. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """One thing to be said.

    Attributes:
        line: The words; None lets the model find them.
        ends: Whether the call ends after it.
        hint: For the model that finds them.
    """

    line: str | None
    ends: bool = False
    hint: str | None = None


class Orders:
    """First come, first said. Few wait: a call takes ten commands a minute."""

    def __init__(self) -> None:
        self._waiting: deque[Order] = deque()

    @property
    def waiting(self) -> bool:
        """Whether anything is to be said yet."""
        return bool(self._waiting)

    @property
    def end_the_call(self) -> bool:
        """Whether the call ends after what waits: nothing can be said after that."""
        return bool(self._waiting) and self._waiting[-1].ends

    def add(self, order: Order) -> None:
        """Put an order behind those that wait."""
        self._waiting.append(order)

    def next(self, *, caller_speaks: bool) -> Order | None:
        """Take the order whose time has come; only a last word is said while the caller speaks."""
        if not self._waiting or (caller_speaks and not self._waiting[0].ends):
            return None
        return self._waiting.popleft()
