"""Counts what calls used, and says what it cost at the operator's prices."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import asyncpg

from db import call_usage as table
from db.byok import sealed_keys
from db.reports import TakenReport
from sovereign_ari.domain.usage import Charged, Prices, Used, charged, used_after, used_in


class Reply(Protocol):
    """What a model said."""

    @property
    def text(self) -> str:
        """All of it."""

    @property
    def model(self) -> str:
        """`provider/model`."""

    @property
    def input_tokens(self) -> int:
        """As far as the provider counts."""

    @property
    def output_tokens(self) -> int:
        """Likewise."""


@dataclass(slots=True)
class Spent:
    """What the replies for one step took together."""

    used: list[Used] = field(default_factory=list)
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    begun_s: float = field(default_factory=time.monotonic)

    def add(self, reply: Reply) -> None:
        """Take one more into account."""
        self.model = reply.model
        self.input_tokens += reply.input_tokens
        self.output_tokens += reply.output_tokens
        self.used += used_after(reply.model, reply.input_tokens, reply.output_tokens)

    def note(self, **more: Any) -> dict[str, Any]:
        """Say it for the timeline."""
        return {
            "model": self.model,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "duration_ms": round((time.monotonic() - self.begun_s) * 1000),
            **more,
        }


@dataclass(frozen=True, slots=True)
class Counting:
    """The counting of one worker.

    Attributes:
        prices: The operator's.
    """

    prices: Prices = field(default_factory=dict)

    async def charge(
        self, connection: asyncpg.Connection, organisation_id: str, used: Sequence[Used]
    ) -> list[Charged]:
        """Say what things cost an organisation."""
        if not used:
            return []
        own = set(await sealed_keys(connection, organisation_id))
        if "google_vertex" in own:
            own.add("google")  # the key of its other door
        return charged(used, self.prices, own)

    async def count(self, connection: asyncpg.Connection, report: TakenReport) -> bool:
        """Write once what a conversation used; True when the next step may be done."""
        if report.counted:
            return True
        call = await table.read_usage(connection, report.call_id, report.assistant)
        if call is None:
            return False
        costs = await self.charge(connection, report.organisation_id, used_in(call))
        return await table.count(connection, report.call_id, report.taken, costs)
