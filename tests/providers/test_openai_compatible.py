"""Chat servers of an organisation's own, and vendors that speak OpenAI's protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import web

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.outgoing.http import guarded_connector
from sovereign_ari.outgoing.names import LookUp, look_up
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.speech.base import (
    LanguageModel,
    Message,
    ReplyPart,
    Token,
    ToolCall,
    ToolSpec,
    Usage,
)
from sovereign_ari.speech.openai_compatible import Outgoing
from sovereign_ari.speech.registry import Elsewhere, ProviderRegistry
from tests.support.fake_openai import Call, FakeOpenAI, Fault, fake_openai

HELLO = [Message("system", "Be brief."), Message("user", "Hello")]
LOOPBACK = ("127.0.0.0/8",)


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai() as server:
        yield server


def registry_for(
    server: FakeOpenAI, allow: Sequence[str] = LOOPBACK, names: LookUp = look_up
) -> ProviderRegistry:
    policy = OutgoingPolicy([ip_network(net) for net in allow], names)
    elsewhere = Elsewhere(
        outgoing=Outgoing(policy.fault, lambda: guarded_connector(policy)),
        urls={"mistral": server.base_url, "xai": server.base_url},
    )
    return ProviderRegistry(
        openai_api_key="platform", openai_base_url=server.base_url, elsewhere=elsewhere
    )


def own_server(server: FakeOpenAI, **more: Any) -> dict[str, Any]:
    return {
        "provider": "openai_compatible",
        "base_url": server.base_url,
        "model": "llama-4",
        **more,
    }


async def parts_of(
    model: LanguageModel,
    messages: Sequence[Message] = HELLO,
    tools: Sequence[ToolSpec] = (),
) -> list[ReplyPart]:
    return [part async for part in model.reply(messages, tools)]


def text_of(parts: list[ReplyPart]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Token))


async def test_asks_a_server_of_ones_own_without_a_key(server: FakeOpenAI) -> None:
    async with registry_for(server) as registry:
        model = registry.language_model(own_server(server, max_completion_tokens=50))
        parts = await parts_of(model)
    assert text_of(parts) == "You said: Hello"
    assert parts[-1] == Usage(20, 7)
    assert model.label == "openai_compatible/llama-4"
    body = server.chat.bodies[0]
    assert body["model"] == "llama-4"
    assert body["max_tokens"] == 50
    assert "max_completion_tokens" not in body
    assert "reasoning_effort" not in body
    assert server.journal.keys == [""], "the platform's key was shown to a stranger's server"


async def test_a_slash_at_the_end_of_the_address_makes_no_difference(server: FakeOpenAI) -> None:
    async with registry_for(server) as registry:
        block = own_server(server, base_url=server.base_url + "/")
        assert text_of(await parts_of(registry.language_model(block))) == "You said: Hello"


async def test_the_key_of_an_organisation_is_shown_to_its_server(server: FakeOpenAI) -> None:
    async with registry_for(server) as registry:
        own = {"openai_compatible": "theirs", "openai": "another"}
        await parts_of(registry.language_model(own_server(server), own))
    assert server.journal.keys == ["theirs"]


async def test_a_key_that_cannot_be_opened_is_not_left_out(server: FakeOpenAI) -> None:
    async with registry_for(server) as registry:
        with pytest.raises(ProviderRefused, match="cannot be opened"):
            registry.language_model(own_server(server), {"openai_compatible": None})


async def test_a_private_address_needs_the_operators_leave(server: FakeOpenAI) -> None:
    async with registry_for(server, allow=()) as registry:
        with pytest.raises(ProviderRefused, match="not a public address"):
            registry.language_model(own_server(server))
    assert server.journal.requests == []


async def test_a_public_name_with_a_private_address_is_not_connected_to(
    server: FakeOpenAI,
) -> None:
    async def inside(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    port = server.base_url.split(":")[2]
    async with registry_for(server, allow=(), names=inside) as registry:
        block = own_server(server, base_url=f"http://models.example.com:{port}")
        with pytest.raises(ProviderUnavailable, match="no public address"):
            await parts_of(registry.language_model(block))
    assert server.journal.requests == []


async def test_a_redirect_is_not_followed(server: FakeOpenAI) -> None:
    async def elsewhere(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{server.base_url}/chat/completions")

    app = web.Application()
    app.router.add_post("/chat/completions", elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    block = own_server(server, base_url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        async with registry_for(server) as registry:
            with pytest.raises(ProviderRefused, match="answered 307"):
                await parts_of(registry.language_model(block, {"openai_compatible": "secret"}))
    finally:
        await runner.cleanup()
    assert server.journal.requests == []


async def test_without_a_policy_no_server_of_others_is_called(server: FakeOpenAI) -> None:
    async with ProviderRegistry(openai_api_key="k", openai_base_url="http://x") as registry:
        with pytest.raises(ProviderRefused, match="calls no servers of others"):
            registry.language_model(own_server(server))


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (Fault(status=401), ProviderRefused, "openai_compatible chat answered 401"),
        (Fault(status=404), ProviderRefused, "404"),
        (Fault(status=429, retry_after_s=3), ProviderUnavailable, "429"),
        (Fault(status=503), ProviderUnavailable, "503"),
        (Fault("drop", after=1), ProviderUnavailable, "openai_compatible chat"),
        (Fault("malformed"), ProviderUnavailable, "not JSON"),
        (Fault("silent"), ProviderUnavailable, "broke off"),
    ],
    ids=lambda value: f"{value.kind} {value.status}" if isinstance(value, Fault) else "",
)
async def test_a_server_that_fails(
    server: FakeOpenAI, fault: Fault, error: type[ProviderError], message: str
) -> None:
    server.chat.faults.append(fault)
    async with registry_for(server) as registry:
        with pytest.raises(error, match=message) as raised:
            await parts_of(registry.language_model(own_server(server)))
    assert raised.value.retry_after_s == fault.retry_after_s
    assert server.chat.served == 1, "it was asked again"


async def test_grok_is_told_not_to_think_first(server: FakeOpenAI) -> None:
    async with registry_for(server) as registry:
        model = registry.language_model({"provider": "xai"}, {"xai": "xai-key"})
        assert text_of(await parts_of(model)) == "You said: Hello"
    assert model.label == "xai/grok-4.3"
    assert server.chat.bodies[0]["model"] == "grok-4.3"
    assert server.chat.bodies[0]["reasoning_effort"] == "none"
    assert server.journal.keys == ["xai-key"]


async def test_mistral_gets_only_fields_that_it_knows(server: FakeOpenAI) -> None:
    """It refuses others, and ids of tool calls that are not nine letters or digits."""
    server.reply = lambda messages, _tools: (
        "Done." if messages[-1]["role"] == "tool" else [Call("weather", "{}")]
    )
    async with registry_for(server) as registry:
        model = registry.language_model({"provider": "mistral"}, {"mistral": "m-key"})
        tool = ToolSpec("weather", "Weather", {"type": "object", "properties": {}})
        call = next(p for p in await parts_of(model, HELLO, [tool]) if isinstance(p, ToolCall))
        history = [
            *HELLO,
            Message("assistant", "", tool_calls=(call, ToolCall("Abc123xyZ", "weather", "{}"))),
            Message("tool", "sunny", tool_call_id=call.id),
            Message("tool", "rainy", tool_call_id="Abc123xyZ"),
        ]
        assert text_of(await parts_of(model, history, [tool])) == "Done."
    asked, told = server.chat.bodies
    assert set(asked) == {"model", "messages", "stream", "temperature", "tools"}
    ids = [made["id"] for made in told["messages"][2]["tool_calls"]]
    assert [message["tool_call_id"] for message in told["messages"][3:]] == ids
    assert ids[1] == "Abc123xyZ"
    assert len(ids[0]) == 9
    assert ids[0].isalnum()


@pytest.mark.parametrize("provider", ["mistral", "xai"])
@pytest.mark.parametrize(
    ("own", "reason"), [({}, "needs a key of the organisation"), (None, "cannot be opened")]
)
async def test_a_vendor_without_a_key_is_refused(
    server: FakeOpenAI, provider: str, own: dict[str, str] | None, reason: str
) -> None:
    keys: dict[str, str | None] = {provider: None} if own is None else dict(own)
    async with registry_for(server) as registry:
        with pytest.raises(ProviderRefused, match=reason):
            registry.language_model({"provider": provider}, keys)
