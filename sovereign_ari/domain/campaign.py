"""The life of a campaign, and the hours in which it may call. Pure.

                 ┌──────────────┐
    draft ◄──► scheduled ◄──► paused          a client may go from any of these to any other,
      │            │             │            and from each of them to cancelled
      └────────────┴─────────────┴──► cancelled
                   │
                   └──► completed             by the platform, once no lead is left

Nothing leaves `completed` and `cancelled`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from enum import StrEnum

from sovereign_ari.errors import Conflict


class CampaignStatus(StrEnum):
    """Status values of the public contract."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


_OPEN = frozenset(
    {
        CampaignStatus.DRAFT,
        CampaignStatus.SCHEDULED,
        CampaignStatus.PAUSED,
        CampaignStatus.CANCELLED,
    }
)
SETTABLE: Mapping[CampaignStatus, frozenset[CampaignStatus]] = {
    CampaignStatus.DRAFT: _OPEN,
    CampaignStatus.SCHEDULED: _OPEN,
    CampaignStatus.PAUSED: _OPEN,
    CampaignStatus.COMPLETED: frozenset(),
    CampaignStatus.CANCELLED: frozenset(),
}
"""What a client may set, by what the campaign is."""


def is_finished(status: CampaignStatus) -> bool:
    """Whether nothing about the campaign changes any more."""
    return not SETTABLE[status]


def change(now: CampaignStatus, wanted: CampaignStatus | None) -> CampaignStatus:
    """Decide the status after a change of the campaign that wants this status, or none.

    Raises:
        Conflict: If the campaign is finished, or a client may not set this status.
    """
    if is_finished(now):
        raise Conflict(f"the campaign is {now}: it can no longer be changed")
    if wanted is None:
        return now
    if wanted not in SETTABLE[now]:
        raise Conflict(f"a campaign that is {now} cannot be made {wanted}")
    return wanted


def hours_fault(start: time, end: time) -> str | None:
    """Say why calls cannot be made between these times of one day, or None."""
    if start < end:
        return None
    return f"{end.isoformat()} is not later than schedule_start_time {start.isoformat()}"
