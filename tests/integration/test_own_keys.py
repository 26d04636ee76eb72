"""Calls use the keys of their own organisation, and another's fault ends no call."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import pytest

from db.byok import bound_to, put_key
from db.numbers import create_number
from db.organisations import create_organisation, ensure_operator_organisation
from db.routing import find_route
from sovereign_ari.apologies import Apologies
from sovereign_ari.call_providers import CallProviders, OwnKeys
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.records import TurnRecord
from sovereign_ari.errors import ProviderRefused
from sovereign_ari.media.pcm import PCM_16K, ULAW_8K
from sovereign_ari.speech.base import Message
from sovereign_ari.speech.registry import ProviderRegistry
from sovereign_ari.speech.resilience.notes import unnoted
from sovereign_ari.vault import Vault
from tests.support.controller_world import world
from tests.support.fake_ari import until
from tests.support.fake_openai import FakeOpenAI, fake_openai
from tests.support.rows import an_assistant

VAULT = Vault([bytes(range(32))])
PLATFORM = "sk-platform"
OPENAI: Mapping[str, Mapping[str, Any]] = {
    "llm": {"provider": "openai", "model": "gpt-5.4"},
    "stt": {"provider": "openai", "model": "gpt-4o-transcribe", "language": "en"},
    "tts": {"provider": "openai", "model": "gpt-4o-mini-tts", "voice_id": "alloy"},
}


@pytest.fixture
async def vendor() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai() as vendor:
        yield vendor


@pytest.fixture
async def providers(vendor: FakeOpenAI) -> AsyncIterator[CallProviders]:
    async with ProviderRegistry(
        openai_api_key=PLATFORM, openai_base_url=vendor.base_url
    ) as registry:
        yield CallProviders(registry, OwnKeys(VAULT), Apologies(PCM_16K, {}))


async def an_organisation_with(
    connection: asyncpg.Connection, number: str, secret: bytes | str | None
) -> Assistant:
    """An assistant as a call sees it; text is sealed as it should be, bytes are stored as such."""
    await ensure_operator_organisation(connection)
    owner = await create_organisation(connection, number)
    row = await an_assistant(connection, owner, first_message="Hi.")
    if isinstance(secret, str):
        secret = VAULT.seal(secret.encode(), bound_to(owner, "openai"))
    if secret is not None:
        await put_key(connection, owner, "openai", secret)
    await create_number(connection, owner, {"phone_number": number, "assistant_id": row.id})
    route = await find_route(connection, number, OPENAI)
    assert route.assistant is not None
    return route.assistant


async def converse(providers: CallProviders, assistant: Assistant) -> None:
    """Use all three providers once."""
    made = providers.for_assistant(assistant, ULAW_8K, unnoted)
    async for _ in made.llm.reply([Message("user", "Hello")], []):
        pass
    async for _ in made.tts.speak("Hello"):
        pass
    async with made.stt.open(made.stt.format_for(PCM_16K)) as stream:
        await stream.flush()
        async for _ in stream:
            break


async def test_each_tenant_shows_its_own_key_and_one_without_the_platforms(
    connection: asyncpg.Connection, providers: CallProviders, vendor: FakeOpenAI
) -> None:
    for number, key in (("+31200000001", "sk-one"), ("+31200000002", "sk-two")):
        assistant = await an_organisation_with(connection, number, key)
        vendor.journal.keys.clear()
        await converse(providers, assistant)
        assert vendor.journal.keys == [key] * 3
    assistant = await an_organisation_with(connection, "+31200000003", None)
    vendor.journal.keys.clear()
    await converse(providers, assistant)
    assert vendor.journal.keys == [PLATFORM] * 3


async def test_a_key_of_ones_own_needs_none_of_the_platform(
    connection: asyncpg.Connection, vendor: FakeOpenAI
) -> None:
    async with ProviderRegistry(openai_api_key=None, openai_base_url=vendor.base_url) as registry:
        providers = CallProviders(registry, OwnKeys(VAULT), Apologies(PCM_16K, {}))
        await converse(providers, await an_organisation_with(connection, "+31200000001", "sk-one"))
        assert vendor.journal.keys == ["sk-one"] * 3
        without = await an_organisation_with(connection, "+31200000002", None)
        with pytest.raises(ProviderRefused, match="or a key of the organisation"):
            await converse(providers, without)


async def test_a_key_that_does_not_open_is_logged_once_and_nobodys_key_takes_its_place(
    connection: asyncpg.Connection,
    providers: CallProviders,
    vendor: FakeOpenAI,
    caplog: pytest.LogCaptureFixture,
) -> None:
    foreign = Vault([bytes(32)]).seal(b"sk-lost", "b")
    assistant = await an_organisation_with(connection, "+31200000001", foreign)
    for _ in range(3):
        with (
            caplog.at_level(logging.ERROR),
            pytest.raises(ProviderRefused, match="own key for `openai` cannot be opened"),
        ):
            await converse(providers, assistant)
    assert vendor.journal.keys == []
    (line,) = caplog.messages
    assert f"the key for openai of organisation {assistant.organisation_id}" in line
    assert "is not on the ring" in line


async def test_whole_calls_of_two_tenants_are_spoken_and_heard_under_their_own_keys(
    connection: asyncpg.Connection,
    providers: CallProviders,
    vendor: FakeOpenAI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world() as it:
        monkeypatch.setattr(it, "for_assistant", providers.for_assistant)
        for number, key in (("+31200000001", "sk-one"), ("+31200000002", "sk-two")):
            vendor.journal.keys.clear()
            it.assistant = await an_organisation_with(connection, number, key)
            await it.pbx.call(key)
            await it.talking()
            await until(lambda: any(turn.heard_text == "Hi." for turn in it.of(TurnRecord)))
            await until(lambda: vendor.sessions)
            await it.pbx.hang_up(key)
            await it.all_ended()
            assert set(vendor.journal.keys) == {key}
            assert len(vendor.journal.keys) >= 2  # one voice and one recogniser
            assert key not in repr(it.journal)
            it.journal.clear()
            it.pbx.called = 0
