"""The transfer that was under way when a controller died, as the timeline tells of it."""

from __future__ import annotations

from typing import Any

import pytest

from sovereign_ari.domain.adoption import BrokenTransfer, broken_transfer

FIRST = {"step": "begun", "mode": "blind", "destination": "+31201234567"}
SECOND = {"step": "begun", "mode": "warm", "destination": "4711"}
RINGS, ANSWERED, FAILED = {"step": "ringing"}, {"step": "answered"}, {"step": "failed", "why": "x"}


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([], None),
        ([FIRST], BrokenTransfer("blind", "+31201234567")),
        ([FIRST, RINGS, ANSWERED], BrokenTransfer("blind", "+31201234567")),
        ([FIRST, RINGS, FAILED], None),
        ([FIRST, FAILED, SECOND, RINGS], BrokenTransfer("warm", "4711")),
        ([FIRST, ANSWERED, {"step": "joined"}], None),
        ([FIRST, {"step": "referred", "status": "FAILURE", "sip": "486"}], None),
        ([RINGS, {}], None),
    ],
)
def test_a_transfer_is_under_way_from_its_begin_to_its_end(
    steps: list[dict[str, Any]], found: BrokenTransfer | None
) -> None:
    assert broken_transfer(steps) == found
