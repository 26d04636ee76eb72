"""`/catalog` and `/voices` over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import pytest

from api.app import all_endpoints
from api.openapi import build_document
from api.resources.speech_bodies import SpeechConfig
from api.resources.voices import LOCAL
from db.keys import create_key
from sovereign_ari.domain.records import CallStatus, EndReason
from tests.support.api import CATALOGUE, Api, running_api

PATH = "/api/v1/catalog"
VOICES = "/api/v1/voices"


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def test_the_catalogue_is_served_as_it_is_checked(api: Api) -> None:
    status, answer = await api.ask("GET", PATH)
    assert status == 200
    catalogue = answer["catalog"]
    for name, value in CATALOGUE.listing().items():
        assert catalogue[name] == value, name
    assert catalogue["call_statuses"] == [status.value for status in CallStatus]
    assert catalogue["end_reasons"] == [reason.value for reason in EndReason]


async def test_every_model_and_voice_of_the_catalogue_is_taken(api: Api) -> None:
    _, answer = await api.ask("GET", PATH)
    for kind in ("llm", "stt", "tts"):
        for provider in answer["catalog"]["providers"][kind]:
            block = {"provider": provider["id"], **_needed(provider)}
            for model in provider["models"]:
                assert CATALOGUE.validate(kind, {**block, "model": model["id"]}) == []
            for alias in provider["aliases"]:
                assert CATALOGUE.validate(kind, {**block, "provider": alias}) == []


def _needed(provider: Mapping[str, Any]) -> dict[str, str]:
    examples = {"base_url": "https://example.com/v1", "uri": "tcp://example.com:1"}
    names = [name for name in provider["required"] if name != "provider"]
    return {name: examples.get(name, "x") for name in names}


async def test_a_key_that_may_only_read_reads_both(api: Api) -> None:
    async with api.pool.acquire() as connection:
        _, key = await create_key(connection, api.organisation_id, name="r", scopes=["read"])
    headers = {"headers": {"Authorization": f"Bearer {key}"}}
    assert (await api.ask("GET", PATH, **headers))[0] == 200
    assert (await api.ask("GET", VOICES, **headers))[0] == 200


async def test_local_voices_are_those_that_the_local_provider_takes(api: Api) -> None:
    status, answer = await api.ask("GET", VOICES)
    assert status == 200
    voices = answer["voices"]
    assert len(voices) >= 90
    assert len({voice["language"] for voice in voices}) >= 35
    assert len({voice["id"] for voice in voices}) == len(voices)
    dutch = {"en": "Dutch", "nl": "Nederlands"}
    assert {"id": "nl", "name": "Dutch", "language": "nl", "description": dutch} in voices
    for voice in voices:
        assert set(voice) == {"id", "name", "language", "description"}
        assert CATALOGUE.validate("tts", {"provider": LOCAL, "voice_id": voice["id"]}) == []
        assert set(voice["description"]) == {"en", "nl"}
        assert all(voice["description"].values())


async def test_voices_of_a_vendor_are_listed_by_its_name(api: Api) -> None:
    _, answer = await api.ask("GET", f"{VOICES}?provider=xai")
    assert answer["voices"][0] == {
        "id": "ara",
        "name": "Ara",
        "language": None,
        "description": None,
    }
    counts = {"xai": 26, "xai_realtime": 26, "google": 30, "google_realtime": 30, "openai_live": 5}
    for provider, count in counts.items():
        _, answer = await api.ask("GET", f"{VOICES}?provider={provider}")
        assert len(answer["voices"]) == count, provider


@pytest.mark.parametrize("provider", ["elevenlabs", "11labs", "nobody", "deepgram", "", "é" * 64])
async def test_a_provider_without_a_list_is_told_who_has_one(api: Api, provider: str) -> None:
    status, answer = await api.ask("GET", VOICES, params={"provider": provider})
    assert status == 400
    assert answer["error"]["param"] == "provider"
    assert "known are espeak, openai" in answer["message"]


async def test_another_parameter_is_unknown(api: Api) -> None:
    status, answer = await api.ask("GET", f"{VOICES}?providr=xai")
    assert status == 400
    assert "did you mean provider?" in answer["message"]


def test_the_document_has_the_catalogues_enums() -> None:
    document = build_document(all_endpoints(), CATALOGUE, "1")
    (provider,) = document["paths"]["/api/v1/voices"]["get"]["parameters"]
    assert provider["schema"]["enum"] == CATALOGUE.providers_with_voices()
    assert provider["schema"]["default"] == "espeak"
    schemas = document["components"]["schemas"]
    for kind in ("llm", "stt", "tts"):
        described = schemas[f"{kind.capitalize()}Config"]["oneOf"]
        names = [one["properties"]["provider"]["enum"][0] for one in described]
        assert names == CATALOGUE.providers(kind)
    deepgram = next(
        one
        for one in schemas["SttConfig"]["oneOf"]
        if one["properties"]["provider"]["enum"] == ["deepgram"]
    )
    assert deepgram["properties"]["model"]["enum"] == ["nova-3", "nova-3-general"]


def test_the_document_says_what_a_key_and_the_ends_of_an_edge_look_like() -> None:
    schemas = build_document(all_endpoints(), CATALOGUE, "1")["components"]["schemas"]
    key = schemas["SetByokKey"]["properties"]["api_key"]["pattern"]
    fits = {"sk-1": True, '{"type":\n "service_account"}': True, "sk 1": False, "clé": False}
    assert {text: re.search(key, text) is not None for text in fits} == fits
    for end in ("from", "to"):
        assert schemas["Edge"]["properties"][end]["pattern"].startswith("^[a-z]")
    tools = [one["properties"]["tools"]["type"] for one in schemas["LlmConfig"]["oneOf"]]
    assert tools == [["array", "null"]] * len(tools)


def _plain(schema: Any, parts: Mapping[str, Any]) -> Any:
    """A pydantic schema with its references followed, and `X or null` without the null."""
    if "$ref" in schema:
        schema = parts[schema["$ref"].rpartition("/")[2]]
    kinds = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    if len(kinds) == 1:
        return _plain({**{k: v for k, v in schema.items() if k != "anyOf"}, **kinds[0]}, parts)
    return schema


def _ranges(schema: Any, parts: Mapping[str, Any], path: str) -> dict[str, dict[str, Any]]:
    """The limits and defaults of every field below, by its path."""
    schema = _plain(schema, parts)
    kept = ("minimum", "maximum", "minLength", "maxLength", "maxItems", "enum", "default")
    found = {path: {key: schema[key] for key in kept if schema.get(key) is not None}}
    for name, inner in schema.get("properties", {}).items():
        found |= _ranges(inner, parts, f"{path}.{name}")
    if "items" in schema:
        found |= _ranges(schema["items"], parts, f"{path}[]")
    return found


def test_speech_config_takes_what_the_catalogue_says() -> None:
    model = SpeechConfig.model_json_schema()
    ours = _ranges(model, model.get("$defs", {}), "speech_config")
    speech = CATALOGUE.listing()["speech"]
    published = _ranges(speech["params"], {}, "speech_config")
    assert ours == published
    assert set(speech["applies_to"]) == set(speech["params"]["properties"])
    pipeline = {name for name, kind in speech["applies_to"].items() if kind == "pipeline"}
    assert pipeline == {"turn_taking", "pronunciation", "end_call_message"}
    silence = published["speech_config.silence.interval_seconds"]
    assert silence == {"minimum": 3, "maximum": 120, "default": 12}
