"""Looks up the names that stand in trunks, each organisation's apart from those of others."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_network

from sovereign_ari.outgoing.names import LookUp, look_up
from sovereign_ari.outgoing.policy import Network

RESOLVED_WITHIN_S = 7.0
"""Of one round; the system asks a second time after 5 s, when a packet was lost."""

AT_ONCE = 4
"""Of one organisation; with names that nobody answers for, it must not hold up all others."""

Asked = tuple[str, str]
"""An organisation, and a host in one of its trunks."""

_THREADS = ThreadPoolExecutor(max_workers=64, thread_name_prefix="trunk-names")
_log = logging.getLogger(__name__)


class TrunkNames:
    """What the names in trunks stand for.

    Args:
        names: Looks one up.
    """

    def __init__(self, names: LookUp | None = None) -> None:
        self._names = names or partial(look_up, threads=_THREADS)
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(AT_ONCE)
        )
        self._under_way: dict[Asked, asyncio.Task[frozenset[Network]]] = {}
        self._now: dict[Asked, frozenset[Network]] = {}
        self._last: dict[Asked, frozenset[Network]] = {}

    async def look_up(self, asked: Iterable[Asked]) -> None:
        """Look all of them up; one without an answer from the last time is not waited for again.

        Args:
            asked: All that are of interest: what is known of others is forgotten.
        """
        wanted = set(asked)
        self._under_way = {one: task for one, task in self._under_way.items() if not task.done()}
        begun = {
            one: asyncio.create_task(self._ask(*one)) for one in wanted - self._under_way.keys()
        }
        self._under_way |= begun
        if begun:
            await asyncio.wait(begun.values(), timeout=RESOLVED_WITHIN_S)
        self._now = {one: task.result() for one, task in begun.items() if task.done()}
        before = self._last
        self._last = {one: self.now(one) or before.get(one, frozenset()) for one in wanted}

    def now(self, asked: Asked) -> frozenset[Network]:
        """What the last look found; nothing when there was no answer."""
        return self._now.get(asked, frozenset())

    def last(self, asked: Asked) -> frozenset[Network]:
        """The same, or what was found before when there was no answer."""
        return self._last.get(asked, frozenset())

    async def _ask(self, organisation: str, host: str) -> frozenset[Network]:
        try:
            return frozenset({ip_network(host)})
        except ValueError:  # a name
            pass
        try:
            async with self._turns[organisation]:
                return frozenset(ip_network(found) for found in await self._names(host, 0))
        except (OSError, ValueError) as error:
            _log.warning("trunks: cannot find the host of a trunk: %s", error)
            return frozenset()
