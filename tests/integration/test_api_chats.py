"""`/chats` over HTTP, with the offline model and with a vendor's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from db.byok import bound_to, put_key
from sovereign_ari.chat_model import RegistryChatModel
from sovereign_ari.speech.registry import ProviderRegistry
from sovereign_ari.vault import Vault
from tests.support.api import VAULT, Api, running_api
from tests.support.fake_openai import FakeOpenAI, Fault, fake_openai

PATH = "/api/v1/chats"
NOBODY = "00000000-0000-4000-8000-000000000000"
SYSTEM = {"role": "system", "content": "You answer for a bakery."}
PARROT = {"provider": "parrot", "messages": [SYSTEM]}
OPENAI = {"provider": "openai", "model": "gpt-5.4-mini", "messages": [SYSTEM]}


@asynccontextmanager
async def chatting(
    pool: asyncpg.Pool, base_url: str = "http://127.0.0.1:1/v1", within_s: float = 30.0
) -> AsyncIterator[Api]:
    """The API with models, and without a platform key for OpenAI."""
    async with ProviderRegistry(openai_api_key=None, openai_base_url=base_url) as registry:
        async with running_api(pool, chat_model=RegistryChatModel(registry, within_s)) as api:
            yield api


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with chatting(pool) as api:
        yield api


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai(api_key="our-own") as server:
        yield server


async def an_assistant(api: Api, llm: Mapping[str, Any] | None = PARROT) -> str:
    fields = {"name": "Bakery", "llm_config": llm}
    made = await api.ask("POST", "/api/v1/assistants", fields)
    found: str = made[1]["assistant"]["id"]
    return found


async def store_key(api: Api, key: str, vault: Vault = VAULT) -> None:
    sealed = vault.seal(key.encode(), bound_to(api.organisation_id, "openai"))
    async with api.pool.acquire() as connection:
        await put_key(connection, api.organisation_id, "openai", sealed)


async def stored(api: Api) -> list[Any]:
    status, answer = await api.ask("GET", PATH)
    assert status == 200
    found: list[Any] = answer["chats"]
    return found


def said(chat: Mapping[str, Any]) -> list[tuple[str, str]]:
    messages: Sequence[Mapping[str, str]] = chat["messages"]
    return [(message["role"], message["content"]) for message in messages]


@pytest.mark.parametrize("assistant", ["assistant_id", "agent_id"])
@pytest.mark.parametrize("text", ["message", "content"])
async def test_a_message_is_answered_and_both_are_stored(
    api: Api, assistant: str, text: str
) -> None:
    assistant_id = await an_assistant(api)
    status, answer = await api.ask("POST", PATH, {assistant: assistant_id, text: "Hello"})
    assert status == 201
    assert answer["reply"] == "You said: Hello"
    chat = answer["chat"]
    assert said(chat) == [("user", "Hello"), ("assistant", "You said: Hello")]
    assert chat["assistant_id"] == chat["agent_id"] == assistant_id
    assert await stored(api) == [chat]


async def test_a_chat_goes_on_with_what_was_said(api: Api) -> None:
    script = [{"match": "again", "say": "Before I said: $previous"}]
    assistant_id = await an_assistant(api, {"provider": "parrot", "script": script})
    _, first = await api.ask("POST", PATH, {"assistant_id": assistant_id, "message": "Hello"})
    body = {"chat_id": first["chat"]["id"], "message": "again"}
    status, second = await api.ask("POST", PATH, body)
    assert status == 201
    assert second["reply"] == "Before I said: You said: Hello"
    assert second["chat"]["id"] == first["chat"]["id"]
    assert len(second["chat"]["messages"]) == 4
    assert second["chat"]["updated_at"] >= first["chat"]["updated_at"]


async def test_an_assistant_without_a_block_answers_with_the_default_model(api: Api) -> None:
    assistant_id = await an_assistant(api, None)
    _, answer = await api.ask("POST", PATH, {"assistant_id": assistant_id, "message": "Hi"})
    assert answer["reply"] == "You said: Hi"


async def test_messages_sent_at_once_into_one_chat_are_all_kept_in_pairs(api: Api) -> None:
    assistant_id = await an_assistant(api)
    _, first = await api.ask("POST", PATH, {"assistant_id": assistant_id, "message": "0"})
    chat_id = first["chat"]["id"]
    answers = await asyncio.gather(
        *(api.ask("POST", PATH, {"chat_id": chat_id, "message": str(n)}) for n in range(1, 9))
    )
    assert {status for status, _ in answers} == {201}
    [chat] = await stored(api)
    messages = said(chat)
    assert sorted(content for role, content in messages if role == "user") == list("012345678")
    for (asker, question), (answerer, reply) in zip(messages[::2], messages[1::2], strict=True):
        assert (asker, answerer, reply) == ("user", "assistant", f"You said: {question}")


async def test_the_model_gets_the_prompt_the_history_and_no_tools(
    pool: asyncpg.Pool, server: FakeOpenAI
) -> None:
    tools = [{"name": "look_up", "description": "Look something up"}]
    async with chatting(pool, server.base_url) as api:
        await store_key(api, "our-own")
        assistant_id = await an_assistant(api, {**OPENAI, "tools": tools})
        _, first = await api.ask("POST", PATH, {"assistant_id": assistant_id, "message": "One"})
        await api.ask("POST", PATH, {"chat_id": first["chat"]["id"], "message": "Two"})
    request = server.chat.bodies[-1]
    assert request["model"] == "gpt-5.4-mini"
    assert "tools" not in request
    assert [(m["role"], m["content"]) for m in request["messages"]] == [
        ("system", SYSTEM["content"]),
        ("user", "One"),
        ("assistant", "You said: One"),
        ("user", "Two"),
    ]


async def test_only_the_end_of_a_long_chat_is_sent(pool: asyncpg.Pool, server: FakeOpenAI) -> None:
    async with chatting(pool, server.base_url) as api:
        await store_key(api, "our-own")
        body: dict[str, Any] = {"assistant_id": await an_assistant(api, OPENAI), "message": "0"}
        for n in range(22):
            _, answer = await api.ask("POST", PATH, {**body, "message": str(n)})
            body = {"chat_id": answer["chat"]["id"]}
    sent = server.chat.bodies[-1]["messages"]
    assert len(sent) == 1 + 40 + 1
    assert sent[1]["content"] == "1"


@pytest.mark.parametrize(
    ("key", "fault", "sentence"),
    [
        (None, None, "needs OPENAI_API_KEY"),
        ("wrong", None, "the key is wrong"),
        ("our-own", Fault(status=500), "answered 500"),
        ("our-own", Fault("malformed"), "openai chat"),
        ("our-own", Fault("drop", after=1), "openai chat"),
        ("our-own", Fault("hang", after=1), "did not finish its reply within 0.3 s"),
        ("our-own", Fault("silent"), "broke off"),
    ],
)  # fmt: skip
async def test_a_model_that_fails_is_explained_and_nothing_is_stored(
    pool: asyncpg.Pool, server: FakeOpenAI, key: str | None, fault: Fault | None, sentence: str
) -> None:
    if fault is not None:
        server.chat.faults.append(fault)
    async with chatting(pool, server.base_url, within_s=0.3) as api:
        if key is not None:
            await store_key(api, key)
        body = {"assistant_id": await an_assistant(api, OPENAI), "message": "Hello"}
        status, answer = await api.ask("POST", PATH, body)
        assert status == 422
        assert answer["error"]["code"] == "provider_error"
        assert sentence in answer["message"]
        assert "our-own" not in answer["message"]
        assert await stored(api) == []


async def test_a_provider_that_this_release_cannot_use_says_so(api: Api) -> None:
    body = {"assistant_id": await an_assistant(api, {"provider": "google"}), "message": "Hi"}
    status, answer = await api.ask("POST", PATH, body)
    assert (status, answer["error"]["code"]) == (422, "provider_error")
    assert "'google' cannot be used by this release" in answer["message"]


async def test_a_model_that_only_wants_a_tool_has_no_answer(api: Api) -> None:
    script = [{"match": ".", "tool": {"name": "look_up"}}]
    body = {"assistant_id": await an_assistant(api, {"provider": "parrot", "script": script})}
    status, answer = await api.ask("POST", PATH, {**body, "message": "Hello"})
    assert (status, answer["error"]["code"]) == (422, "provider_error")
    assert "said nothing" in answer["message"]
    assert await stored(api) == []


async def test_a_key_that_does_not_open_is_explained(
    pool: asyncpg.Pool, server: FakeOpenAI
) -> None:
    async with chatting(pool, server.base_url) as api:
        await store_key(api, "our-own", Vault([bytes(32)]))
        body = {"assistant_id": await an_assistant(api, OPENAI), "message": "Hello"}
        status, answer = await api.ask("POST", PATH, body)
    assert status == 422
    assert "store it again" in answer["message"]


async def test_a_process_without_models_says_so(pool: asyncpg.Pool) -> None:
    async with running_api(pool) as api:
        body = {"assistant_id": await an_assistant(api), "message": "Hello"}
        status, answer = await api.ask("POST", PATH, body)
    assert (status, answer["error"]["code"]) == (422, "provider_error")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, "message: is required"),
        ({"message": "Hi"}, "assistant_id: is required"),
        ({"message": "", "assistant_id": NOBODY}, "message: "),
        ({"message": "x" * 8001, "assistant_id": NOBODY}, "message: "),
        ({"message": "a", "content": "b", "assistant_id": NOBODY}, "message and content"),
        ({"message": ["Hi"], "assistant_id": NOBODY}, "message: "),
        ({"message": "Hi", "assistant_id": "x"}, "assistant_id: is not a UUID"),
        ({"message": "Hi", "chat_id": 1}, "chat_id: "),
        ({"message": "Hi", "assistent_id": NOBODY}, "did you mean assistant_id?"),
    ],
)
async def test_a_faulty_message_is_told_what_is_wrong(
    api: Api, body: dict[str, Any], fault: str
) -> None:
    status, answer = await api.ask("POST", PATH, body)
    assert status == 400, answer
    assert fault in str(answer)


async def test_what_does_not_exist_is_not_found(api: Api) -> None:
    assert (await api.ask("POST", PATH, {"assistant_id": NOBODY, "message": "Hi"}))[0] == 404
    assert (await api.ask("POST", PATH, {"chat_id": NOBODY, "message": "Hi"}))[0] == 404
    assert (await api.ask("DELETE", f"{PATH}/{NOBODY}"))[0] == 404
    assert (await api.ask("GET", f"{PATH}/context?assistant_id={NOBODY}"))[0] == 404


async def test_a_chat_keeps_its_assistant(api: Api) -> None:
    one, other = await an_assistant(api), await an_assistant(api)
    _, first = await api.ask("POST", PATH, {"assistant_id": one, "message": "Hi"})
    body = {"chat_id": first["chat"]["id"], "message": "Hi"}
    assert (await api.ask("POST", PATH, {**body, "assistant_id": one}))[0] == 201
    status, answer = await api.ask("POST", PATH, {**body, "assistant_id": other})
    assert (status, answer["error"]["param"]) == (400, "assistant_id")


async def test_a_chat_outlives_its_assistant_and_is_then_closed(api: Api) -> None:
    assistant_id = await an_assistant(api)
    _, first = await api.ask("POST", PATH, {"assistant_id": assistant_id, "message": "Hi"})
    assert (await api.ask("DELETE", f"/api/v1/assistants/{assistant_id}"))[0] == 200
    [chat] = await stored(api)
    assert chat["assistant_id"] is None
    body = {"chat_id": first["chat"]["id"], "message": "Hi"}
    status, answer = await api.ask("POST", PATH, body)
    assert (status, answer["error"]["code"]) == (422, "assistant_deleted")


async def test_a_chat_has_an_end(api: Api) -> None:
    assistant_id = await an_assistant(api)
    _, first = await api.ask("POST", PATH, {"assistant_id": assistant_id, "message": "Hi"})
    chat_id = first["chat"]["id"]
    async with api.pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO chat_messages (chat_id, number, role, content)"
            " SELECT $1, n, 'user', 'x' FROM generate_series(2, 199) AS n",
            chat_id,
        )
    status, answer = await api.ask("POST", PATH, {"chat_id": chat_id, "message": "Hi"})
    assert (status, answer["error"]["code"]) == (422, "chat_full")


class _Slow:
    """A model that answers when it is told to."""

    def __init__(self) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def reply(self, *_: object) -> str:
        self.asked.set()
        await self.go.wait()
        return "Too late"


@pytest.mark.parametrize("gone", ["chat", "assistant"])
async def test_what_is_deleted_while_the_model_thinks_stays_deleted(
    pool: asyncpg.Pool, gone: str
) -> None:
    model = _Slow()
    async with running_api(pool, chat_model=model) as api:
        assistant_id = await an_assistant(api)
        body = {"assistant_id": assistant_id, "message": "Hi"}
        path = f"/api/v1/assistants/{assistant_id}"
        if gone == "chat":
            model.go.set()
            _, first = await api.ask("POST", PATH, body)
            model.go.clear()
            model.asked.clear()
            body = {"chat_id": first["chat"]["id"], "message": "Hi"}
            path = f"{PATH}/{first['chat']['id']}"
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(api.ask("POST", PATH, body))
            await model.asked.wait()
            assert (await api.ask("DELETE", path))[0] == 200
            model.go.set()
        assert asking.result()[0] == 404
        assert await stored(api) == []


async def test_lists_are_newest_first_by_assistant_and_in_pages(api: Api) -> None:
    one, other = await an_assistant(api), await an_assistant(api)
    ids = []
    for assistant_id in (one, other, one):
        body = {"assistant_id": assistant_id, "message": "Hi"}
        ids.append((await api.ask("POST", PATH, body))[1]["chat"]["id"])
    assert [chat["id"] for chat in await stored(api)] == ids[::-1]
    for name in ("assistant_id", "agent_id"):
        _, answer = await api.ask("GET", f"{PATH}?{name}={one}")
        assert [chat["id"] for chat in answer["chats"]] == [ids[2], ids[0]]
    _, answer = await api.ask("GET", f"{PATH}?limit=1&offset=1")
    assert [chat["id"] for chat in answer["chats"]] == [ids[1]]
    status, answer = await api.ask("GET", f"{PATH}?assistant_id={one}&agent_id={other}")
    assert (status, answer["error"]["param"]) == (400, "assistant_id")
    assert (await api.ask("GET", f"{PATH}?limit=101"))[0] == 400


async def test_a_deleted_chat_is_gone_with_its_messages(api: Api) -> None:
    body = {"assistant_id": await an_assistant(api), "message": "Hi"}
    _, first = await api.ask("POST", PATH, body)
    path = f"{PATH}/{first['chat']['id']}"
    assert await api.ask("DELETE", path) == (200, {"success": True})
    assert (await api.ask("DELETE", path))[0] == 404
    async with api.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM chat_messages") == 0


async def test_the_chats_of_somebody_else_do_not_exist(api: Api) -> None:
    assistant_id = await an_assistant(api)
    _, first = await api.ask("POST", PATH, {"assistant_id": assistant_id, "message": "Hi"})
    chat_id = first["chat"]["id"]
    they = await api.another_tenant()
    assert await stored(they) == []
    assert (await they.ask("DELETE", f"{PATH}/{chat_id}"))[0] == 404
    assert (await they.ask("POST", PATH, {"chat_id": chat_id, "message": "Hi"}))[0] == 404
    body = {"assistant_id": assistant_id, "message": "Hi"}
    assert (await they.ask("POST", PATH, body))[0] == 404
    assert (await they.ask("GET", f"{PATH}/context?assistant_id={assistant_id}"))[0] == 404
    assert len(await stored(api)) == 1


@pytest.mark.parametrize("name", ["assistant_id", "agent_id"])
async def test_the_context_is_what_the_model_is_given(api: Api, name: str) -> None:
    assistant_id = await an_assistant(api)
    status, answer = await api.ask("GET", f"{PATH}/context?{name}={assistant_id}")
    assert status == 200
    assert answer["context"] == {
        "assistant_id": assistant_id,
        "agent_id": assistant_id,
        "provider": "parrot",
        "model": "parrot-1",
        "temperature": 0.7,
        "messages": [SYSTEM],
        "history_limit": 40,
        "tools": [],
    }


async def test_without_an_assistant_the_context_is_the_default_models(api: Api) -> None:
    status, answer = await api.ask("GET", f"{PATH}/context")
    assert status == 200
    context = answer["context"]
    assert (context["assistant_id"], context["provider"]) == (None, "parrot")
    assert context["messages"] == []
    status, answer = await api.ask("GET", f"{PATH}/context?assistant_id={NOBODY}&agent_id=x")
    assert (status, answer["error"]["param"]) == (400, "agent_id")
