"""In which order the ways to call somebody are tried."""

from __future__ import annotations

from collections.abc import Sequence

from sovereign_ari.domain.trunk import endpoint_in


class Ways:
    """The dial strings of one call, each once.

    An endpoint may stand in several: the PBX may refuse to dial the first, and dial the next. When
    it has dialled one of them, the others are left out.

    Args:
        strings: In order of preference.
    """

    def __init__(self, strings: Sequence[str]) -> None:
        self._left = list(strings)
        self._spent: set[str] = set()
        self._refused: set[str] = set()
        self._at = ""

    def next(self) -> str | None:
        """Give the next one to try; None when there is none left."""
        while self._left:
            string = self._left.pop(0)
            self._at = endpoint_in(string) or string
            if self._at not in self._spent:
                return string
        return None

    @property
    def endpoint(self) -> str:
        """Which the present one leads over."""
        return self._at

    @property
    def is_last(self) -> bool:
        """Whether nothing better is left: what was refused is no better than what was not."""
        left = {endpoint_in(string) or string for string in self._left} - self._spent - {self._at}
        return not (left if self._at in self._refused else left - self._refused)

    def tried(self, *, dialled: bool) -> None:
        """Take down what became of the present one: the PBX dialled it, or refused to."""
        (self._spent if dialled else self._refused).add(self._at)
