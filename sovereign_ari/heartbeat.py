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
from sovereign_ari.telephony.silence import ended_alone
from sovereign_ari.wire.ari_http import AriHttp

HEARTBEAT_S = 2.0

_log = logging.getLogger(__name__)


async def beat(
    pool: asyncpg.Pool, ari: AriHttp, app: str, live_calls: Callable[[], list[CallId]]
) -> None:
    """Say every two seconds that this controller lives; first close what its last life left.

    Whatever the database says to it, no call may end for it.
    """
    first = True
    while True:
        try:
            async with pool.acquire() as connection:
                if first:
                    await close_left_over(connection, ari, app, live_calls())
                    first = False
                await controllers.beat(connection, app, node="local", capacity=100)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            _log.warning("heartbeat: %s: %s", type(error).__name__, error)
        await asyncio.sleep(HEARTBEAT_S)


async def close_left_over(
    connection: asyncpg.Connection, ari: AriHttp, app: str, live: list[CallId]
) -> None:
    """Close the calls of our last life: as the PBX ended them, where it did, else as an error."""
    try:
        for call in await controllers.find_left_over(connection, app):
            if call in live or (end := await ended_alone(ari, CallId(call))) is None:
                continue
            await controllers.close_ended_alone(
                connection, call, at=end.at, end_reason=end.reason.value
            )
    except SovereignError as error:
        _log.warning("what the PBX ended meanwhile is not known: %s", error)
    await controllers.close_calls_of(connection, app, keep=live)
