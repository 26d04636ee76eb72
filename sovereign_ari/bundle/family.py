"""The children of one `sovereign up`: started in order, watched, ended in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from sovereign_ari.bundle.processes import Child, Command, last_line
from sovereign_ari.errors import SetupFailed


class Family:
    """All children by name.

    Args:
        say: Prints one line for the operator.
        on_change: Called when a child has been started again, with a new process id.
    """

    def __init__(self, say: Callable[[str], None], on_change: Callable[[], None]) -> None:
        self._say = say
        self._on_change = on_change
        self._children: dict[str, Child] = {}
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settled = False
        self._ending = False

    def pids(self) -> dict[str, int]:
        """Process ids of those that run now."""
        return {name: child.pid for name, child in self._children.items() if child.pid is not None}

    def names(self) -> list[str]:
        """Everybody, in the order of start."""
        return list(self._children)

    async def launch(self, command: Command) -> None:
        """Start one more.

        Raises:
            SetupFailed: When its program cannot be executed.
        """
        child = Child(command, self._on_exit, lambda _name: self._on_change())
        self._children[command.name] = child
        try:
            await child.start()
        except OSError as error:
            raise SetupFailed(f"{command.name} cannot be started: {error}") from None

    def settle(self) -> None:
        """Everything is up: from now on a child that ends is started again, with one line."""
        self._settled = True

    async def unless_one_fails(self, work: Awaitable[None]) -> None:
        """Await the work, or raise as soon as a child ends that should be starting.

        Raises:
            SetupFailed: When a child ended.
        """
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done():
                self._failure.result()
            await task
        finally:
            await cancelled(task)

    def _on_exit(self, name: str, code: int) -> None:
        if self._ending:
            return
        log_path = self._children[name].command.log_path
        # A PostgreSQL that finds its predecessor still shutting down is right the next time.
        if not self._settled and name != "postgres" and not self._failure.done():
            self._failure.set_exception(
                SetupFailed(
                    f"{name} ended with code {code} while starting: {last_line(log_path)}",
                    hint=f"see {log_path}",
                )
            )
            self._failure.exception()  # somebody may await it, nobody must
        elif self._settled:
            self._say(f"{name} ended with code {code}, see {log_path}; starting it again")

    async def stop(self, names: Iterable[str], timeout_s: float) -> None:
        """Ask these to end, together, and kill those that have not after `timeout_s`."""
        self._ending = True
        found = [self._children[name] for name in names if name in self._children]
        await asyncio.gather(*(child.stop(timeout_s) for child in found))

    async def kill(self) -> None:
        """End everybody and their descendants at once."""
        self._ending = True
        await asyncio.gather(*(child.kill() for child in self._children.values()))


async def cancelled(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel tasks and wait until they are done, whatever their outcome."""
    for task in tasks:
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})
