"""The heartbeat of a controller, and what its last life left in the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import asyncpg

from db import controllers
from db.pool import UNAVAILABLE
from sovereign_ari.domain.ids import CallId
from sovereign_ari.errors import SovereignError
from sovereign_ari.telephony.silence import calls_with_callers, ended_alone, forget_end
from sovereign_ari.wire.ari_http import AriHttp

HEARTBEAT_S = 2.0

_log = logging.getLogger(__name__)


async def beat(
    pool: asyncpg.Pool, ari: AriHttp, app: str, node: str, live_calls: Callable[[], list[CallId]]
) -> None:
    """Say every two seconds that this controller lives, and close what its last life left.

    Whatever the database says to it, no call may end for it.

    Args:
        pool: Of the database.
        ari: The PBX, which may have ended calls alone.
        app: Name of the controller.
        node: The machine that it serves, with its PBX.
        live_calls: Which calls it has now.
    """
    left: set[str] | None = None
    while True:
        try:
            async with pool.acquire() as connection:
                if left is None:
                    live = set(live_calls())
                    left = set(await controllers.find_left_over(connection, app))
                    left -= live
                if left := left.difference(live_calls()):
                    left &= set(await controllers.find_left_over(connection, app))
                    left = await close_left_over(connection, ari, app, left)
                await controllers.beat(connection, app, node=node, capacity=100)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            _log.warning("heartbeat: %s: %s", type(error).__name__, error)
        await asyncio.sleep(HEARTBEAT_S)


async def close_left_over(
    connection: asyncpg.Connection, ari: AriHttp, app: str, left: set[str]
) -> set[str]:
    """Close calls of our last life: as the PBX ended them, where it did, else as an error.

    Returns:
        The calls to look at again, for the PBX still has their callers, or does not answer.
    """
    waiting = set(left)
    try:
        there = await calls_with_callers(ari)
        for call in map(CallId, left):
            end = await ended_alone(ari, call)
            if end is not None:
                await controllers.close_ended_alone(
                    connection, call, at=end.at, end_reason=end.reason.value
                )
                await forget_end(ari, call)
            if end is not None or call not in there:
                waiting.discard(call)
    except SovereignError as error:
        _log.warning("what the PBX ended meanwhile is not known: %s", error)
        await controllers.close_lost(connection, app, left)
    else:
        await controllers.close_lost(connection, app, left - waiting)
    return waiting
