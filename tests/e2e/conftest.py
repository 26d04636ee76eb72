"""Whole calls: the product as shipped, a real PBX, a telephone of ours, and a scripted vendor.

One product serves the whole session, on one event loop; after every test nothing of its calls may
be left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509

from tests.support.carrier import CARRIER_HOST, Certificate
from tests.support.certificates import certificate_files
from tests.support.fake_openai import FakeOpenAI, fake_openai
from tests.support.fake_openai_chat import repeat_back
from tests.support.fake_openai_realtime import decode_tones
from tests.support.platform import Platform, running_platform
from tests.support.reception import Reception, open_reception
from tests.support.residue import assert_nothing_left
from tests.support.tone_code import encode

HERE = Path(__file__).parent
STARTS_WITHIN_S = 300
AFTER_CALLS = "gpt-5.4-mini"
"""The model that works when a call is over, and so at any time during the next test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            item.add_marker(pytest.mark.timeout(STARTS_WITHIN_S))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vendor() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai() as server:
        yield server


@pytest.fixture(scope="session")
def carriers_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """What a carrier shows over TLS, and the product believes."""
    address = x509.IPAddress(ip_address(CARRIER_HOST))
    return Certificate(*certificate_files(address, tmp_path_factory.mktemp("carrier")))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(
    vendor: FakeOpenAI, carriers_certificate: Certificate
) -> AsyncIterator[Platform]:
    env = {
        "OPENAI_API_KEY": "a-key-of-the-tests",
        "OPENAI_BASE_URL": vendor.base_url,
        "SOVEREIGN_OUTGOING_ALLOW": "127.0.0.0/8",
        "SOVEREIGN_COUNTRY": "NL",
        "SOVEREIGN_TRANSFER_HEADERS": "call-id,summary",
        "SOVEREIGN_RATE_LIMIT_PER_MINUTE": "100000",  # tests that wait for something ask often
        "SOVEREIGN_TLS_CA_FILE": str(carriers_certificate.cert),
    }
    async with running_platform(env) as platform:
        yield platform


@pytest_asyncio.fixture(loop_scope="session")
async def reception(platform: Platform, vendor: FakeOpenAI) -> AsyncIterator[Reception]:
    forget_everything(vendor)
    async with open_reception(platform, vendor) as reception:
        yield reception
    for service in vendor.services:
        service.faults.clear()
    await assert_nothing_left(platform)
    await vendor.until(lambda: vendor.open == 0)


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def no_task_outlives_its_test() -> AsyncIterator[None]:
    """Look at our own tasks only: the vendor's server lives as long as its connections."""
    yield
    left = [task.get_name() for task in asyncio.all_tasks() if "dial " in task.get_name()]
    assert not left, f"leaked tasks: {left}"


def forget_everything(vendor: FakeOpenAI) -> None:
    """Make the vendor answer at once and without a fault, as at its start."""
    vendor.reply = repeat_back
    for service in vendor.services:
        service.faults.clear()
    vendor.chat.first_token_s = vendor.chat.token_s = 0.0
    vendor.chat.apart = frozenset({AFTER_CALLS})
    vendor.chat.reply_apart = lambda _messages, _tools: "A summary."
    vendor.speech.first_byte_s = vendor.speech.chunk_s = 0.0
    vendor.speech.render = encode
    vendor.speech.texts.clear()
    vendor.realtime.recognise = decode_tones
    vendor.realtime.transcript_s = 0.0
    vendor.realtime.vad = vendor.realtime.live = False
    vendor.realtime.sessions.clear()
    vendor.journal.requests.clear()
