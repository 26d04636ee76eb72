"""What is said while a tool or the model keeps the caller waiting, and when. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sovereign_ari.conversation.tools import Patience


class FillerClock:
    """Decides when the silence of a waiting caller has lasted too long.

    Args:
        patience: How long that is.
        lines: What to say, in turn; after the last comes the second again.
    """

    def __init__(self, patience: Patience, lines: Sequence[str]) -> None:
        self._patience = patience
        self._lines = lines
        self._quiet_since_s: float | None = None
        self._said = 0

    def due(self, now_s: float, *, waiting: bool, quiet: bool) -> str | None:
        """Let time pass; the line to be said now, if it is time.

        Args:
            now_s: Monotonic seconds.
            waiting: Whether the caller waits for a tool, or for the model's first word.
            quiet: Whether neither side says anything.
        """
        if not waiting:
            self._quiet_since_s, self._said = None, 0
            return None
        if not quiet or self._quiet_since_s is None:
            self._quiet_since_s = now_s
            return None
        limit_s = self._patience.every_s if self._said else self._patience.after_s
        if now_s - self._quiet_since_s < limit_s:
            return None
        number, self._said = self._said, self._said + 1
        self._quiet_since_s = now_s
        if number < len(self._lines):
            return self._lines[number]
        return self._lines[1 + (number - 1) % (len(self._lines) - 1)]
