"""What calls used of telephone, speech and models, as clients see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from api.views import View
from db.call_usage import UsageRow, UsageTotal
from sovereign_ari.domain.usage import Kind, Unit


class CallUsageView(View):
    """So much of one thing.

    A credit is a minute of telephony. The cost is null when nobody has told this installation a
    price, or the organisation pays the vendor itself.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "kind": "llm",
        "provider": "openai",
        "model": "gpt-5.4-mini",
        "unit": "input_tokens",
        "quantity": 2310,
        "cost_millicredits": 9.24,
    }

    kind: Kind
    provider: str
    model: str | None
    unit: Unit
    quantity: float
    cost_millicredits: float | None

    @classmethod
    def of(cls, row: UsageRow | UsageTotal) -> Self:
        """Show a row, or a sum of rows."""
        return cls.showing(
            row,
            model=row.model or None,
            quantity=float(row.quantity),
            cost_millicredits=None if row.cost is None else float(row.cost),
        )


class UsageTotalView(CallUsageView):
    """The same of many calls; the cost is null when that of any of them is."""

    example: ClassVar[Mapping[str, Any]] = {**CallUsageView.example, "calls": 1}

    calls: int
