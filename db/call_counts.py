"""How a list of calls knows its total, and a deep page its place, without counting.

A tenant may have millions of calls. `count(*)` over them, and `OFFSET` deep into them, read every
index entry on the way. So calls are counted as they are written, in the table `call_counts`:

* Per tenant and **period** of four hours (UTC) it holds how many calls there are for every
  combination of direction, status and assistant, each given or left open. A total is then the sum
  of one row per period, whatever the filters. For each number on our side it holds the same per
  day, with an assistant only in full combinations. The person's side has too many numbers to
  count, and few calls for each, so those are counted in their index.
* Triggers of `calls` keep it exact: each statement that adds, changes or removes calls **appends**
  what it changed, in its own transaction. Rows of a key add up, and nobody updates one, so writers
  never wait for each other. The triggers run with their owner's rights; a tenant only reads.
* The worker **settles**: it takes appended rows away and puts one row per key in their place, in
  one statement, which a reader sees whole or not at all. Workers that do so at once take different
  rows, and what they leave still adds up. If no worker runs, lists get slower, never wrong.

`locate` reads it. Whole periods are summed; the ends of a range that lie inside a period are
counted in the index of `calls`. The running sum, from the newest period, says in which period the
page begins and how many calls to skip **there**, and which periods hold the rest of the page:
only these are walked, each for as many calls as it gives. So offset 900,000 costs what offset 0
does, and a filter with few calls does not wade through the others. All of it is one statement, so
it sees one moment: the total and the page always agree.

The rows themselves, wide and joined, are fetched by id afterwards (`db/calls.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

PERIOD = timedelta(hours=4)
PERIOD_OF_NUMBER = timedelta(days=1)
"""What `add_call_counts` counts by, in the database."""

_ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)
SETTLED_AT_ONCE = 5000
"""Rows; such a batch takes well under a second."""


@dataclass(frozen=True, slots=True)
class CallFilter:
    """What to list; None does not filter. Times compare with the first ring.

    Attributes:
        from_at: The earliest.
        before_at: The first moment that is too late.
        phone_number: Either side's number.
    """

    status: str | None = None
    from_at: datetime | None = None
    before_at: datetime | None = None
    assistant_id: str | None = None
    direction: str | None = None
    phone_number: str | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """A range of time, taken apart.

    Attributes:
        first: Begin of the first whole period, None for all before `last`.
        last: End of the last whole period, None for all after `first`.
        edges: What lies in parts of periods, each from a moment up to another.
    """

    first: datetime | None
    last: datetime | None
    edges: tuple[tuple[datetime, datetime], ...]


def period_of(moment: datetime, lasts: timedelta = PERIOD) -> datetime:
    """The begin of the period that a moment lies in."""
    return moment - (moment - _ORIGIN) % lasts


def take_apart(from_at: datetime | None, before_at: datetime | None, lasts: timedelta) -> Range:
    """Split a range into whole periods and what is left at its ends."""
    if from_at is not None and before_at is not None and from_at >= before_at:
        return Range(from_at, from_at, ())
    first = None if from_at is None else period_of(from_at, lasts)
    last = None if before_at is None else period_of(before_at, lasts)
    edges = []
    if from_at is not None and first is not None and first < from_at:
        first += lasts
        edges.append((from_at, first))
    if before_at is not None and last is not None and last < before_at:
        edges.append((last, before_at))
    if first is not None and last is not None and first > last:  # all within one period
        edges = [(edges[0][0], edges[1][1])]
    return Range(first, last, tuple(edges))


class _Values:
    """The values of a statement, each named where it is used."""

    def __init__(self, *values: Any) -> None:
        self.all: list[Any] = list(values)

    def add(self, value: Any) -> str:
        """Take a value and give its placeholder."""
        self.all.append(value)
        return f"${len(self.all)}"


@dataclass(frozen=True)
class _Conditions:
    """Pieces of the statement, for `calls` as c and `call_counts` as k."""

    calls: str
    counts: str
    whole_calls: str
    number: str | None


def _conditions(wanted: CallFilter, whole: Range, values: _Values) -> _Conditions:
    calls = ["c.organisation_id = $1"]
    counts = ["k.organisation_id = $1"]
    number = None if wanted.phone_number is None else values.add(wanted.phone_number)
    counts.append(f"k.number = {number or repr('')}")
    for name in ("direction", "status", "assistant_id"):
        value = getattr(wanted, name)
        if value is not None:
            place = values.add(value)
            calls.append(f"c.{name} = {place}" + "::uuid" * (name == "assistant_id"))
            counts.append(f"k.{name} = {place}" + "::uuid::text" * (name == "assistant_id"))
        else:
            # A number's rows have an assistant only where they have the rest, too.
            full = number is not None and wanted.assistant_id is not None
            counts.append(f"k.{name} {'<>' if full else '='} ''")
    times = []
    if whole.first is not None:
        times.append(f">= {values.add(whole.first)}")
    if whole.last is not None:
        times.append(f"< {values.add(whole.last)}")
    return _Conditions(
        calls=" AND ".join(calls),
        counts=" AND ".join([*counts, *(f"k.period {time}" for time in times)]),
        whole_calls=" AND ".join([*calls, *(f"c.created_at {time}" for time in times)]),
        number=number,
    )


_COUNTED = """
    SELECT k.period AS starts_at, k.period + $6 AS ends_at, k.calls
      FROM call_counts AS k WHERE {counts}
     UNION ALL
    SELECT e.starts_at, e.ends_at,
           (SELECT count(*) FROM calls AS c
             WHERE {calls} {either} AND c.created_at >= e.starts_at AND c.created_at < e.ends_at)
      FROM unnest($4::timestamptz[], $5::timestamptz[]) AS e (starts_at, ends_at)
"""
_COUNTED_OF_PERSON = """
     UNION ALL
    SELECT call_period(c.created_at, $6), call_period(c.created_at, $6) + $6, 1
      FROM calls AS c WHERE {whole_calls} AND {theirs}
"""
_WALK = """
    SELECT c.id, c.created_at FROM calls AS c
     WHERE {calls} AND c.created_at >= s.starts_at AND c.created_at < s.ends_at {side}
     ORDER BY c.created_at DESC, c.id DESC
"""
_LOCATE = """
WITH counted AS MATERIALIZED ({counted}),
summed AS (
    SELECT starts_at, ends_at, sum(calls) AS calls,
           sum(sum(calls)) OVER (ORDER BY starts_at DESC) AS upto
      FROM counted GROUP BY starts_at, ends_at
),
picked AS MATERIALIZED (
    SELECT starts_at, ends_at, greatest($3 - (upto - calls), 0)::bigint AS skips,
           least(upto, $2::bigint + $3)::bigint - greatest(upto - calls, $3)::bigint AS takes
      FROM summed
     WHERE calls > 0 AND upto > $3 AND upto - calls < $2::bigint + $3
)
SELECT whole.total, page.id
  FROM (SELECT coalesce(sum(calls), 0)::bigint AS total FROM counted) AS whole
  LEFT JOIN (SELECT found.id, found.created_at
               FROM picked AS s CROSS JOIN LATERAL ({walk} OFFSET s.skips LIMIT s.takes) AS found
            ) AS page ON true
 ORDER BY page.created_at DESC, page.id DESC
"""


def _statement(found: _Conditions) -> str:
    """Put the statement together from fixed pieces; values stay parameters."""
    if found.number is None:
        counted = _COUNTED.format(calls=found.calls, counts=found.counts, either="")
        return _LOCATE.format(counted=counted, walk=_WALK.format(calls=found.calls, side=""))
    ours = f"c.our_number = {found.number}"
    theirs = f"c.their_number = {found.number} AND c.our_number IS DISTINCT FROM {found.number}"
    counted = _COUNTED.format(
        calls=found.calls, counts=found.counts, either=f"AND ({ours} OR {theirs})"
    ) + _COUNTED_OF_PERSON.format(whole_calls=found.whole_calls, theirs=theirs)
    sides = " UNION ALL ".join(
        f"({_WALK.format(calls=found.calls, side='AND ' + side)} LIMIT s.skips + s.takes)"
        for side in (ours, theirs)
    )
    walk = f"SELECT * FROM ({sides}) AS c ORDER BY c.created_at DESC, c.id DESC"
    return _LOCATE.format(counted=counted, walk=walk)


async def locate(
    connection: asyncpg.Connection,
    organisation_id: str,
    wanted: CallFilter,
    *,
    limit: int,
    offset: int,
) -> tuple[list[str], int]:
    """The ids of one page, newest first by first ring and then id, and how many there are."""
    lasts = PERIOD if wanted.phone_number is None else PERIOD_OF_NUMBER
    whole = take_apart(wanted.from_at, wanted.before_at, lasts)
    starts, ends = [edge[0] for edge in whole.edges], [edge[1] for edge in whole.edges]
    values = _Values(organisation_id, limit, offset, starts, ends, lasts)
    statement = _statement(_conditions(wanted, whole, values))
    rows = await connection.fetch(statement, *values.all)
    return [row["id"] for row in rows if row["id"] is not None], rows[0]["total"]


async def settle(connection: asyncpg.Connection, at_most: int = SETTLED_AT_ONCE) -> int:
    """Merge counts that were appended into one row per key; return how many were appended.

    Args:
        connection: Of the owner of the tables.
        at_most: How many to take at once; the oldest periods first.
    """
    taken: int = await connection.fetchval(
        """
        WITH appended AS (
            DELETE FROM call_counts WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM call_counts WHERE NOT settled
                 ORDER BY period LIMIT $1 FOR UPDATE SKIP LOCKED))
            RETURNING *
        ), keys AS (
            SELECT DISTINCT organisation_id, number, direction, status, assistant_id, period
              FROM appended
        ), settled AS (
            DELETE FROM call_counts AS k USING keys
             WHERE k.settled
               AND (k.organisation_id, k.number, k.direction, k.status, k.assistant_id, k.period)
                 = (keys.organisation_id, keys.number, keys.direction, keys.status,
                    keys.assistant_id, keys.period)
            RETURNING k.*
        ), written AS (
            INSERT INTO call_counts
            SELECT organisation_id, number, direction, status, assistant_id, period, sum(calls),
                   true
              FROM (SELECT * FROM appended UNION ALL SELECT * FROM settled) AS merged
             GROUP BY organisation_id, number, direction, status, assistant_id, period
            HAVING sum(calls) <> 0
        )
        SELECT count(*) FROM appended
        """,
        at_most,
    )
    return taken
