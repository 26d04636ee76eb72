"""Keys, tokens and connections of Google's services."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import ULAW_8K
from sovereign_ari.speech.google_credentials import GoogleAccount
from sovereign_ari.speech.google_rpc import GoogleCloud
from sovereign_ari.speech.google_stt import GoogleSpeechToText
from tests.support.fake_google import FakeGoogle, fake_google, service_account
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


async def test_one_connection_serves_many_calls_and_ends_with_the_process(
    server: FakeGoogle,
) -> None:
    cloud = GoogleCloud(server.servers)

    async def call(number: int) -> str:
        async with recogniser(cloud).open(ULAW_8K) as stream:
            await send(stream, audio_of(f"caller {number}"))
            await stream.flush()
            return (await finals(stream))[0].text

    texts = await asyncio.gather(*(call(number) for number in range(10)))
    assert texts == [f"caller {number}" for number in range(10)]
    async with recogniser(cloud).open(ULAW_8K) as stream:
        await cloud.close()
        with pytest.raises(ProviderUnavailable):
            await finals(stream)
    await server.until(lambda: server.open == 0)


async def test_the_loop_is_never_held_up(server: FakeGoogle, cloud: GoogleCloud) -> None:
    """Reading a key and signing with it take milliseconds: they happen elsewhere."""
    account = GoogleAccount(service_account(), own=True)
    assert (await account.metadata())[0][1] == (await account.metadata())[0][1]
    both = await asyncio.gather(account.metadata(), account.metadata())
    assert both[0] == both[1]


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
