"""Language models with fall-backs and second requests, against vendors on the wire."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import pytest

from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.speech.base import LanguageModel, Message, Token, Usage
from sovereign_ari.speech.registry import Keys, load_catalogue
from sovereign_ari.speech.resilience import hedging
from sovereign_ari.speech.resilience.breaker import Breakers
from sovereign_ari.speech.resilience.hedging import Paces
from sovereign_ari.speech.resilience.language_model import ResilientLanguageModel
from sovereign_ari.speech.resilience.lineup import Lineups
from sovereign_ari.speech.resilience.notes import ProviderNotes
from sovereign_ari.speech.resilience.seam import GO_ON
from tests.support.fake_openai import Fault
from tests.support.vendors import BAD, GOOD, Trouble, Vendors, all_vendors

PRIMARIES = pytest.mark.parametrize("provider", ["openai", "openai_compatible", "mistral", "xai"])
STAND_IN = {"provider": "openai", "model": "gpt-4.1"}
HELLO = [Message("user", "hello")]


@pytest.fixture
async def vendors() -> AsyncIterator[Vendors]:
    async with all_vendors() as vendors:
        yield vendors


class Bench:
    """Makes models as calls do, and keeps what their timeline says."""

    def __init__(self, vendors: Vendors, paces: Paces | None = None) -> None:
        self.notes: list[str] = []
        self.facts: list[Mapping[str, Any]] = []
        self._vendors = vendors
        self._paces = paces
        self._lineups = Lineups(load_catalogue(), Breakers())

    def model(self, provider: str, *fallbacks: Mapping[str, Any], keys: Keys) -> LanguageModel:
        notes = ProviderNotes(self._note, "llm")
        block = self._vendors.block(provider, fallback=list(fallbacks))
        lineup = self._lineups.of(self._vendors.registry.language_model, block, keys, notes)
        return ResilientLanguageModel(lineup, notes, self._paces)

    def _note(self, what: str, facts: Mapping[str, Any]) -> None:
        self.notes.append(what)
        self.facts.append(facts)


def brisk() -> Paces:
    """Models that have been quick so far: a second request goes out after the shortest time."""
    paces = Paces()
    for label in ("openai/gpt-5.4", "openai_compatible/m", "mistral/mistral-medium-latest"):
        for _ in range(hedging.LEAST_SAMPLES):
            paces.of(label).took(0.0)
    return paces


async def text_of(model: LanguageModel) -> str:
    async with asyncio.timeout(20):
        parts = [part async for part in model.reply(HELLO, ())]
    return "".join(part.text for part in parts if isinstance(part, Token))


def models_asked(vendors: Vendors) -> list[str]:
    return [body["model"] for body in vendors.openai.chat.bodies]


@PRIMARIES
async def test_a_bad_key_is_shown_once_and_the_fall_back_answers(
    vendors: Vendors, provider: str
) -> None:
    bench = Bench(vendors)
    keys = {**GOOD, provider: "bad"}
    stand_in = {"provider": "mistral"} if provider == "openai" else STAND_IN
    assert await text_of(bench.model(provider, stand_in, keys=keys)) == "You said: hello"
    assert vendors.openai.journal.keys == ["bad", "good"]
    assert bench.notes == ["provider_fallback"]
    assert bench.facts[0]["code"] == "provider_refused"
    assert "bad" not in str(bench.facts)


@PRIMARIES
async def test_a_throttled_vendor_is_left_alone_while_another_answers(
    vendors: Vendors, provider: str
) -> None:
    vendors.trouble("llm", provider, Trouble(status=429, times=1))
    bench = Bench(vendors)
    for _ in range(2):
        model = bench.model(provider, STAND_IN, keys=GOOD)
        assert await text_of(model) == "You said: hello"
        assert model.label == "openai/gpt-4.1"
    assert models_asked(vendors)[1:] == ["gpt-4.1", "gpt-4.1"]
    assert bench.notes == ["provider_fallback", "circuit_open"]


@PRIMARIES
async def test_a_vendor_that_is_down_is_replaced(vendors: Vendors, provider: str) -> None:
    vendors.trouble("llm", provider, Trouble(status=500, times=2))
    bench = Bench(vendors)
    assert await text_of(bench.model(provider, STAND_IN, keys=GOOD)) == "You said: hello"
    assert bench.notes == ["provider_retry", "provider_fallback"]


@PRIMARIES
async def test_a_reply_that_dies_in_the_middle_is_gone_on_with_elsewhere(
    vendors: Vendors, provider: str
) -> None:
    vendors.openai.reply = lambda messages, _tools: (
        "four five" if messages[-1]["content"] == GO_ON else "one two three four"
    )
    for _ in range(2):
        vendors.trouble("llm", provider, Trouble(after=3, times=1))
    vendors.openai.chat.faults.insert(1, Fault("status", status=503, times=1))
    bench = Bench(vendors)
    assert await text_of(bench.model(provider, STAND_IN, keys=GOOD)) == "one two three four five"
    asked = vendors.openai.chat.bodies[-1]
    assert [m["content"] for m in asked["messages"]] == ["hello", "one two three", GO_ON]
    await vendors.openai.until(lambda: vendors.open == 0)


@pytest.mark.parametrize("provider", ["openai", "openai_compatible", "mistral"])
async def test_a_vendor_that_hangs_is_hung_up_on_when_another_has_answered(
    vendors: Vendors, provider: str
) -> None:
    vendors.openai.chat.faults.append(Fault("hang", times=1))
    bench = Bench(vendors, brisk())
    began_s = time.monotonic()
    assert await text_of(bench.model(provider, STAND_IN, keys=GOOD)) == "You said: hello"
    assert time.monotonic() - began_s >= hedging.SHORTEST_S
    await vendors.openai.until(lambda: vendors.open == 0)
    assert bench.notes == ["provider_hedge"]


async def test_a_second_request_to_the_same_vendor_counts_its_prompt_as_well(
    vendors: Vendors,
) -> None:
    vendors.openai.chat.faults.append(Fault("hang", times=1))
    model = Bench(vendors, brisk()).model("openai", keys=GOOD)
    async with asyncio.timeout(20):
        parts = [part async for part in model.reply(HELLO, ())]
    assert parts[-1] == Usage(40, 7, estimated=20)  # the vendor never counted the lost one
    assert vendors.served("llm", "openai") == 2


@pytest.mark.parametrize("cut_after_s", [0.2, hedging.SHORTEST_S + 0.3])
async def test_a_reply_that_is_cut_before_its_first_word_ends_every_request(
    vendors: Vendors, cut_after_s: float
) -> None:
    vendors.openai.chat.faults.append(Fault("hang"))
    model = Bench(vendors, brisk()).model("openai", STAND_IN, keys=GOOD)
    asking = asyncio.create_task(text_of(model))
    await asyncio.sleep(cut_after_s)
    assert vendors.open == (1 if cut_after_s < hedging.SHORTEST_S else 2)
    asking.cancel()
    await asyncio.wait((asking,))
    await vendors.openai.until(lambda: vendors.open == 0)


@PRIMARIES
async def test_a_long_reply_of_a_fall_back_comes_whole_and_can_be_cut(
    vendors: Vendors, provider: str
) -> None:
    words = " ".join(f"word{number}" for number in range(2000))
    vendors.openai.reply = lambda _messages, _tools: words
    vendors.trouble("llm", provider, Trouble(status=503, times=2))
    assert await text_of(Bench(vendors).model(provider, STAND_IN, keys=GOOD)) == words
    vendors.openai.chat.token_s = 0.2
    vendors.trouble("llm", provider, Trouble(status=503, times=2))
    model = Bench(vendors).model(provider, STAND_IN, keys=GOOD)
    async with aclosing(model.reply(HELLO, ())) as parts:  # type: ignore[type-var]
        assert await anext(parts) == Token("word0")
    await vendors.openai.until(lambda: vendors.open == 0)


async def test_when_all_fail_the_fault_of_the_primary_is_told(vendors: Vendors) -> None:
    vendors.openai.chat.faults.append(Fault("status", status=503))
    with pytest.raises(ProviderUnavailable, match="mistral chat answered 503"):
        await text_of(Bench(vendors).model("mistral", STAND_IN, keys=GOOD))
    with pytest.raises(ProviderRefused, match="mistral chat answered 401"):
        await text_of(Bench(vendors).model("mistral", {"provider": "xai"}, keys=BAD))


async def test_a_fall_back_that_cannot_work_is_left_out_and_said_so(vendors: Vendors) -> None:
    bench = Bench(vendors)
    keys = {"openai": "good"}
    model = bench.model("openai", {"provider": "mistral"}, {"provider": "google"}, keys=keys)
    assert bench.notes == ["fallback_unusable"] * 2
    assert "needs a key of the organisation" in bench.facts[0]["message"]
    assert await text_of(model) == "You said: hello"


async def test_a_primary_without_a_key_is_replaced_and_without_anybody_is_the_fault(
    vendors: Vendors,
) -> None:
    bench = Bench(vendors)
    model = bench.model("mistral", STAND_IN, keys={"openai": "good"})
    assert await text_of(model) == "You said: hello"
    assert bench.notes == ["provider_fallback"]
    with pytest.raises(ProviderRefused, match="needs a key of the organisation"):
        await text_of(bench.model("mistral", {"provider": "xai"}, keys={}))
