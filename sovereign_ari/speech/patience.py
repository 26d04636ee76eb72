"""A time limit for many short waits of one task, such as one for each chunk of audio."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Patience:
    """`with patience.of(seconds):` raises `TimeoutError` where `asyncio.timeout` would.

    Nearly all of these waits are over at once, and a timer for each would cost more than the work
    that is waited for: so one timer serves them all, and looks whether it is still wanted when it
    is due. For one wait at a time.
    """

    def __init__(self) -> None:
        self._limit_s = 0.0
        self._until_s: float | None = None  # None while nobody waits
        self._timer: asyncio.TimerHandle | None = None
        self._looks_s = 0.0  # when that is due
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._expired = False

    def of(self, seconds: float) -> Patience:
        """Set the limit of the next wait."""
        self._limit_s = seconds
        return self

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        assert self._task is not None
        self._cancelling = self._task.cancelling()
        self._until_s = until_s = loop.time() + self._limit_s
        if self._timer is None or until_s < self._looks_s:
            self._look_at(until_s, loop)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._until_s = None
        task, self._task = self._task, None
        if not self._expired:
            return
        self._expired = False
        assert task is not None
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _look_at(self, when_s: float, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_s = when_s
        self._timer = loop.call_at(when_s, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._until_s is None:
            return
        if loop.time() < self._until_s:
            self._look_at(self._until_s, loop)
            return
        assert self._task is not None
        self._expired = True
        self._task.cancel()
