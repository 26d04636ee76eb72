"""Commands to live calls: from the API to the controller that owns the call, and back.

A command is taken once, by an update of its row, or withdrawn, by the removal of the row; its lock
decides which. So whoever withdrew one that nobody had taken knows that it is not done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from db.controllers import show_life
from db.listening import FAULTS, listening
from sovereign_ari.domain.control import (
    CommandOutcome,
    ControlCommand,
    TakenCommand,
    read_command,
    write_command,
)
from sovereign_ari.domain.ids import CallId
from sovereign_ari.errors import DatabaseUnavailable, NotFound

ANSWERS = "sovereign_command_answers"
STALE_AFTER = timedelta(seconds=5)
KEPT_FOR = timedelta(minutes=1)
LOOK_AGAIN_S = 10.0


def channel_of(controller: str) -> str:
    """Name the channel that wakes a controller."""
    return f"sovereign_commands_{controller}"


@dataclass(frozen=True, slots=True)
class Place:
    """Whether a call takes a command now.

    Attributes:
        status: Of the call.
        controller: Who owns it; empty when nobody has taken it to place it.
        granted: Whether the window had a place left, in which only commands that fit count.
        frees_at: When the next place becomes free.
        now: The database's clock.
    """

    status: str
    controller: str
    granted: bool
    frees_at: datetime
    now: datetime


async def take_place(
    connection: asyncpg.Connection,
    organisation_id: str,
    call_id: str,
    *,
    fitting: Collection[str],
    allowed: int,
    period: timedelta,
) -> Place:
    """Take a place in the window of a call that has a status to which the command fits.

    Until the transaction ends, other commands to the call wait: their ids follow their order.

    Raises:
        NotFound: If the tenant has no such call.
    """
    row = await connection.fetchrow(
        """
        SELECT c.status, c.controller, coalesce(place.granted, false) AS granted,
               coalesce(place.frees_at, now()) AS frees_at, clock_timestamp() AS now
          FROM calls AS c
          LEFT JOIN LATERAL (
               SELECT * FROM take_place('call:' || c.id, $3, $4)
                WHERE c.status = ANY($5)
          ) AS place ON true
         WHERE c.organisation_id = $1 AND c.id = $2
        """,
        organisation_id,
        call_id,
        allowed,
        period,
        list(fitting),
    )
    if row is None:
        raise NotFound(f"no call {call_id}")
    return Place(**row)


async def send(
    connection: asyncpg.Connection,
    organisation_id: str,
    call_id: str,
    controller: str,
    command: ControlCommand,
) -> int:
    """Write a command and wake the controller, both when the transaction ends; gives its id."""
    sent: int = await connection.fetchval(
        """
        WITH sent AS (
            INSERT INTO call_commands (organisation_id, call_id, controller, command)
            VALUES ($1, $2, $3, $4) RETURNING id
        ) SELECT id, pg_notify($5, '') FROM sent
        """,
        organisation_id,
        call_id,
        controller,
        write_command(command),
        channel_of(controller),
    )
    return sent


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What had become of a command when it was removed; an outcome of None is not known."""

    taken: bool
    outcome: CommandOutcome | None


async def withdraw(
    connection: asyncpg.Connection, organisation_id: str, command_id: int
) -> Withdrawn:
    """Remove a command, so that it is not done any more if it was not done already."""
    row = await connection.fetchrow(
        """
        DELETE FROM call_commands WHERE organisation_id = $1 AND id = $2
        RETURNING taken_at IS NOT NULL AS taken, outcome
        """,
        organisation_id,
        command_id,
    )
    if row is None:  # the server crashed meanwhile and forgot it, or it was removed for its age
        return Withdrawn(taken=True, outcome=None)
    outcome = row["outcome"]
    return Withdrawn(row["taken"], None if outcome is None else CommandOutcome(outcome))


class CommandBox:
    """The commands for one controller, as they come. Made by `open_box`."""

    def __init__(self, connection: asyncpg.Connection, controller: str, wake: asyncio.Event):
        self._connection = connection
        self._controller = controller
        self._wake = wake

    async def take(self) -> list[TakenCommand]:
        """Wait for commands and take them, in their order.

        Those that waited too long for this are left for their senders to withdraw. Now and then
        it looks without being woken, and removes what nobody withdrew.

        Raises:
            DatabaseUnavailable: If the connection is lost.
        """
        try:
            while True:
                self._wake.clear()
                if rows := await self._connection.fetch(_TAKE, self._controller, STALE_AFTER):
                    return sorted(map(_taken, rows), key=lambda command: command.id)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await self._wake.wait()
                        continue
                await self._connection.execute(_PURGE, KEPT_FOR)
        except FAULTS as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error

    async def answer(self, outcomes: Mapping[int, CommandOutcome]) -> None:
        """Tell the API what became of commands, by their ids.

        Raises:
            DatabaseUnavailable: If it cannot be told; the senders will say that it is not known.
        """
        values = [outcome.value for outcome in outcomes.values()]
        try:
            await self._connection.execute(_ANSWER, list(outcomes), values)
        except FAULTS as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error


_TAKE = """
UPDATE call_commands SET taken_at = clock_timestamp()
 WHERE controller = $1 AND taken_at IS NULL AND created_at > clock_timestamp() - $2::interval
RETURNING id, call_id, command
"""
_PURGE = "DELETE FROM call_commands WHERE created_at < clock_timestamp() - $1::interval"
_ANSWER = f"""
WITH answered AS (
    UPDATE call_commands AS c SET outcome = told.outcome
      FROM unnest($1::bigint[], $2::text[]) AS told (id, outcome) WHERE c.id = told.id
    RETURNING c.id, c.outcome
) SELECT pg_notify('{ANSWERS}', id || ' ' || outcome) FROM answered
"""


def _taken(row: asyncpg.Record) -> TakenCommand:
    return TakenCommand(row["id"], CallId(row["call_id"]), read_command(row["command"]))


def read_answer(payload: str) -> tuple[int, CommandOutcome]:
    """Read what is notified on `ANSWERS`."""
    command_id, _, outcome = payload.partition(" ")
    return int(command_id), CommandOutcome(outcome)


@asynccontextmanager
async def open_box(pool: asyncpg.Pool, controller: str) -> AsyncIterator[CommandBox]:
    """Listen for a controller's commands, those that it missed included, and show that it lives.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    wake = asyncio.Event()
    try:
        async with listening(pool, channel_of(controller), lambda _: wake.set()) as connection:
            await show_life(connection, controller)
            yield CommandBox(connection, controller, wake)
    except FAULTS as error:
        raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
