"""`fallback` of the config blocks over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from sovereign_ari.vault import Vault
from tests.integration.test_api_chats import OPENAI, an_assistant, chatting, store_key
from tests.support.api import Api, running_api
from tests.support.fake_openai import FakeOpenAI, Fault, fake_openai

PATH = "/api/v1/assistants"
CHATS = "/api/v1/chats"
BLOCKS: dict[str, dict[str, Any]] = {
    "llm_config": {
        "provider": "openai",
        "model": "gpt-5.4",
        "fallback": [
            {"provider": "mistral", "model": "mistral-small-latest", "temperature": 0.2},
            {"provider": "openai", "model": "gpt-4.1"},
        ],
    },
    "stt_config": {"provider": "openai", "fallback": [{"provider": "google", "language": "nl"}]},
    "tts_config": {"provider": "openai", "fallback": [{"provider": "espeak", "voice_id": "nl"}]},
}


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai(api_key="our-own") as server:
        yield server


async def test_fall_backs_are_stored_completed_shown_and_replaced_with_their_block(
    api: Api,
) -> None:
    status, made = await api.ask("POST", PATH, {"name": "Reception", **BLOCKS})
    assert status == 201, made
    assistant = made["assistant"]
    for name, block in BLOCKS.items():
        shown = assistant[name]["fallback"]
        assert len(shown) == len(block["fallback"])
        for stored, given in zip(shown, block["fallback"], strict=True):
            assert given.items() <= stored.items()
    assert assistant["llm_config"]["fallback"][1]["temperature"] == 0.7
    _, read = await api.ask("GET", f"{PATH}/{assistant['id']}")
    assert read["assistant"]["llm_config"] == assistant["llm_config"]
    change = {"llm_config": {"provider": "openai"}}
    _, changed = await api.ask("PATCH", f"{PATH}/{assistant['id']}", change)
    assert "fallback" not in changed["assistant"]["llm_config"]
    assert changed["assistant"]["stt_config"] == assistant["stt_config"]


async def test_what_cannot_stand_in_is_refused_with_its_place(api: Api) -> None:
    fallbacks = [{"provider": "openai", "model": "gpt"}, {"provider": "xai_realtime"}]
    body = {
        "name": "Reception",
        "llm_config": {"provider": "openai", "fallback": fallbacks},
        "tts_config": {"provider": "openai", "fallback": [{"provider": "elevenlabs"}]},
    }
    status, answer = await api.ask("POST", PATH, body)
    assert status == 400
    text = str(answer)
    assert "llm_config.fallback[0].model: 'gpt' is not one of" in text
    assert "llm_config.fallback[1].provider: a realtime model" in text
    assert "tts_config.fallback[0].voice_id: is required" in text


async def test_the_server_of_a_fall_back_must_be_a_public_one(api: Api) -> None:
    own = {"provider": "openai_compatible", "model": "m", "base_url": "http://10.0.0.7/v1"}
    body = {"name": "R", "llm_config": {"provider": "openai", "fallback": [own]}}
    status, answer = await api.ask("POST", PATH, body)
    assert status == 400
    assert "llm_config.fallback[0].base_url: " in str(answer)


async def test_a_fall_back_answers_for_a_model_that_cannot(
    pool: asyncpg.Pool, server: FakeOpenAI
) -> None:
    server.chat.faults.append(Fault("status", status=500))
    async with chatting(pool, server.base_url) as api:
        await store_key(api, "our-own")
        llm = {**OPENAI, "fallback": [{"provider": "parrot"}]}
        body = {"assistant_id": await an_assistant(api, llm), "message": "Hello"}
        status, answer = await api.ask("POST", CHATS, body)
    assert (status, answer["reply"]) == (201, "You said: Hello")


async def test_a_fall_back_whose_key_does_not_open_is_passed_over(
    pool: asyncpg.Pool, server: FakeOpenAI
) -> None:
    async with chatting(pool, server.base_url) as api:
        await store_key(api, "our-own", Vault([bytes(32)]))
        llm = {"provider": "parrot", "fallback": [{"provider": "openai"}]}
        body = {"assistant_id": await an_assistant(api, llm), "message": "Hello"}
        status, answer = await api.ask("POST", CHATS, body)
    assert (status, answer["reply"]) == (201, "You said: Hello")
