"""What a call used of telephone, speech and models, and what that costs. Pure.

    telephony  seconds from the answer to the end, each started second whole
    stt        seconds of the caller's line that were listened to, and of somebody who was briefed
    llm        input_tokens and output_tokens, as far as the provider counts them
    tts        characters that were synthesised, heard or not
    postcall   input_tokens and output_tokens of the summary and the analysis

Costs are in milli-credits; a credit is a minute of telephony. Of everything else an operator says
the price. What has none costs nobody knows how much, which is not nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from sovereign_ari.domain.agent import Config
from sovereign_ari.domain.ids import Direction

Kind = Literal["telephony", "stt", "llm", "tts", "postcall"]
Unit = Literal["seconds", "input_tokens", "output_tokens", "characters"]
Priced = Literal["minute", "million_input_tokens", "million_output_tokens", "million_characters"]
Prices: TypeAlias = Mapping[str, Mapping[Priced, float]]
"""Credits by `provider/model`, or by `provider` for all others of its models: for a `minute`, and
for a `million_input_tokens`, `million_output_tokens` and `million_characters`."""

SIDE_WORK = "usage"
"""Kind of the notes on the timeline that say what was used beside the conversation."""

FREE = frozenset({"parrot", "pocketsphinx", "espeak"})
"""Run on the operator's own machine."""

_PRICED: Mapping[Unit, tuple[Priced, int]] = {
    "seconds": ("minute", 60),
    "input_tokens": ("million_input_tokens", 1_000_000),
    "output_tokens": ("million_output_tokens", 1_000_000),
    "characters": ("million_characters", 1_000_000),
}
_COUNTED: tuple[tuple[Kind, Unit, str], ...] = (
    ("llm", "input_tokens", "llm_input_tokens"),
    ("llm", "output_tokens", "llm_output_tokens"),
    ("tts", "characters", "tts_characters"),
)
_MILLI = 1000
_MOST = 10**12  # of anything in one turn; more is a fault, not a quantity
_COST_STEP = Decimal("0.000001")
_QUANTITY_STEP = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Used:
    """So much of one thing."""

    kind: Kind
    provider: str
    model: str
    unit: Unit
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Charged:
    """What was used, and its cost in milli-credits; None when there is no price."""

    used: Used
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class TurnUsage:
    """What one turn says of who worked in it, and how much."""

    at: datetime
    models: Mapping[str, Any]
    usage: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallUsage:
    """What is stored of a call that ended.

    Attributes:
        turns: In their order.
        assistant: As it was at the call; it says who listened in a call without turns.
        beside: What was used beside the conversation, with `stt_seconds` of its own.
    """

    direction: Direction
    answered_at: datetime | None
    ended_at: datetime
    turns: Sequence[TurnUsage]
    assistant: Config
    beside: Sequence[TurnUsage] = ()


def used_in(call: CallUsage) -> list[Used]:
    """Add up what a call used, what models do after it not included."""
    sums: dict[tuple[Kind, str, Unit], Decimal] = {}
    for turn in (*call.turns, *call.beside):
        for kind, unit, name in _COUNTED:
            key = (kind, _label(turn.models.get(kind)), unit)
            sums[key] = sums.get(key, Decimal(0)) + _quantity(turn.usage.get(name))
    found = [_used(kind, label, unit, total) for (kind, label, unit), total in sums.items()]
    return [used for used in [*_lines(call), *found] if used.quantity > 0]


def used_after(label: str, input_tokens: int, output_tokens: int) -> list[Used]:
    """What one request of the work after a call used; `label` is `provider/model`."""
    both = (
        _used("postcall", label, "input_tokens", _quantity(input_tokens)),
        _used("postcall", label, "output_tokens", _quantity(output_tokens)),
    )
    return [used for used in both if used.quantity > 0]


def charged(used: Sequence[Used], prices: Prices, own: Collection[str] = ()) -> list[Charged]:
    """Say what things cost.

    Args:
        used: What was used.
        prices: The operator's.
        own: Providers that the organisation has keys of its own for: what those take of it is
            not known here.
    """
    return [Charged(each, _cost(each, prices, own)) for each in used]


def _lines(call: CallUsage) -> list[Used]:
    """The seconds of the line, and of those who listened to it."""
    if call.answered_at is None:
        return []
    length_s = (call.ended_at - call.answered_at).total_seconds()
    line = "web" if call.direction == "web" else "sip"
    lines = [_used("telephony", line, "seconds", _quantity(math.ceil(length_s)))]
    listened: dict[str, Decimal] = {}
    beside = [
        (_label(each.models.get("stt")), each.usage.get("stt_seconds")) for each in call.beside
    ]
    for label, seconds in (*_listened(call, call.answered_at), *beside):
        listened[label] = listened.get(label, Decimal(0)) + _quantity(seconds)
    return lines + [_used("stt", label, "seconds", total) for label, total in listened.items()]


def _listened(call: CallUsage, answered_at: datetime) -> list[tuple[str, float]]:
    """Give each stretch up to a turn to who listened then, and the rest to the last of them."""
    config = call.assistant.get("stt_config") or {}
    meant = "/".join(str(config[key]) for key in ("provider", "model") if config.get(key))
    found, label, before = [], _label(meant), answered_at
    for turn in call.turns:
        label = _label(turn.models.get("stt") or label)
        until = min(max(turn.at, before), call.ended_at)
        found.append((label, (until - before).total_seconds()))
        before = until
    return [*found, (label, (call.ended_at - before).total_seconds())]


def _used(kind: Kind, label: str, unit: Unit, quantity: Decimal) -> Used:
    provider, _, model = label.partition("/")
    return Used(kind, provider, model, unit, quantity)


def _label(value: Any) -> str:
    return (value.strip("/")[:200] if isinstance(value, str) else "") or "unknown"


def _quantity(value: Any) -> Decimal:
    """A quantity as it is stored; whatever is none, nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Decimal(0)
    if not 0 < value < _MOST:  # neither is NaN
        return Decimal(0)
    return Decimal(str(value)).quantize(_QUANTITY_STEP)


def _cost(used: Used, prices: Prices, own: Collection[str]) -> Decimal | None:
    if used.kind == "telephony":
        return (used.quantity * _MILLI / 60).quantize(_COST_STEP)
    if used.provider in FREE:
        return Decimal(0)
    if used.provider in own:
        return None
    name, size = _PRICED[used.unit]
    label = f"{used.provider}/{used.model}"
    price = prices.get(label, {}).get(name)
    if price is None:
        price = prices.get(used.provider, {}).get(name)
    if price is None:
        return None
    return (used.quantity * _MILLI * Decimal(str(price)) / size).quantize(_COST_STEP)
