"""The question of one call to its integrator's server, while the caller hears ringing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from sovereign_ari.control.ports import AssistantRequests, Note
from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.assistant_request import Resolution
from sovereign_ari.domain.webhook import Subject
from sovereign_ari.errors import SovereignError

KIND = "assistant_request"

log = logging.getLogger(__name__)


class Asking:
    """Asks once, and tells what came of it, unless it is stopped before.

    Args:
        requests: Asks.
        note: Writes the timeline.
        settled: Told the route that the call takes. Must not wait.
        failed: Told, in a sentence, that there is none, for nobody could be found. Likewise.
    """

    def __init__(
        self,
        requests: AssistantRequests,
        note: Note,
        settled: Callable[[Route], None],
        failed: Callable[[str], None],
    ) -> None:
        self._requests = requests
        self._note = note
        self._settled = settled
        self._failed = failed
        self._task: asyncio.Task[Resolution] | None = None

    def start(self, route: Route, subject: Subject) -> None:
        """Begin; the answer comes on its own."""
        asking = self._requests.ask(route, subject)
        self._task = asyncio.create_task(asking, name=f"ask {subject.call_id}")
        self._task.add_done_callback(lambda task: self._done(task, route))

    async def stop(self) -> None:
        """Give up what was asked: the call is over. An answer that is here already stands."""
        if self._task is None or self._task.done():
            return
        self._task.cancel()
        await asyncio.wait((self._task,))
        if self._task.cancelled():
            self._note(KIND, {"outcome": "given_up"})

    def _done(self, task: asyncio.Task[Resolution], route: Route) -> None:
        if task.cancelled():
            return
        fault = task.exception()
        if fault is None:
            resolution = task.result()
            self._note(KIND, resolution.facts)
            self._settled(resolution.route)
        elif isinstance(fault, SovereignError):
            self._note(KIND, {"outcome": "fault", "faults": [str(fault)]})
            self._failed(str(fault))
        else:  # a bug of ours: whoever would have taken the call takes it
            log.error("could not ask who takes a call", exc_info=fault)
            self._note(KIND, {"outcome": "fault", "faults": [type(fault).__name__]})
            self._settled(route)
