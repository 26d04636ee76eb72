"""The journal's promises while the database is away, slow or picky."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from sovereign_ari.control.journal import LIMIT, JournalWriter
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import CallNote, JournalEntry
from sovereign_ari.errors import Bug, DatabaseUnavailable
from tests.support.virtual_time import run_in_virtual_time

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def note(number: int) -> CallNote:
    return CallNote(CallId("call"), NOON, "n", {"number": number})


class Database:
    def __init__(self) -> None:
        self.written: list[int] = []
        self.away_until_s = 0.0
        self.poison: set[int] = set()

    async def write(self, entries: Sequence[JournalEntry]) -> None:
        if asyncio.get_running_loop().time() < self.away_until_s:
            raise DatabaseUnavailable("away")
        numbers = [entry.detail["number"] for entry in entries if isinstance(entry, CallNote)]
        if self.poison & set(numbers):
            raise Bug("no")
        self.written += numbers


def written_by(database: Database, count: int) -> JournalWriter:
    writer = JournalWriter(database.write)

    async def scene() -> None:
        task = asyncio.create_task(writer.run())
        for number in range(count):
            writer.post(note(number))
        writer.close()
        await task

    run_in_virtual_time(scene())
    return writer


def test_entries_are_written_in_order() -> None:
    database = Database()
    written_by(database, 250)
    assert database.written == list(range(250))


def test_a_database_that_is_away_for_an_hour_loses_nothing() -> None:
    database = Database()
    database.away_until_s = 3600
    writer = written_by(database, 1000)
    assert database.written == list(range(1000))
    assert writer.lost == 0


def test_one_entry_that_cannot_be_written_does_not_hold_up_the_others() -> None:
    database = Database()
    database.poison = {7}
    writer = written_by(database, 20)
    assert database.written == [n for n in range(20) if n != 7]
    assert writer.lost == 1


def test_beyond_the_limit_the_oldest_is_lost_and_counted() -> None:
    database = Database()
    database.away_until_s = 10
    writer = written_by(database, LIMIT + 3)
    assert database.written == list(range(3, LIMIT + 3))
    assert writer.lost == 3
