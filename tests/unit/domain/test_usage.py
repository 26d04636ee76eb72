from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.usage import (
    CallUsage,
    Charged,
    Prices,
    TurnUsage,
    Used,
    charged,
    used_after,
    used_in,
)
from tests.support.rows import NOON, later

MODELS = {"stt": "openai/gpt-4o-transcribe", "llm": "openai/gpt-5.4", "tts": "openai/tts-1"}
ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


def turn(at_s: float, models: Any = MODELS, **usage: Any) -> TurnUsage:
    named = {
        "llm_input_tokens": usage.get("tokens_in", 0),
        "llm_output_tokens": usage.get("tokens_out", 0),
        "tts_characters": usage.get("characters", 0),
    }
    return TurnUsage(later(at_s), models, named)


def call(*turns: TurnUsage, seconds: float | None = 60, **changes: Any) -> CallUsage:
    values: dict[str, Any] = {
        "direction": "inbound",
        "answered_at": None if seconds is None else NOON,
        "ended_at": NOON + timedelta(seconds=seconds or 0),
        "turns": turns,
        "assistant": {"stt_config": {"provider": "deepgram", "model": "nova-3"}},
    }
    return CallUsage(**(values | changes))


def lines(*used: Used) -> list[tuple[str, str, str, str, float]]:
    return [(u.kind, u.provider, u.model, u.unit, float(u.quantity)) for u in used]


def costs(used: list[Used], prices: Prices, *own: str) -> list[float | None]:
    return [None if c.cost is None else float(c.cost) for c in charged(used, prices, own)]


def test_what_turns_took_adds_up_by_who_did_the_work() -> None:
    other = {**MODELS, "llm": "openai_compatible/llama3/8b", "tts": "espeak"}
    made = call(
        turn(1, tokens_in=100, tokens_out=20, characters=40),
        turn(11, tokens_in=150, tokens_out=30, characters=60),
        turn(31, other, tokens_in=7, tokens_out=0, characters=5),
    )
    assert lines(*used_in(made)) == [
        ("telephony", "sip", "", "seconds", 60),
        ("stt", "openai", "gpt-4o-transcribe", "seconds", 60),
        ("llm", "openai", "gpt-5.4", "input_tokens", 250),
        ("llm", "openai", "gpt-5.4", "output_tokens", 50),
        ("tts", "openai", "tts-1", "characters", 100),
        ("llm", "openai_compatible", "llama3/8b", "input_tokens", 7),
        ("tts", "espeak", "", "characters", 5),
    ]


def test_each_listener_has_the_seconds_up_to_the_turns_it_heard() -> None:
    other = {**MODELS, "stt": "deepgram/nova-3"}
    made = call(turn(1), turn(20), turn(50, other), seconds=90.25)
    listened = [line for line in lines(*used_in(made)) if line[0] == "stt"]
    assert listened == [
        ("stt", "openai", "gpt-4o-transcribe", "seconds", 20),
        ("stt", "deepgram", "nova-3", "seconds", 70.25),
    ]


def test_what_was_used_beside_the_conversation_is_added_to_who_did_it() -> None:
    briefing = TurnUsage(later(9), MODELS, {"tts_characters": 30, "stt_seconds": 7.5})
    summary = TurnUsage(later(5), {"llm": "a/b"}, {"llm_input_tokens": 9, "llm_output_tokens": 4})
    odd = TurnUsage(later(6), {}, {"stt_seconds": "x"})
    made = call(turn(1, characters=12), seconds=60, beside=(summary, briefing, odd))
    assert lines(*used_in(made)) == [
        ("telephony", "sip", "", "seconds", 60),
        ("stt", "openai", "gpt-4o-transcribe", "seconds", 67.5),
        ("tts", "openai", "tts-1", "characters", 42),
        ("llm", "a", "b", "input_tokens", 9),
        ("llm", "a", "b", "output_tokens", 4),
    ]


def test_a_call_without_a_turn_was_listened_to_by_the_assistants_own() -> None:
    assert lines(*used_in(call(seconds=3.5))) == [
        ("telephony", "sip", "", "seconds", 4),
        ("stt", "deepgram", "nova-3", "seconds", 3.5),
    ]


def test_a_call_that_nobody_answered_used_only_what_was_prepared_for_it() -> None:
    assert used_in(call(seconds=None)) == []
    made = call(turn(0, characters=12), seconds=None)
    assert lines(*used_in(made)) == [("tts", "openai", "tts-1", "characters", 12)]


def test_a_web_call_uses_the_web_and_each_started_second_counts() -> None:
    first = used_in(call(direction="web", seconds=60.001))[0]
    assert lines(first) == [("telephony", "web", "", "seconds", 61)]


def test_telephony_costs_a_credit_a_minute() -> None:
    (line, _) = used_in(call(seconds=90))
    assert charged([line], {}) == [Charged(line, Decimal("1500.000000"))]


def test_prices_are_of_the_model_or_else_of_the_provider_or_else_unknown() -> None:
    prices: Prices = {
        "openai/gpt-5.4": {"million_input_tokens": 4, "million_output_tokens": 16},
        "openai": {"minute": 0.1, "million_input_tokens": 1, "million_characters": 200},
    }
    used = used_in(call(turn(1, tokens_in=1000, tokens_out=500, characters=50), seconds=30))
    assert costs(used, prices) == [500, 50, 4, 8, 10]
    assert costs(used, {}) == [500, None, None, None, None]
    mini = used_after("openai/gpt-5.4-mini", 1000, 500)
    assert costs(mini, prices) == [1, None]


def test_what_runs_here_is_free_and_what_an_organisation_pays_itself_is_unknown() -> None:
    prices: Prices = {"parrot": {"million_input_tokens": 9}, "openai": {"minute": 0.1}}
    assert costs(used_after("parrot/parrot-1", 10, 0), prices) == [0]
    line = used_in(call(turn(1), seconds=30))
    assert costs(line, prices, "openai") == [500, None]


@pytest.mark.parametrize(
    "usage",
    [{}, {"llm_input_tokens": float("nan")}, {"llm_input_tokens": -5}, {"tts_characters": "9"},
     {"tts_characters": True}, {"llm_output_tokens": 1e300}],
)  # fmt: skip
def test_what_is_no_quantity_is_nothing(usage: Any) -> None:
    made = call(TurnUsage(NOON, MODELS, usage))
    assert {line.kind for line in used_in(made)} == {"telephony", "stt"}


@given(
    st.lists(
        st.builds(
            TurnUsage,
            at=st.floats(-1e4, 1e5).map(later),
            models=st.dictionaries(st.sampled_from(["stt", "llm", "tts"]), ANYTHING),
            usage=st.dictionaries(
                st.sampled_from(["llm_input_tokens", "llm_output_tokens", "tts_characters"]),
                ANYTHING,
            ),
        ),
        max_size=6,
    ),
    st.none() | st.floats(-10, 14_400),
)
def test_whatever_is_stored_is_counted_without_a_fault_and_each_thing_once(
    turns: list[TurnUsage], seconds: float | None
) -> None:
    used = used_in(call(*turns, seconds=seconds))
    keys = [(u.kind, u.provider, u.model, u.unit) for u in used]
    assert len(set(keys)) == len(keys)
    assert all(u.quantity > 0 and u.provider for u in used)
    listened = sum(u.quantity for u in used if u.kind == "stt")
    assert float(listened) == pytest.approx(max(seconds or 0, 0), abs=0.01)
    prices: Prices = {"openai": {"minute": 1}}
    assert all(c.cost is None or c.cost >= 0 for c in charged(used, prices))
