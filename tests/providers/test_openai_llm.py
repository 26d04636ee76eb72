"""Chat completions against a server that speaks the vendor's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from openai import AsyncOpenAI

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.speech.base import Message, ReplyPart, Token, ToolCall, ToolSpec, Usage
from sovereign_ari.speech.openai_llm import ChatOptions, OpenAILanguageModel
from tests.support.fake_openai import Call, FakeOpenAI, Fault, fake_openai

HELLO = [Message("system", "Be brief."), Message("user", "Hello")]
WEATHER = ToolSpec("weather", "Weather of a town", {"type": "object", "properties": {}})


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai(api_key="good") as server:
        yield server


@pytest.fixture
async def model(server: FakeOpenAI) -> AsyncIterator[OpenAILanguageModel]:
    async with AsyncOpenAI(api_key="good", base_url=server.base_url, max_retries=0) as client:
        yield OpenAILanguageModel(
            client, ChatOptions("gpt-5.4", 0.3), first_chunk_s=0.5, next_chunk_s=0.5
        )


async def parts_of(model: OpenAILanguageModel, *tools: ToolSpec) -> list[ReplyPart]:
    return [part async for part in model.reply(HELLO, tools)]


def text_of(parts: list[ReplyPart]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Token))


async def test_streams_tokens_and_counts_them(
    server: FakeOpenAI, model: OpenAILanguageModel
) -> None:
    parts = await parts_of(model)
    assert text_of(parts) == "You said: Hello"
    assert len(parts) == 4
    assert parts[-1] == Usage(20, 7)
    body = server.chat.bodies[0]
    assert body["model"] == "gpt-5.4"
    assert body["reasoning_effort"] == "none"
    assert body["temperature"] == 0.3
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_puts_interleaved_tool_calls_together(
    server: FakeOpenAI, model: OpenAILanguageModel
) -> None:
    server.reply = lambda _messages, _tools: [
        "One moment.",
        Call("weather", '{"town": "Utrecht"}'),
        Call("end_call"),
    ]
    parts = await parts_of(model, WEATHER)
    assert text_of(parts) == "One moment."
    assert [part for part in parts if isinstance(part, ToolCall)] == [
        ToolCall("call_0", "weather", '{"town": "Utrecht"}'),
        ToolCall("call_1", "end_call", "{}"),
    ]
    assert server.chat.bodies[0]["tools"][0]["function"]["name"] == "weather"


async def test_sends_tool_results_back(server: FakeOpenAI, model: OpenAILanguageModel) -> None:
    call = ToolCall("call_0", "weather", "{}")
    history = [
        *HELLO,
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "sunny", tool_call_id="call_0"),
    ]
    async for _ in model.reply(history, []):
        pass
    sent = server.chat.bodies[0]["messages"]
    assert sent[2]["tool_calls"][0]["function"] == {"name": "weather", "arguments": "{}"}
    assert sent[3] == {"role": "tool", "content": "sunny", "tool_call_id": "call_0"}


async def test_closing_the_reply_ends_the_request_at_once(
    server: FakeOpenAI, model: OpenAILanguageModel
) -> None:
    server.reply = lambda _messages, _tools: "word " * 50
    server.chat.token_s = 0.2
    async with aclosing(model.reply(HELLO, [])) as reply:  # type: ignore[type-var]
        assert isinstance(await anext(reply), Token)
        assert server.open == 1
    await server.until(lambda: server.open == 0, timeout_s=1)


async def test_a_model_with_its_own_temperature_is_not_told_one(server: FakeOpenAI) -> None:
    async with AsyncOpenAI(api_key="good", base_url=server.base_url, max_retries=0) as client:
        await parts_of(OpenAILanguageModel(client, ChatOptions("gpt-5-mini", 0.7)))
    assert "temperature" not in server.chat.bodies[0]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
async def test_a_passing_fault_may_be_tried_again(
    server: FakeOpenAI, model: OpenAILanguageModel, status: int
) -> None:
    server.chat.faults.append(Fault(status=status, retry_after_s=2.5))
    with pytest.raises(ProviderUnavailable) as raised:
        await parts_of(model)
    assert raised.value.retryable
    assert raised.value.retry_after_s == 2.5
    assert len(server.chat.bodies) == 1  # retries are not the provider's business


@pytest.mark.parametrize("status", [400, 403, 404, 422])
async def test_a_refusal_is_final(
    server: FakeOpenAI, model: OpenAILanguageModel, status: int
) -> None:
    server.chat.faults.append(Fault(status=status))
    with pytest.raises(ProviderRefused, match=f"answered {status}"):
        await parts_of(model)


async def test_a_bad_key_is_refused_and_not_shown(server: FakeOpenAI) -> None:
    async with AsyncOpenAI(api_key="sk-wrong", base_url=server.base_url, max_retries=0) as client:
        with pytest.raises(ProviderRefused, match="the key is wrong") as raised:
            await parts_of(OpenAILanguageModel(client, ChatOptions("gpt-5.4")))
    assert "sk-wrong" not in str(raised.value)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("hang"),
        Fault("hang", after=1),
        Fault("drop"),
        Fault("drop", after=2),
        Fault("malformed", after=1),
        Fault("silent"),
    ],
    ids=lambda fault: f"{fault.kind} after {fault.after}",
)
async def test_a_stream_that_does_not_end_properly_is_unavailable(
    server: FakeOpenAI, model: OpenAILanguageModel, fault: Fault
) -> None:
    server.chat.faults.append(fault)
    parts, error = await until_error(model)
    assert isinstance(error, ProviderUnavailable)
    assert len(parts) == fault.after
    del error  # and with it the frames that keep the client's generators
    await server.until(lambda: server.open == 0)
    await asyncio.sleep(0)


async def until_error(model: OpenAILanguageModel) -> tuple[list[ReplyPart], ProviderError | None]:
    parts: list[ReplyPart] = []
    try:
        async for part in model.reply(HELLO, []):
            parts.append(part)  # noqa: PERF401 - what came before the fault is wanted
    except ProviderError as error:
        return parts, error
    return parts, None


async def test_nobody_listening_is_unavailable(model: OpenAILanguageModel) -> None:
    async with AsyncOpenAI(
        api_key="good", base_url="http://127.0.0.1:9/v1", max_retries=0
    ) as client:
        with pytest.raises(ProviderUnavailable, match="cannot be reached"):
            await parts_of(OpenAILanguageModel(client, ChatOptions("gpt-5.4")))
