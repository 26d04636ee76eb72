from __future__ import annotations

from tests.soak.excuses import Happening, Part
from tests.soak.soaking import legs_of
from tests.soak.tally import Tally

SLOW = Happening("a slow model", Part.MODEL, 0)


def test_calls_are_told_by_kind_and_outcome_and_by_what_excused_them() -> None:
    tally = Tally(begun=5)
    tally.went_well("talking")
    tally.went_well("talking")
    tally.went_wrong("talking", "no reply", SLOW)
    tally.went_wrong("talking", "no reply", None)
    tally.went_wrong("ringing", "answered", None)

    told = [line.split() for line in tally.table()]

    assert ["talking", "2", "1", "1"] in told
    assert ["ringing", "0", "0", "1"] in told
    assert ["all", "2", "1", "2"] in told
    assert ["a", "slow", "model", "1"] in told
    assert told[-2:] == [
        "WRONG: call 5, talking: no reply".split(),
        "WRONG: call 5, ringing: answered".split(),
    ]
    assert tally.wrong.total() == 2


def test_a_soak_has_as_many_rests_as_its_time_has_room_for() -> None:
    assert legs_of(20) == (10, 120)
    assert legs_of(3) == (5, 36)
    assert legs_of(0.5) == (1, 30)
