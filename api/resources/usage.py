"""`/usage`: what calls used, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from api.endpoints import Endpoints
from api.kinds import Timestamp, Uuid
from api.parts import Asked
from api.queries import WHOLE, From, Query, Truth, Until
from api.resources.call_usage import UsageTotalView
from api.views import Pagination, View
from db import usage as table
from db.call_usage import sum_call_usage

usage = Endpoints("Usage")


class UsageQuery(Query):
    """What to list. Dates compare with the first ring; a date without a time is a whole day.

    `breakdown` is ours.
    """

    limit: Annotated[int, Field(ge=1, le=1000), WHOLE] = 100
    offset: Annotated[int, Field(ge=0, le=2**31 - 1), WHOLE] = 0
    start_date: From | None = None
    end_date: Until | None = None
    breakdown: Truth = False


_LOG: dict[str, Any] = {
    "id": "call-inbound-01kdvz1m8h4x2n7q9r3t5v8w0y",
    "duration_sec": 187,
    "call_type": "phone",
    "number_id": "0d4b6c2a-7e1f-4a3b-9c5d-6e7f8a9b0c1d",
    "phone_number": "+31201234567",
    "assistant_id": "7b0d3c1e-5a52-4c8e-9d0e-2f6a1b3c4d5e",
    "agent_id": "7b0d3c1e-5a52-4c8e-9d0e-2f6a1b3c4d5e",
    "assistant_name": "Reception",
    "agent_name": "Reception",
    "business_name": "Bakery De Vries",
    "created_at": "2026-03-17T09:30:00.000Z",
}
_SUMS: dict[str, Any] = {
    "total_calls": 1,
    "total_duration_seconds": 187,
    "total_duration_minutes": 3.12,
    "total_seconds": 187,
    "total_minutes": 3.12,
    "total_cost": 0.2182,
}


class UsageLog(View):
    """One answered call that has ended. `phone_number` is the organisation's own."""

    example: ClassVar[Mapping[str, Any]] = _LOG

    id: str
    duration_sec: int
    call_type: Literal["phone", "web"]
    number_id: Uuid | None
    phone_number: str | None
    assistant_id: Uuid | None
    agent_id: Uuid | None
    assistant_name: str | None
    agent_name: str | None
    business_name: str | None
    created_at: Timestamp

    @classmethod
    def of(cls, record: table.UsageRecord) -> Self:
        """Show a row."""
        return cls.showing(
            record,
            duration_sec=record.duration_s,
            call_type="web" if record.direction == "web" else "phone",
            agent_id=record.assistant_id,
            agent_name=record.assistant_name,
        )


class UsageSummary(View):
    """Sums over every call of the dates asked for, not of this page alone.

    The cost is the seconds at the installation's price per minute, in its currency.
    """

    example: ClassVar[Mapping[str, Any]] = _SUMS

    total_calls: int
    total_duration_seconds: int
    total_duration_minutes: float
    total_seconds: int
    total_minutes: float
    total_cost: float

    @classmethod
    def of(cls, sums: table.UsageSums, price_per_minute: float) -> Self:
        """Show sums under the keys of every generation of clients."""
        minutes = round(sums.seconds / 60, 2)
        return cls.showing(
            sums,
            total_calls=sums.calls,
            total_duration_seconds=sums.seconds,
            total_duration_minutes=minutes,
            total_seconds=sums.seconds,
            total_minutes=minutes,
            total_cost=round(sums.seconds * price_per_minute / 60, 4),
        )


class UsagePage(View):
    """One page, newest first; `usage` is the older name of `logs`.

    `breakdown` is ours: what all calls of the dates used by kind, provider, model and unit, calls
    that were not answered included; null unless asked for.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "logs": [_LOG],
        "usage": [_LOG],
        "pagination": Pagination.example,
        "summary": _SUMS,
        "breakdown": [UsageTotalView.example],
    }

    logs: list[UsageLog]
    usage: list[UsageLog]
    pagination: Pagination
    summary: UsageSummary
    breakdown: list[UsageTotalView] | None = None


@usage.add("GET", "/usage", "List what calls used, newest first")
async def list_usage(asked: Asked, query: UsageQuery) -> UsagePage:
    """Answered calls that have ended, and sums over all of them."""
    span = (query.start_date, query.end_date)
    sums = await table.sum_usage(asked.connection, asked.organisation_id, *span)
    records = await table.list_usage(
        asked.connection, asked.organisation_id, span, limit=query.limit, offset=query.offset
    )
    breakdown = None
    if query.breakdown:
        totals = await sum_call_usage(asked.connection, asked.organisation_id, span)
        breakdown = [UsageTotalView.of(total) for total in totals]
    logs = [UsageLog.of(record) for record in records]
    return UsagePage(
        logs=logs,
        usage=logs,
        pagination=Pagination(total=sums.calls, limit=query.limit, offset=query.offset),
        summary=UsageSummary.of(sums, asked.parts.price_per_minute),
        breakdown=breakdown,
    )
