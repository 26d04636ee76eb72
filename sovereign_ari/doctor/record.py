"""What the product itself wrote down about the doctor's call, read through its API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp

from sovereign_ari.domain.agent import TurnTaking

ENDED_WITHIN_S = 6.0
_POLL_S = 0.2
_TIMEOUT_S = 5.0

Json = dict[str, Any]


class _Get(Protocol):
    async def __call__(self, path: str, **query: str) -> Json:
        """Read something of the API."""


@dataclass(frozen=True, slots=True)
class Record:
    """The call as the API shows it.

    Attributes:
        error: Why it went wrong, a sentence.
        end_reason: As in the API.
        controller: Which controller had it.
        media: Counts of the controller's receiving side.
        turns: As in the timeline.
        events: As in the timeline.
        end_of_turn_s: Silence after which a turn of the caller may end, as configured.
    """

    error: str | None = None
    end_reason: str | None = None
    controller: str = ""
    media: Mapping[str, float] = field(default_factory=dict)
    turns: tuple[Json, ...] = ()
    events: tuple[Json, ...] = ()
    end_of_turn_s: float = TurnTaking().endpointing_min_delay_s


async def read_record(api_url: str, key: str, caller: str) -> Record | None:
    """Wait until the call of this caller has ended, and read it; None when there is none.

    Raises:
        aiohttp.ClientError: When the API does not serve us.
        TimeoutError: Likewise.
    """
    headers = {"Authorization": f"Bearer {key}"}
    limit = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(headers=headers, timeout=limit) as session:

        async def get(path: str, **query: str) -> Json:
            async with session.get(f"{api_url}/{path}", params=query) as answer:
                answer.raise_for_status()
                return dict(await answer.json())

        call = await _ended_call(get, caller)
        if call is None:
            return None
        timeline = await get(f"calls/{call['id']}/timeline")
        assistant = await get(f"assistants/{call['assistant_id']}") if call["assistant_id"] else {}
    return Record(
        error=call["error"],
        end_reason=call["end_reason"],
        controller=timeline["controller"],
        media=timeline["media"],
        turns=tuple(timeline["turns"]),
        events=tuple(timeline["events"]),
        end_of_turn_s=_end_of_turn_s(assistant),
    )


async def _ended_call(get: _Get, caller: str) -> Json | None:
    """Return the newest state of the call, ended or not, when it does not end in time."""
    deadline_s = asyncio.get_running_loop().time() + ENDED_WITHIN_S
    while True:
        found = (await get("calls", phone_number=caller, limit="1"))["calls"]
        in_time = asyncio.get_running_loop().time() < deadline_s
        if not in_time or (found and found[0]["ended_at"]):
            return dict(found[0]) if found else None
        await asyncio.sleep(_POLL_S)


def _end_of_turn_s(answer: Json) -> float:
    assistant = answer.get("assistant", answer)
    turn_taking = (assistant.get("speech_config") or {}).get("turn_taking") or {}
    return float(turn_taking.get("endpointing_min_delay") or TurnTaking().endpointing_min_delay_s)
