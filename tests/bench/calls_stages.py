"""Which stage of a reply costs what: the product's own timeline of the calls of a bench."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.support.platform import ApiClient

TITLES = {
    "endpoint_ms": "caller stops -> turn is over",
    "llm_ms": "-> the model's first token",
    "first_sentence_ms": "-> something to say",
    "tts_ms": "-> the voice's first audio",
    "playout_ms": "-> the first packet leaves",
    "voice_to_voice_ms": "all of it, at the controller",
}
"""Stages in their order; the first holds the configured end-of-turn delay."""

_ENDED_WITHIN_S = 60.0
_POLL_S = 0.5


@dataclass(frozen=True)
class Stage:
    """One stage of the replies of many calls, milliseconds."""

    name: str
    p50: float
    p95: float


async def ended_calls(api: ApiClient, seen: int, count: int) -> list[str]:
    """Wait until the record has `count` more ended calls than were seen; gives their ids."""
    async with asyncio.timeout(_ENDED_WITHIN_S):
        while True:
            page = await api.get(f"/calls?limit={min(count, 1000)}")
            new = page["pagination"]["total"] - seen
            if new >= count and all(call["ended_at"] for call in page["calls"]):
                return [call["id"] for call in page["calls"]]
            await asyncio.sleep(_POLL_S)


async def stages_of(api: ApiClient, call_ids: Sequence[str]) -> list[Stage]:
    """Read how long each stage of each reply to a caller took."""
    turns: list[dict[str, Any]] = []
    for call_id in call_ids:
        timeline = await api.get(f"/calls/{call_id}/timeline")
        turns += [turn["latency"] for turn in timeline["turns"] if turn["user"]]
    found = []
    for name in TITLES:
        values = [turn[name] for turn in turns if turn[name] is not None]
        p50, p95 = np.percentile(values, [50, 95]) if values else (float("nan"), float("nan"))
        found.append(Stage(name, round(float(p50), 1), round(float(p95), 1)))
    return found


def print_stages(calls: Sequence[int], stages: Sequence[Sequence[Stage]]) -> None:
    """Print a line per stage and a column per number of calls: p50 / p95."""
    print("\nStages of a reply, milliseconds, p50 / p95\n")
    width = max(len(title) for title in TITLES.values())
    print(f"{'calls at once':<{width}}" + "".join(f"{number:>18}" for number in calls))
    for number, title in enumerate(TITLES.values()):
        cells = "".join(f"{row[number].p50:>9} /{row[number].p95:>7}" for row in stages)
        print(f"{title:<{width}}{cells}")
