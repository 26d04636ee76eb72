from __future__ import annotations

from dataclasses import replace

import pytest

from tests.soak.verdict import Held, Row, leaks, line

QUIET = Held(rss_mib=100.0, fds=30, threads=8, pid=1)


def row(calls: int, controller: Held = QUIET, tasks: int = 13, journal: int = 0) -> Row:
    return Row(calls, tasks, journal, controller, QUIET, QUIET, QUIET, database_mib=10.0)


def growing(kib_per_call: float, until: int = 10) -> list[Row]:
    """Ten rows of 140 calls each, whose memory grows up to one of them."""
    return [
        row(140 * n, replace(QUIET, rss_mib=100 + min(n, until) * 140 * kib_per_call / 1024))
        for n in range(1, 11)
    ]


def test_what_stays_as_it_is_leaks_nothing() -> None:
    assert leaks(growing(0)) == []


def test_memory_that_grows_to_the_end_is_a_leak() -> None:
    assert leaks(growing(43)) == ["controller memory: 43 KiB a call over the last 560 calls"]


def test_memory_that_grows_to_a_plateau_is_none() -> None:
    assert leaks(growing(43, until=5)) == []


def test_noise_of_the_allocator_is_no_leak() -> None:
    assert leaks(growing(9)) == []


def test_memory_of_asterisk_is_judged_likewise() -> None:
    rows = [replace(r, asterisk=r.controller, controller=QUIET) for r in growing(43)]

    assert leaks(rows) == ["asterisk memory: 43 KiB a call over the last 560 calls"]


def test_memory_is_judged_within_the_life_of_one_process() -> None:
    rows = growing(43)
    rows[8:] = [row(r.calls, replace(r.controller, pid=2, rss_mib=500)) for r in rows[8:]]

    assert leaks(rows) == []


@pytest.mark.parametrize(
    ("each", "found"), [(0.02, ["controller fds: 57, at first 35"]), (0.005, [])]
)
def test_handles_that_are_more_after_each_call_are_a_leak(each: float, found: list[str]) -> None:
    rows = [row(n * 140, replace(QUIET, fds=30 + int(each * n * 140))) for n in range(1, 11)]

    assert [one.partition(":")[0] for one in leaks(rows)] == [
        one.partition(":")[0] for one in found
    ]


def test_handles_that_were_open_at_one_look_only_are_no_leak() -> None:
    rows = growing(0)
    rows[-1] = replace(rows[-1], controller=replace(QUIET, fds=90))

    assert leaks(rows) == []


def test_tasks_and_unwritten_entries_are_leaks() -> None:
    rows = [row(n * 140, tasks=13 + n, journal=n // 3) for n in range(1, 11)]

    assert leaks(rows) == [
        "controller tasks: 22, at first 15",
        "journal entries: 3, at first 0",
    ]


def test_too_few_rows_tell_nothing() -> None:
    assert leaks(growing(1000)[:3]) == []


def test_a_row_tells_growth_since_the_one_before() -> None:
    first, second = growing(20)[:2]

    assert "+20.0" in line(second, first)
    assert "+" not in line(first, None)
    other = replace(second, controller=replace(second.controller, pid=2))
    assert " new " in line(other, first)
