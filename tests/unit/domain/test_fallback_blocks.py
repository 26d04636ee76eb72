from __future__ import annotations

from typing import Any

import pytest

from sovereign_ari.speech.registry import load_catalogue

CATALOGUE = load_catalogue()
OPENAI = {"provider": "openai", "model": "gpt-5.4"}
MISTRAL = {"provider": "mistral"}


def llm(*fallbacks: Any, **more: Any) -> list[str]:
    return CATALOGUE.validate("llm", {**OPENAI, "fallback": list(fallbacks), **more})


def test_every_kind_takes_up_to_three() -> None:
    assert llm(MISTRAL, {"provider": "xai"}, {"provider": "openai", "model": "gpt-4.1"}) == []
    assert (
        CATALOGUE.validate("stt", {"provider": "openai", "fallback": [{"provider": "google"}]})
        == []
    )
    assert (
        CATALOGUE.validate("tts", {"provider": "openai", "fallback": [{"provider": "espeak"}]})
        == []
    )
    assert llm() == []
    assert llm(*[MISTRAL] * 4) == ["llm_config.fallback: has more than 3 entries"]


@pytest.mark.parametrize(
    ("fallback", "line"),
    [
        ({}, "llm_config.fallback[0].provider: is required; known are"),
        ("openai", "llm_config.fallback[0]: must be an object"),
        (
            {"provider": "opnai"},
            "llm_config.fallback[0].provider: 'opnai' is unknown; did you mean",
        ),
        ({**OPENAI, "model": "gpt"}, "llm_config.fallback[0].model: 'gpt' is not one of"),
        ({**OPENAI, "temperature": 3}, "llm_config.fallback[0].temperature: 3 is not between"),
        ({**OPENAI, "volume": 3}, "llm_config.fallback[0].volume: is unknown; known are"),
        (
            {**OPENAI, "messages": []},
            "llm_config.fallback[0].messages: the messages of the primary",
        ),
        ({**OPENAI, "tools": []}, "llm_config.fallback[0].tools: the tools of the primary hold"),
        (
            {**OPENAI, "fallback": []},
            "llm_config.fallback[0].fallback: a fall-back has no fall-backs",
        ),
        ({"provider": "google_realtime"}, "llm_config.fallback[0].provider: a realtime model"),
    ],
)
def test_a_fall_back_is_checked_like_its_primary(fallback: Any, line: str) -> None:
    faults = llm(fallback)
    assert len(faults) == 1
    assert faults[0].startswith(line)


def test_the_second_is_named_as_such_beside_faults_of_the_primary() -> None:
    assert [line.split(":")[0] for line in llm(MISTRAL, {"provider": "x"}, temperature=9)] == [
        "llm_config.temperature",
        "llm_config.fallback[1].provider",
    ]


def test_it_is_a_list() -> None:
    assert CATALOGUE.validate("llm", {**OPENAI, "fallback": MISTRAL}) == [
        "llm_config.fallback: must be an array"
    ]


def test_a_realtime_model_has_none() -> None:
    (line,) = CATALOGUE.validate("llm", {"provider": "google_realtime", "fallback": [OPENAI]})
    assert line.startswith("llm_config.fallback: is unknown")


def test_defaults_and_own_names_are_filled_in() -> None:
    block = {
        "provider": "elevenlabs",
        "voice_id": "v",
        "fallback": [{"provider": "11labs", "voice_id": "w"}],
    }
    (filled,) = CATALOGUE.with_defaults("tts", block)["fallback"]
    assert filled == CATALOGUE.with_defaults("tts", {"provider": "elevenlabs", "voice_id": "w"})
    assert "fallback" not in CATALOGUE.with_defaults("llm", OPENAI)


def test_servers_of_fall_backs_are_checked_too() -> None:
    own = {"provider": "openai_compatible", "model": "m", "base_url": "https://models.example/v1"}
    assert CATALOGUE.urls("llm", {**OPENAI, "fallback": [MISTRAL, own]}) == {
        "llm_config.fallback[1].base_url": "https://models.example/v1"
    }


def test_the_model_after_calls_keeps_the_fall_backs_of_a_provider_without_one_of_its_own() -> None:
    own = {"provider": "openai_compatible", "model": "m", "base_url": "https://models.example/v1"}
    chosen = CATALOGUE.postcall_block({**own, "messages": [], "fallback": [MISTRAL]}, None)
    assert chosen == {**own, "fallback": [MISTRAL]}


def test_the_document_describes_them_once_and_clients_find_them_in_the_catalogue() -> None:
    schema = CATALOGUE.json_schema("llm")
    (stand_ins,) = (schema["$defs"]["Fallback"]["oneOf"],)
    names = [branch["properties"]["provider"]["enum"][0] for branch in stand_ins]
    assert "openai" in names
    assert not any(CATALOGUE.is_realtime(name) for name in names)
    assert not {"messages", "tools", "fallback"} & set(stand_ins[0]["properties"])
    openai = schema["oneOf"][0]["properties"]
    assert openai["fallback"]["items"] == {"$ref": "#/$defs/Fallback"}
    assert openai["fallback"]["maxItems"] == 3
    for kind in ("llm", "stt", "tts"):
        for provider in CATALOGUE.listing()["providers"][kind]:
            assert ("fallback" in provider["params"]) is (provider["kind"] != "realtime")
