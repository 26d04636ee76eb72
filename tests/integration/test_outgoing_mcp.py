"""The MCP client against real servers, good and bad."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.mcp import McpServer, McpTransport, list_tools, open_session
from sovereign_ari.outgoing.policy import OutgoingPolicy
from tests.support.certificates import tls_pair
from tests.support.fake_mcp import (
    SCHEMA,
    FakeMcp,
    Handler,
    introduction,
    polite,
    rpc,
    running_bytes,
    running_mcp,
    running_rude,
)

HERE = OutgoingPolicy([ip_network("127.0.0.0/8")])
BOTH: list[McpTransport] = ["streamable_http", "sse"]
SECRET = "Bearer s3cret-value"


async def failure(server: McpServer, timeout_s: float = 5.0, **options: Any) -> str:
    """What a user is told; afterwards nothing of the attempt is left."""
    with pytest.raises(OutgoingFailed) as raised:
        await list_tools(options.pop("policy", HERE), server, timeout_s=timeout_s, **options)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    text = str(raised.value)
    assert "s3cret" not in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize("json_answers", [False, True], ids=["events", "json"])
async def test_all_tools_are_listed(transport: McpTransport, json_answers: bool) -> None:
    async with running_mcp(FakeMcp(tools=2, json_answers=json_answers)) as fake:
        tools = await list_tools(HERE, McpServer(fake.url(transport), transport))
    assert [(tool.name, tool.description) for tool in tools] == [
        ("tool_0", "Tool 0"),
        ("tool_1", "Tool 1"),
    ]
    assert tools[0].input_schema == SCHEMA


@pytest.mark.parametrize("transport", BOTH)
async def test_a_thousand_tools_come_page_by_page(transport: McpTransport) -> None:
    async with running_mcp(FakeMcp(tools=1000, page=100)) as fake:
        tools = await list_tools(HERE, McpServer(fake.url(transport), transport))
    assert [tool.name for tool in tools] == [f"tool_{n}" for n in range(1000)]


@pytest.mark.parametrize("transport", BOTH)
async def test_the_headers_go_with_every_request(transport: McpTransport) -> None:
    async with running_mcp(FakeMcp(key=SECRET)) as fake:
        server = McpServer(fake.url(transport), transport, {"Authorization": SECRET})
        assert len(await list_tools(HERE, server)) == 1
        assert "s3cret" not in repr(server)
        refused = await failure(McpServer(fake.url(transport), transport))
    assert refused == "127.0.0.1 answers 401 Unauthorized"
    accepted = [seen for seen in fake.seen if "authorization" in seen]
    assert accepted
    assert all(seen["host"] == f"127.0.0.1:{fake.port}" for seen in fake.seen)
    assert all(seen["user-agent"] == "HMS-Sovereign/1.0" for seen in fake.seen)


async def test_a_session_is_ended_when_it_is_left() -> None:
    async with running_mcp(FakeMcp()) as fake:
        await list_tools(HERE, McpServer(fake.url("streamable_http")))
    assert fake.methods[-1] == "DELETE"


@pytest.mark.parametrize("transport", BOTH)
async def test_a_session_may_be_asked_again_and_again(transport: McpTransport) -> None:
    async with (
        running_mcp(FakeMcp()) as fake,
        open_session(HERE, McpServer(fake.url(transport), transport)) as session,
    ):
        answers = await asyncio.gather(
            *(session.call_tool("tool_0", {"city": f"city {n}"}) for n in range(5))
        )
        tools = await session.list_tools()
    assert [answer.content[0].model_dump()["text"] for answer in answers] == [
        f"{{'city': 'city {n}'}}" for n in range(5)
    ]
    assert len(tools) == 1


@pytest.mark.parametrize("transport", BOTH)
async def test_what_the_user_of_a_session_raises_comes_out_as_it_was(
    transport: McpTransport,
) -> None:
    async with running_mcp(FakeMcp()) as fake:
        with pytest.raises(KeyError, match="mine"):
            async with open_session(HERE, McpServer(fake.url(transport), transport)):
                raise KeyError("mine")


@pytest.mark.parametrize("transport", BOTH)
async def test_a_cancelled_session_leaves_nothing_behind(transport: McpTransport) -> None:
    opened = asyncio.Event()

    async def stay(url: str) -> None:
        async with open_session(HERE, McpServer(url, transport)):
            opened.set()
            await asyncio.Event().wait()

    async with running_mcp(FakeMcp()) as fake:
        task = asyncio.create_task(stay(fake.url(transport)))
        await opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize(
    ("status", "text"),
    [
        (401, "127.0.0.1 answers 401 Unauthorized"),
        (404, "127.0.0.1 answers 404 Not Found"),
        (500, "127.0.0.1 answers 500 Internal Server Error"),
        (599, "127.0.0.1 answers 599"),
        (302, "127.0.0.1 answers with a redirect (302), which is not followed"),
        (307, "127.0.0.1 answers with a redirect (307), which is not followed"),
    ],
)
async def test_an_http_error_is_named(transport: McpTransport, status: int, text: str) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "/other"})

    async with running_rude(refuse) as rude:
        assert await failure(McpServer(rude.url(), transport)) == text
    assert len(rude.requests) == 1  # not even a redirect to the same server is followed


@pytest.mark.parametrize("transport", BOTH)
async def test_a_redirect_to_a_private_address_is_not_followed(transport: McpTransport) -> None:
    async with running_mcp(FakeMcp()) as secret:

        async def send_there(request: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": secret.url(transport)})

        async with running_rude(send_there) as rude:
            assert "redirect (307)" in await failure(McpServer(rude.url(), transport))
    assert secret.methods == []


@pytest.mark.parametrize("transport", BOTH)
async def test_a_server_that_says_nothing_is_given_up_in_time(transport: McpTransport) -> None:
    async with running_bytes(b"", hang=True) as port:
        begun = time.monotonic()
        text = await failure(McpServer(f"http://127.0.0.1:{port}/mcp", transport), timeout_s=0.5)
    assert text == "no answer within 0.5 s"
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize(
    "answer", [b"220 mail.example\r\n\r\n", b"\x16\x03\x01\x02", b"HTTP/9 x\r\n\r\n"]
)
async def test_what_is_not_http_is_named(transport: McpTransport, answer: bytes) -> None:
    async with running_bytes(answer) as port:
        text = await failure(McpServer(f"http://127.0.0.1:{port}/mcp", transport))
    assert text == "127.0.0.1 does not answer in HTTP"


@pytest.mark.parametrize("transport", BOTH)
async def test_a_closed_port_is_named(transport: McpTransport) -> None:
    async with running_bytes(b"") as port:
        pass
    text = await failure(McpServer(f"http://127.0.0.1:{port}/mcp", transport))
    assert text == f"127.0.0.1 port {port} cannot be reached"


@pytest.mark.parametrize("transport", BOTH)
async def test_a_connection_that_closes_is_named(transport: McpTransport) -> None:
    async with running_bytes(b"") as port:
        text = await failure(McpServer(f"http://127.0.0.1:{port}/mcp", transport))
    assert text == "127.0.0.1 broke off the connection"


@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize(
    "kind", ["text/html", "application/json", "text/event-stream", "application/octet-stream"]
)
async def test_another_protocol_is_named(transport: McpTransport, kind: str) -> None:
    async def chat(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"<h1>Welcome</h1>\n\n", content_type=kind)

    async with running_rude(chat) as rude:
        text = await failure(McpServer(rude.url(), transport))
    assert text in (
        "the server does not answer as an MCP server does",
        "127.0.0.1 ended its answer without a result",
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b"[]",
        b'{"jsonrpc":"2.0","id":0,"result":{}}',
        b'{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2099-01-01","capabilities":{},'
        b'"serverInfo":{"name":"x","version":"1"}}}',
        b'{"jsonrpc":"2.0","id":0,"result":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"\xff\xfe",
    ],
    ids=["empty", "list", "nothing said", "another version", "deep", "not UTF-8"],
)
async def test_json_that_is_not_mcp_is_named(answer: bytes) -> None:
    async def chat(request: web.Request) -> web.StreamResponse:
        return web.Response(body=answer, content_type="application/json")

    async with running_rude(chat) as rude:
        text = await failure(McpServer(rude.url()))
    assert text == "the server does not answer as an MCP server does"


async def test_what_a_server_says_of_its_failure_is_quoted_short_and_on_one_line() -> None:
    async def refuse(asked: dict[str, Any]) -> web.StreamResponse:
        error = {"code": -32601, "message": "no\n\ntools\x00 " + "x" * 1000}
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "error": error})

    async with running_rude(polite(refuse)) as rude:
        text = await failure(McpServer(rude.url()))
    assert text.startswith("the server answers: no tools xxx")
    assert len(text) < 250


async def test_a_server_that_dies_in_the_middle_is_named_at_once() -> None:
    async def die(asked: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = 1000
        response.force_close()
        await response.prepare(requests[-1])
        await response.write(b'{"jsonrpc":')
        transport = requests[-1].transport
        assert transport is not None
        transport.abort()
        return response

    async with running_rude(polite(die)) as rude:
        requests = rude.requests
        text = await failure(McpServer(rude.url()), timeout_s=30)
    assert text == "127.0.0.1 broke off in the middle of its answer"


async def test_a_stream_of_events_that_ends_without_a_result_is_named_at_once() -> None:
    async def say_little(asked: dict[str, Any]) -> web.StreamResponse:
        return web.Response(body=b": hello\n\n", content_type="text/event-stream")

    async with running_rude(polite(say_little)) as rude:
        text = await failure(McpServer(rude.url()), timeout_s=30)
    assert text == "127.0.0.1 ended its answer without a result"


def events_server(tail: bytes, *, stay: bool) -> Handler:
    """An SSE server that sends `tail` after its endpoint, and hangs up or stays."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(status=202)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(tail)
        if stay:
            await asyncio.Event().wait()
        return response

    return answer


@pytest.mark.parametrize(
    ("tail", "text"),
    [
        (b"event: endpoint\ndata: /m\n\n", "127.0.0.1 ended its answer without a result"),
        (b": nothing\n\n", "127.0.0.1 ended its answer without a result"),
        (
            b"event: endpoint\ndata: /m\n\nevent: message\ndata: {broken\n\n",
            "the server does not answer as an MCP server does",
        ),
    ],
    ids=["hangs up", "no endpoint", "broken message"],
)
async def test_a_bad_event_server_is_named(tail: bytes, text: str) -> None:
    async with running_rude(events_server(tail, stay=b"broken" in tail)) as rude:
        assert await failure(McpServer(rude.url(), "sse"), timeout_s=30) == text


async def test_an_endpoint_on_another_server_gets_no_messages() -> None:
    async with running_mcp(FakeMcp()) as other:
        elsewhere = f"event: endpoint\ndata: {other.url('mcp')}\n\n".encode()
        async with running_rude(events_server(elsewhere, stay=True)) as rude:
            text = await failure(McpServer(rude.url(), "sse"), timeout_s=0.5)
    assert text == "no answer within 0.5 s"
    assert other.methods == []


async def test_an_endpoint_that_refuses_messages_is_named_at_once() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(status=403)
        return await events_server(b"event: endpoint\ndata: /m\n\n", stay=True)(request)

    async with running_rude(answer) as rude:
        text = await failure(McpServer(rude.url(), "sse"), timeout_s=30)
    assert text == "127.0.0.1 answers 403 Forbidden"


def huge(asked: Mapping[str, Any]) -> bytes:
    tool = {"name": "t", "description": "x" * 5_000_000, "inputSchema": SCHEMA}
    return json.dumps(rpc(asked, tools=[tool])).encode()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])
async def test_a_huge_answer_is_cut_short(packed: bool) -> None:
    async def say_much(asked: dict[str, Any]) -> web.StreamResponse:
        response = web.Response(body=huge(asked), content_type="application/json")
        if packed:
            response.enable_compression(web.ContentCoding.gzip)
        return response

    async with running_rude(polite(say_much)) as rude:
        text = await failure(McpServer(rude.url()))
    assert text == "the answer is larger than 4194304 bytes"


async def test_a_compressed_answer_is_read() -> None:
    async def pack(asked: dict[str, Any]) -> web.StreamResponse:
        tool = {"name": "t", "inputSchema": SCHEMA}
        response = web.json_response(rpc(asked, tools=[tool]))
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with running_rude(polite(pack)) as rude:
        (tool,) = await list_tools(HERE, McpServer(rude.url()))
    assert (tool.name, tool.description) == ("t", None)


@pytest.mark.parametrize("same", [True, False], ids=["one cursor", "new cursors"])
async def test_a_list_without_end_is_given_up(same: bool) -> None:
    pages = 0

    async def more(asked: dict[str, Any]) -> web.StreamResponse:
        nonlocal pages
        pages += 1
        tools = [{"name": f"t{n}", "inputSchema": {}} for n in range(1000)]
        return web.json_response(
            rpc(asked, tools=tools, nextCursor="again" if same else f"{pages}")
        )

    async with running_rude(polite(more)) as rude:
        text = await failure(McpServer(rude.url()), timeout_s=30)
    assert text == "the server's list of tools has no end"
    assert pages <= 7


async def test_a_farewell_that_is_not_answered_does_not_hold_us_up() -> None:
    parted = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "DELETE":
            parted.set()
            await asyncio.Event().wait()
        response = await polite(no_tools)(request)
        response.headers["Mcp-Session-Id"] = "1"
        return response

    async def no_tools(asked: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(rpc(asked, tools=[]))

    async with running_rude(answer) as rude:
        begun = time.monotonic()
        assert await list_tools(HERE, McpServer(rude.url()), timeout_s=0.7) == []
        assert time.monotonic() - begun < 2
    assert parted.is_set()


async def test_nothing_of_what_servers_say_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def chat(request: web.Request) -> web.StreamResponse:
        if request.method == "POST" and (await request.json())["method"] == "initialize":
            return web.json_response(introduction(await request.json()))
        return web.Response(
            body=b'event: message\ndata: {"jsonrpc":"2.0","method":"tattle","params":{}}\n\n',
            content_type="text/event-stream",
        )

    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    ear = Ear()
    logging.getLogger().addHandler(ear)
    try:
        async with running_rude(chat) as rude:
            await failure(McpServer(rude.url("/mcp?key=s3cret")))
    finally:
        logging.getLogger().removeHandler(ear)
    assert [line for line in heard if "tattle" in line or "s3cret" in line] == []


# --- the guard ---------------------------------------------------------------------------------


def names(**known: list[list[str]]) -> Any:
    """A resolver that gives one list of addresses per question, the last one for ever."""

    async def look(host: str, port: int) -> list[str]:
        answers = known[host.replace(".", "_")]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    return look


@pytest.mark.parametrize("transport", BOTH)
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "169.254.169.254"])
async def test_a_name_of_a_private_address_is_not_connected_to(
    transport: McpTransport, address: str
) -> None:
    policy = OutgoingPolicy(names=names(mcp_example_com=[[address]]))
    server = McpServer("https://mcp.example.com/mcp", transport)
    text = await failure(server, policy=policy)
    assert text == "mcp.example.com has no public address"


async def test_a_name_that_moves_to_a_private_address_is_not_connected_to() -> None:
    policy = OutgoingPolicy(names=names(mcp_example_com=[["93.184.215.14"], ["127.0.0.1"]]))
    assert await policy.addresses("mcp.example.com", 443) == ["93.184.215.14"]
    text = await failure(McpServer("https://mcp.example.com/mcp"), policy=policy)
    assert text == "mcp.example.com has no public address"


async def test_only_admitted_addresses_of_a_name_are_tried() -> None:
    async with running_mcp(FakeMcp()) as fake:
        policy = OutgoingPolicy(
            [ip_network("127.0.0.1/32")],
            names=names(mcp_example_com=[["10.255.255.1", "127.0.0.2", "127.0.0.1"]]),
        )
        url = f"http://mcp.example.com:{fake.port}/mcp"
        assert len(await list_tools(policy, McpServer(url))) == 1
    assert fake.seen[0]["host"] == f"mcp.example.com:{fake.port}"


async def test_without_tls_only_allowed_networks_are_reached() -> None:
    policy = OutgoingPolicy(
        [ip_network("10.0.0.0/8")], names=names(mcp_example_com=[["93.184.215.14"]])
    )
    text = await failure(McpServer("http://mcp.example.com/mcp"), policy=policy)
    assert text == "mcp.example.com has no address that the operator allows"


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with running_mcp(FakeMcp()) as fake:
        assert len(await list_tools(HERE, McpServer(fake.url("sse"), "sse"))) == 1


async def test_tls_names_the_host_and_checks_its_certificate(tmp_path: Path) -> None:
    shows, believes = tls_pair("mcp.example.com", tmp_path)
    asked_for: list[str | None] = []

    def note(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        asked_for.append(name)

    shows.sni_callback = note

    async def no_tools(asked: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(rpc(asked, tools=[]))

    here = [["127.0.0.1"]]
    policy = OutgoingPolicy(
        [ip_network("127.0.0.0/8")], names=names(mcp_example_com=here, other_example_com=here)
    )
    async with running_rude(polite(no_tools), shows) as rude:
        good = McpServer(f"https://mcp.example.com:{rude.port}/")
        assert await list_tools(policy, good, trust=believes) == []
        wrong = McpServer(f"https://other.example.com:{rude.port}/")
        text = await failure(wrong, policy=policy, trust=believes)
        unknown = await failure(good, policy=policy)
    assert asked_for[0] == "mcp.example.com"
    assert rude.requests[0].headers["Host"] == f"mcp.example.com:{rude.port}"
    assert text == "other.example.com has no valid certificate, or does not speak TLS as we do"
    assert unknown == "mcp.example.com has no valid certificate, or does not speak TLS as we do"
