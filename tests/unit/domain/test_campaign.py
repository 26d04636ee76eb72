"""The life of a campaign."""

from __future__ import annotations

from datetime import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.campaign import CampaignStatus, change, hours_fault, is_finished
from sovereign_ari.errors import Conflict

FINISHED = {CampaignStatus.COMPLETED, CampaignStatus.CANCELLED}


@pytest.mark.parametrize(("now", "wanted"), [*product(CampaignStatus, [*CampaignStatus, None])])
def test_a_status_is_set_by_a_client_or_refused(
    now: CampaignStatus, wanted: CampaignStatus | None
) -> None:
    if now not in FINISHED and wanted is not CampaignStatus.COMPLETED:
        assert change(now, wanted) is (wanted or now)
        return
    with pytest.raises(Conflict, match=f"{now}"):
        change(now, wanted)


def test_only_completed_and_cancelled_campaigns_are_finished() -> None:
    assert {status for status in CampaignStatus if is_finished(status)} == FINISHED


@given(st.times(), st.times())
def test_hours_begin_before_they_end(start: time, end: time) -> None:
    fault = hours_fault(start, end)
    assert (fault is None) == (start < end)
