"""The order in which ways to call somebody are tried."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.trunk import dial_strings, endpoint_in
from sovereign_ari.domain.ways import Ways

TRUNK = "6f0b4f4e-6a3f-4d53-9f3c-0a6f3c1f7a10"


def tried(refused: set[int], addresses: int) -> list[tuple[str, bool]]:
    """Try to call over a trunk some of whose addresses the PBX refuses to dial."""
    ways = Ways(dial_strings(TRUNK, ["a"] * addresses, "+31201234567"))
    found = []
    while (string := ways.next()) is not None:
        found.append((string.removeprefix("PJSIP/+31201234567@"), ways.is_last))
        place = int(ways.endpoint.rpartition("-")[2])
        ways.tried(dialled="/" in found[-1][0] or place not in refused)
    return found


def test_an_address_that_answers_is_given_all_the_time_when_only_dead_ones_are_left() -> None:
    one, two, three = (f"trunk-{TRUNK}-{place}" for place in (1, 2, 3))
    assert tried({1}, 2) == [(one, False), (two, True), (f"{one}/{one}-anyway", True)]
    assert tried({1, 2}, 2) == [
        (one, False), (two, True), (f"{one}/{one}-anyway", False), (f"{two}/{two}-anyway", True)
    ]  # fmt: skip
    assert tried({2}, 3) == [
        (one, False), (two, False), (three, True), (f"{two}/{two}-anyway", True)
    ]  # fmt: skip


@given(st.sets(st.integers(1, 5)), st.integers(1, 5))
def test_every_address_is_dialled_once(refused: set[int], addresses: int) -> None:
    refused &= set(range(1, addresses + 1))
    strings = [string for string, _ in tried(refused, addresses)]
    assert len(strings) == addresses + len(refused)
    dialled = [s for s in strings if "/" in s or int(s.rpartition("-")[2]) not in refused]
    assert len({endpoint_in(f"PJSIP/x@{string}") for string in dialled}) == addresses


def test_a_way_that_is_no_endpoint_of_a_trunk_is_tried_as_it_is() -> None:
    ways = Ways(("Local/200@from-local/n",))
    assert ways.next() == "Local/200@from-local/n"
    assert ways.is_last
    assert ways.next() is None
