from __future__ import annotations

import pytest

from tests.soak.excuses import GREETING, SIGNALLING, TALK, Happening, Part, excuse

MODEL_FAILS = Happening("the model fails", Part.MODEL, began_s=100, over_s=110)
DATABASE_DIES = Happening("postgres killed", Part.PLATFORM, began_s=200, over_s=205)


@pytest.mark.parametrize(
    ("from_s", "to_s", "by"),
    [
        (80, 99, None),
        (80, 100, MODEL_FAILS),
        (105, 106, MODEL_FAILS),
        (112, 130, MODEL_FAILS),
        (114, 130, None),
        (90, 250, DATABASE_DIES),
        (224, 230, DATABASE_DIES),
        (226, 230, None),
    ],
)
def test_a_call_is_excused_by_the_latest_fault_that_it_may_have_felt(
    from_s: float, to_s: float, by: Happening | None
) -> None:
    assert excuse([MODEL_FAILS, DATABASE_DIES], TALK, from_s, to_s) is by


def test_a_process_that_died_is_named_before_a_provider_that_failed() -> None:
    later = Happening("a slow model", Part.MODEL, began_s=203, over_s=208)

    assert excuse([DATABASE_DIES, later], TALK, 204, 206) is DATABASE_DIES


def test_a_fault_of_what_a_call_does_not_need_excuses_nothing() -> None:
    assert excuse([MODEL_FAILS], GREETING, 100, 105) is None
    assert excuse([MODEL_FAILS], SIGNALLING, 100, 105) is None
    assert excuse([DATABASE_DIES], SIGNALLING, 200, 201) is DATABASE_DIES


def test_a_fault_that_met_no_request_excuses_nothing() -> None:
    never = Happening("hang", Part.MODEL, began_s=0, hit=lambda: False)

    assert excuse([never], TALK, 0, 10) is None


def test_a_fault_that_goes_on_excuses_whoever_calls_meanwhile() -> None:
    goes_on = Happening("a slow voice", Part.VOICE, began_s=0)

    assert excuse([goes_on], GREETING, 1000, 1001) is goes_on
