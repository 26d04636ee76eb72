"""Chat completions against a server that speaks the vendor's protocol."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing

import aiohttp
import pytest

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.speech.base import Message, ReplyPart, Token, ToolCall, ToolSpec, Usage
from sovereign_ari.speech.endpoint import Endpoint
from sovereign_ari.speech.openai_llm import ChatOptions, OpenAILanguageModel
from tests.support.fake_openai import Call, FakeOpenAI, Fault, fake_openai

HELLO = [Message("system", "Be brief."), Message("user", "Hello")]
WEATHER = ToolSpec("weather", "Weather of a town", {"type": "object", "properties": {}})


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai(api_key="good") as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def model(server: FakeOpenAI, session: aiohttp.ClientSession) -> OpenAILanguageModel:
    return model_at(server.base_url, session)


def model_at(
    base_url: str,
    session: aiohttp.ClientSession,
    *,
    api_key: str = "good",
    options: ChatOptions | None = None,
) -> OpenAILanguageModel:
    return OpenAILanguageModel(
        session,
        Endpoint(base_url, api_key),
        options or ChatOptions("gpt-5.4", 0.3),
        first_chunk_s=0.5,
        next_chunk_s=0.5,
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


async def test_a_model_with_its_own_temperature_is_not_told_one(
    server: FakeOpenAI, session: aiohttp.ClientSession
) -> None:
    options = ChatOptions("gpt-5-mini", 0.7)
    await parts_of(model_at(server.base_url, session, options=options))
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


async def test_a_bad_key_is_refused_and_not_shown(
    server: FakeOpenAI, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(ProviderRefused, match="the key is wrong") as raised:
        await parts_of(model_at(server.base_url, session, api_key="sk-wrong"))
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
    await server.until(lambda: server.open == 0)


async def until_error(model: OpenAILanguageModel) -> tuple[list[ReplyPart], ProviderError | None]:
    parts: list[ReplyPart] = []
    try:
        async for part in model.reply(HELLO, []):
            parts.append(part)  # noqa: PERF401 - what came before the fault is wanted
    except ProviderError as error:
        return parts, error
    return parts, None


async def test_nobody_listening_is_unavailable(session: aiohttp.ClientSession) -> None:
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await parts_of(model_at("http://127.0.0.1:9/v1", session))


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    wire = Wire()
    async with await asyncio.start_server(wire.serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()[:2]
        wire.base_url = f"http://{host}:{port}/v1"
        yield wire
        for writer in wire.connections:
            writer.transport.abort()
    async with asyncio.timeout(5):
        await wire.idle.wait()


class Wire:
    """A server that sends exactly these bytes, and remembers its connections.

    Attributes:
        body: Behind the headers, as chunks of the transfer coding.
        whole: Whether the body comes to its end.
        may_end: Set when it may.
    """

    def __init__(self) -> None:
        self.base_url = ""
        self.body: list[bytes] = []
        self.whole = True
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.connections: list[asyncio.StreamWriter] = []
        self.requests = 0
        self.left = asyncio.Event()
        self.idle = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        self.idle.clear()
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                self.requests += 1
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for piece in self.body:
                    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                if self.whole:
                    await self.may_end.wait()
                    writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()
            self.idle.set()


WORD = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
FINISH = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
COUNT = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("step", [1, 7, 1000])
async def test_bytes_may_come_cut_anywhere_and_with_comments(
    wire: Wire, session: aiohttp.ClientSession, step: int
) -> None:
    stream = b": waiting\n\n" + WORD + (WORD + FINISH + COUNT + DONE).replace(b"\n", b"\r\n")
    wire.body = [stream[at : at + step] for at in range(0, len(stream), step)]
    parts = await parts_of(model_at(wire.base_url, session))
    assert parts == [Token("Hi"), Token("Hi"), Usage(1, 2)]


async def test_a_connection_whose_body_ends_a_little_later_is_used_again(
    wire: Wire, session: aiohttp.ClientSession
) -> None:
    wire.body = [WORD + FINISH + COUNT, DONE]
    async with asyncio.timeout(5):
        while len(wire.connections) == wire.requests:
            wire.may_end.clear()
            await parts_of(model_at(wire.base_url, session))
            wire.may_end.set()
            await asyncio.sleep(0.01)  # the end is on its way


async def test_a_reply_that_was_left_hangs_up_and_its_connection_is_not_used_again(
    wire: Wire, session: aiohttp.ClientSession
) -> None:
    wire.body, wire.whole = [WORD, WORD], False
    async with aclosing(model_at(wire.base_url, session).reply(HELLO, [])) as reply:  # type: ignore[type-var]
        await anext(reply)
    async with asyncio.timeout(1):
        await wire.left.wait()
    wire.body, wire.whole = [FINISH, DONE], True
    await parts_of(model_at(wire.base_url, session))
    assert len(wire.connections) == 2


@pytest.mark.parametrize(
    "tail",
    [b"", COUNT, COUNT + DONE, b"data: {broken\n\n" + DONE],
    ids=["none", "count", "count and done", "broken"],
)
async def test_a_finished_reply_is_complete_whatever_its_tail(
    wire: Wire, session: aiohttp.ClientSession, tail: bytes
) -> None:
    wire.body, wire.whole = [WORD + FINISH, tail] if tail else [WORD + FINISH], False
    parts = await parts_of(model_at(wire.base_url, session))
    assert parts[0] == Token("Hi")
    assert parts[1:] == ([Usage(1, 2)] if COUNT in tail else [])
    async with asyncio.timeout(3):  # the end of the body never comes: it hangs up by itself
        await wire.left.wait()


@pytest.mark.parametrize(
    "body",
    [
        [WORD, DONE],
        [WORD, b'data: {"error":{"code":"overloaded"}}\n\n'],
        [WORD, b"data: " + b"x" * (1 << 20)],
        [WORD] + [b": still here\n\n"] * 3,
    ],
    ids=["no finish", "an error in the stream", "an endless event", "nothing but comments"],
)
async def test_a_stream_that_never_finishes_is_unavailable(
    wire: Wire, session: aiohttp.ClientSession, body: list[bytes]
) -> None:
    wire.body, wire.whole = body, False
    parts, error = await until_error(model_at(wire.base_url, session))
    assert parts == [Token("Hi")]
    assert isinstance(error, ProviderUnavailable)
    async with asyncio.timeout(3):
        await wire.left.wait()
