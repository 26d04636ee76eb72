from __future__ import annotations

import json
from datetime import date
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.catalogue import KINDS, Catalogue
from sovereign_ari.domain.schema import faults, regex_fault
from sovereign_ari.errors import SettingsError
from sovereign_ari.speech.registry import load_catalogue

CATALOGUE = load_catalogue()


@pytest.mark.parametrize(
    ("kind", "block", "fault"),
    [
        ("llm", {}, "llm_config.provider: is required"),
        ("llm", {"provider": "openia"}, "'openia' is unknown; did you mean 'openai'?"),
        ("llm", {"provider": ["openai"]}, "llm_config.provider: must be a string"),
        ("stt", {"provider": {"openai": 1}}, "stt_config.provider: must be a string"),
        ("tts", {"provider": None}, "tts_config.provider: must be a string"),
        ("llm", {"provider": "openai", "model": "x"}, "llm_config.model: 'x' is not one of gpt-"),
        ("llm", {"provider": "openai", "temprature": 1}, "did you mean 'temperature'?"),
        ("llm", {"provider": "openai", "temperature": 3}, "3 is not between 0 and 2"),
        ("llm", {"provider": "openai", "temperature": True}, "must be a number"),
        (
            "llm",
            {"provider": "openai", "messages": [{"role": "boss", "content": ""}]},
            "llm_config.messages[0].role: 'boss' is not one of",
        ),
        ("stt", {"provider": "openai", "language": "xx"}, "stt_config.language: 'xx'"),
        ("stt", {"provider": "pocketsphinx", "grammar": "hello"}, "does not have the form #JSGF"),
        ("stt", {"provider": "pocketsphinx", "phrases": ["a1"]}, "stt_config.phrases[0]: does"),
        ("tts", {"provider": "espeak", "speed": 500}, "500 is not between 80 and 300"),
        ("tts", {"provider": "espeak", "voice_id": "--help"}, "is not one of the 115 known"),
        ("tts", {"provider": "elevenlabs"}, "tts_config.voice_id: is required"),
        (
            "llm",
            {"provider": "parrot", "script": [{"match": "("}]},
            "llm_config.script[0].match: is not a regular expression",
        ),
    ],
)  # fmt: skip
def test_a_faulty_block_is_told_what_is_wrong(
    kind: str, block: dict[str, Any], fault: str
) -> None:
    found = CATALOGUE.validate(kind, block)
    assert len(found) == 1
    assert fault in found[0].replace("^", "")


@pytest.mark.parametrize("kind", KINDS)
def test_every_provider_takes_its_own_defaults(kind: str) -> None:
    for provider in CATALOGUE.providers(kind):
        block = CATALOGUE.default_block(kind, provider)
        assert [f for f in CATALOGUE.validate(kind, block) if "is required" not in f] == []
        assert CATALOGUE.with_defaults(kind, block) == block


def test_missing_fields_are_filled_and_given_ones_kept() -> None:
    block = CATALOGUE.with_defaults("tts", {"provider": "openai", "voice_id": "marin"})
    assert block == {"provider": "openai", "voice_id": "marin", "model": "gpt-4o-mini-tts"}


def test_an_alias_becomes_the_name() -> None:
    block = {"provider": "11labs", "voice_id": "abc"}
    assert CATALOGUE.validate("tts", block) == []
    assert CATALOGUE.with_defaults("tts", block)["provider"] == "elevenlabs"
    assert not CATALOGUE.available("tts", "11labs")


def test_with_a_key_openai_serves_and_without_one_the_offline_providers() -> None:
    online = CATALOGUE.default_blocks(openai=True)
    offline = CATALOGUE.default_blocks(openai=False)
    assert {kind: block["provider"] for kind, block in online.items()} == {
        "llm": "openai",
        "stt": "openai",
        "tts": "openai",
    }
    assert {kind: block["provider"] for kind, block in offline.items()} == {
        "llm": "parrot",
        "stt": "pocketsphinx",
        "tts": "espeak",
    }
    mixed = CATALOGUE.default_blocks(openai=True, tts="espeak")
    assert mixed["tts"]["voice_id"] == "en-gb"


@pytest.mark.parametrize("name", ["deepgram", "nobody"])
def test_an_operators_choice_must_be_usable(name: str) -> None:
    with pytest.raises(SettingsError, match="SOVEREIGN_DEFAULT_STT"):
        CATALOGUE.default_blocks(openai=True, stt=name)


def test_models_that_hear_and_speak_themselves_are_known() -> None:
    realtime = [p for p in CATALOGUE.providers("llm") if CATALOGUE.is_realtime(p)]
    assert realtime == ["google_realtime", "xai_realtime", "openai_live"]
    assert not CATALOGUE.is_realtime("nobody")
    assert not CATALOGUE.is_realtime(None)


def test_a_stored_key_has_a_slot_by_its_provider() -> None:
    documented = {"deepgram", "openai", "elevenlabs", "resend", "xai", "gladia", "mistral"}
    assert documented | {"inworld", "google", "google_vertex"} <= set(CATALOGUE.byok_providers())
    assert CATALOGUE.slot("google_vertex") == "google_vertex_secret_id"
    assert CATALOGUE.slot("11labs") == "elevenlabs_secret_id"


def test_an_announced_end_of_a_model_is_known() -> None:
    assert CATALOGUE.retires("stt", {"provider": "openai"}) == date(2027, 2, 26)
    assert CATALOGUE.retires("tts", {"provider": "openai", "model": "tts-1"}) == date(2027, 1, 6)
    assert CATALOGUE.retires("stt", {"provider": "openai", "model": "gpt-transcribe"}) is None
    assert CATALOGUE.retires("tts", {"provider": "espeak"}) is None


def test_every_announced_end_is_a_day() -> None:
    file = resources.files("sovereign_ari.speech").joinpath("catalogue.json")
    for kind, providers in json.loads(file.read_text("utf-8"))["kinds"].items():
        for provider, entry in providers.items():
            for model, facts in entry.get("models", {}).items():
                if "retires" in facts:
                    block = {"provider": provider, "model": model}
                    assert CATALOGUE.retires(kind, block) == date.fromisoformat(facts["retires"])


def test_the_schema_names_each_provider_once_and_is_closed() -> None:
    for kind in KINDS:
        schema = CATALOGUE.json_schema(kind)
        names = [one["properties"]["provider"]["enum"][0] for one in schema["oneOf"]]
        assert names == CATALOGUE.providers(kind)
        assert all(one["additionalProperties"] is False for one in schema["oneOf"])


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "((ab)*c)*", "(x{2,})*", ".*a.*b.*c.*d", "(?:a|b)*"]
)
def test_an_expression_that_could_run_away_is_refused(pattern: str) -> None:
    assert regex_fault(pattern) is not None


@pytest.mark.parametrize(
    "pattern", [r"\b(yes|no)\b", "my name is (.+)", "(?P<a>x)?y", r"[+*]+", r"\(a+\)+", "(a|b)c"]
)
def test_an_ordinary_expression_is_allowed(pattern: str) -> None:
    assert regex_fault(pattern) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(kind=st.sampled_from(KINDS), block=st.dictionaries(st.text(), JSON))
def test_any_block_gets_an_answer(kind: str, block: dict[str, Any]) -> None:
    assert all(fault.startswith(f"{kind}_config.") for fault in CATALOGUE.validate(kind, block))
    with_provider = {**block, "provider": CATALOGUE.providers(kind)[0]}
    if not CATALOGUE.validate(kind, with_provider):
        assert CATALOGUE.with_defaults(kind, with_provider)["model"]


@given(JSON)
def test_any_value_is_judged_by_any_schema(value: object) -> None:
    data: dict[str, Any] = {
        "aliases": {},
        "online": {},
        "offline": {},
        "kinds": {k: {} for k in KINDS},
    }
    assert Catalogue(data).providers("llm") == []
    for schema in ({"type": "array", "items": {"type": "string"}}, {"enum": [1, "a"]}):
        assert all(fault.startswith("x") for fault in faults(schema, value, "x"))


@given(st.text(max_size=200))
def test_any_expression_is_judged(pattern: str) -> None:
    fault = regex_fault(pattern)
    assert fault is None or fault


RANGES = {
    "threshold": (0, 1),
    "prefix_padding_ms": (0, 2000),
    "silence_duration_ms": (100, 2000),
    "idle_timeout_ms": (0, 30000),
}


@given(st.dictionaries(st.sampled_from(list(RANGES)), st.integers()))
def test_any_turn_detection_ends_up_within_its_ranges(wanted: dict[str, int]) -> None:
    block = {"provider": "xai_realtime", "turn_detection": wanted}
    assert CATALOGUE.validate("llm", block) == []
    settled = CATALOGUE.with_defaults("llm", block)
    assert settled["turn_detection"].keys() == wanted.keys()
    for name, value in settled["turn_detection"].items():
        lowest, highest = RANGES[name]
        assert lowest <= value <= highest
        assert value == wanted[name] or not lowest <= wanted[name] <= highest
    assert CATALOGUE.with_defaults("llm", settled) == settled
