"""Keys, tokens and connections of Google's services."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import ULAW_8K
from sovereign_ari.speech import google_credentials, google_rpc
from sovereign_ari.speech.google_credentials import KEY, GoogleAccount, GoogleAccounts
from sovereign_ari.speech.google_rpc import GoogleCloud
from sovereign_ari.speech.google_stt import GoogleSpeechToText
from tests.support.fake_google import FakeGoogle, fake_google, is_good, service_account
from tests.support.google_hearing import (
    audio_of,
    finals,
    recogniser,
    send,
)


@pytest.fixture
async def server() -> AsyncIterator[FakeGoogle]:
    async with fake_google() as server:
        yield server


@pytest.fixture
async def cloud(server: FakeGoogle) -> AsyncIterator[GoogleCloud]:
    cloud = GoogleCloud(server.servers)
    yield cloud
    await cloud.close()


@pytest.fixture
def stt(cloud: GoogleCloud) -> GoogleSpeechToText:
    return recogniser(cloud)


async def test_a_bad_key_is_refused_and_not_tried_again(
    server: FakeGoogle, cloud: GoogleCloud
) -> None:
    async def use() -> None:
        async with recogniser(cloud, name="bad").open(ULAW_8K) as stream:
            await send(stream, audio_of("hello"))
            await stream.flush()
            await finals(stream)

    with pytest.raises(ProviderRefused, match="the key is wrong"):
        await use()
    assert len(server.gate.tokens) == 1


async def call(cloud: GoogleCloud, number: int) -> str:
    async with recogniser(cloud).open(ULAW_8K) as stream:
        await send(stream, audio_of(f"caller {number}"))
        await stream.flush()
        return (await finals(stream))[0].text


async def test_one_connection_serves_many_calls_and_ends_with_the_process(
    server: FakeGoogle,
) -> None:
    cloud = GoogleCloud(server.servers)
    texts = await asyncio.gather(*(call(cloud, number) for number in range(10)))
    assert texts == [f"caller {number}" for number in range(10)]
    assert len(server.gate.peers) == 1
    async with recogniser(cloud).open(ULAW_8K) as stream:
        await cloud.close()
        with pytest.raises(ProviderUnavailable):
            await finals(stream)
    await server.until(lambda: server.open == 0)


async def test_a_connection_that_is_full_is_joined_by_another(
    server: FakeGoogle, cloud: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(google_rpc, "_STREAMS_PER_CONNECTION", 2)
    server.speech.transcript_s = 0.3
    await asyncio.gather(*(call(cloud, number) for number in range(5)))
    assert len(server.gate.peers) == 3


def watch(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """Note the threads that tokens are made in."""
    threads: list[threading.Thread] = []
    renewed = google_credentials._renewed

    def watched(*about: Any) -> Any:
        threads.append(threading.current_thread())
        return renewed(*about)

    monkeypatch.setattr(google_credentials, "_renewed", watched)
    return threads


async def test_a_token_is_made_once_for_all_who_wait_and_never_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = watch(monkeypatch)
    account = GoogleAccount(service_account(), own=True)
    shown = await asyncio.gather(*(account.metadata() for _ in range(5)))
    assert len(set(shown)) == 1
    assert is_good(shown[0][0][1].removeprefix("Bearer "))
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


async def test_a_token_is_renewed_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    made = watch(monkeypatch)
    account = GoogleAccount(service_account(), own=True)
    await account.metadata()
    await account.metadata()
    assert len(made) == 1
    monkeypatch.setattr(google_credentials, "_FRESH_S", 4000.0)  # it lives for 3600
    await account.metadata()
    assert len(made) == 2


def test_organisations_have_accounts_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "operator.json"
    file.write_text(service_account("operator"))
    accounts = GoogleAccounts(file)
    one, other = {KEY: service_account("one")}, {KEY: service_account("other")}
    assert accounts.of(one) is accounts.of(dict(one))
    assert accounts.of(one) is not accounts.of(other)
    assert accounts.of({}) is accounts.of({"openai": "k"})
    assert accounts.of({}) is not accounts.of(one)
    with pytest.raises(ProviderRefused, match="cannot be opened"):
        accounts.of({KEY: None})
    with pytest.raises(ProviderRefused, match="cannot be read"):
        GoogleAccounts(tmp_path / "nowhere.json").of({})
    with pytest.raises(ProviderRefused, match="is not set"):
        GoogleAccounts(None).of({})


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "not a JSON object"),
        ("[]", "not a JSON object"),
        (json.dumps({"type": "external_account", "project_id": "p"}), "service account"),
        (json.dumps({"type": "service_account"}), "names no project"),
    ],
)
def test_a_document_that_is_no_key_is_refused(document: str, reason: str) -> None:
    with pytest.raises(ProviderRefused, match=reason):
        GoogleAccount(document, own=True)


@pytest.mark.parametrize("key", ["", "nonsense", None])
async def test_a_key_that_is_none_is_refused_without_quoting_it(key: str | None) -> None:
    document = {**json.loads(service_account()), "private_key": key}
    with pytest.raises(ProviderRefused, match="its key is none") as raised:
        await GoogleAccount(json.dumps(document), own=True).metadata()
    assert raised.value.__cause__ is None
