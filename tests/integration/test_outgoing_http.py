"""Requests to servers that others configure, over real connections."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.http import OutgoingHttp
from sovereign_ari.outgoing.names import LookUp, look_up
from sovereign_ari.outgoing.policy import OutgoingPolicy
from tests.support.certificates import tls_pair
from tests.support.fake_mcp import running_bytes, running_rude

LOOPBACK = [ip_network("127.0.0.0/8")]


@asynccontextmanager
async def opened(
    allowed: Sequence[Any] = LOOPBACK,
    names: LookUp = look_up,
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[OutgoingHttp]:
    http = OutgoingHttp(OutgoingPolicy(allowed, names), trust)
    try:
        yield http
    finally:
        await http.close()


@pytest.fixture
async def http() -> AsyncIterator[OutgoingHttp]:
    async with opened() as http:
        yield http


async def failure(http: OutgoingHttp, url: str, **options: Any) -> str:
    with pytest.raises(OutgoingFailed) as raised:
        await http.send("POST", url, **options)
    text = str(raised.value)
    assert "s3cret" not in text
    assert "\n" not in text
    cause = raised.value.__cause__
    assert cause is None or "s3cret" not in str(cause)
    return text


async def echo(request: web.Request) -> web.StreamResponse:
    return web.Response(
        body=await request.read(), status=201, headers={"X-Method": request.method}
    )


async def test_a_request_is_sent_whole_and_its_answer_read(http: OutgoingHttp) -> None:
    async with running_rude(echo) as rude:
        answer = await http.send("PUT", rude.url("/a?b=c"), headers={"X-A": "1"}, body=b"hello")
    assert (answer.status, answer.body) == (201, b"hello")
    assert answer.headers["x-method"] == answer.headers["X-METHOD"] == "PUT"
    (request,) = rude.requests
    assert request.path_qs == "/a?b=c"
    assert request.headers["X-A"] == "1"
    assert request.headers["User-Agent"] == "HMS-Sovereign/1.0"
    assert request.headers["Host"] == f"127.0.0.1:{rude.port}"


async def test_a_user_agent_may_be_given_in_any_case(http: OutgoingHttp) -> None:
    async with running_rude(echo) as rude:
        await http.send("GET", rude.url(), headers={"user-agent": "other"})
    assert rude.requests[0].headers.getall("User-Agent") == ["other"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer(http: OutgoingHttp, status: int) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "/other"})

    async with running_rude(elsewhere) as rude:
        answer = await http.send("GET", rude.url())
    assert answer.status == status
    assert len(rude.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://localhost:{port}/",
        "http://127.1:{port}/",
        "http://0x7f000001:{port}/",
        "http://2130706433:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://0.0.0.0:{port}/",
        "http://[::]:{port}/",
        "http://127.0.0.1.:{port}/",
        "http://１２７.0.0.1:{port}/",
        "http://8.8.8.8@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}\\@8.8.8.8/",
        "http://a.example:{port}/",
    ],
)
async def test_no_spelling_reaches_a_private_server(url: str) -> None:
    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with running_rude(echo) as rude, opened([], here) as http:
        await failure(http, url.format(port=rude.port))
    assert rude.requests == []


async def test_a_name_that_moves_between_look_ups_is_not_followed() -> None:
    answers = [["127.0.0.1"], ["127.0.0.2"]]

    async def moving(host: str, port: int) -> list[str]:
        return answers.pop(0)

    async with running_rude(echo) as rude, opened([ip_network("127.0.0.1/32")], moving) as http:
        url = f"http://a.example:{rude.port}/"
        assert (await http.send("GET", url, headers={"Connection-Is": "one"})).status == 201
        await http.close()
        again = OutgoingHttp(http._policy)
        assert await failure(again, url) == "a.example has no public address"
        await again.close()
    assert len(rude.requests) == 1


async def test_only_admitted_addresses_of_a_name_are_connected_to() -> None:
    async def several(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1", "10.0.0.1"]

    async with running_rude(echo) as rude, opened([ip_network("127.0.0.1/32")], several) as http:
        assert (await http.send("GET", f"http://a.example:{rude.port}/")).status == 201
    assert rude.requests[0].headers["Host"] == f"a.example:{rude.port}"


async def test_connections_are_not_shared_between_policies() -> None:
    async with running_rude(echo) as rude, opened() as may, opened([]) as may_not:
        assert (await may.send("GET", rude.url())).status == 201
        assert "not a public address" in await failure(may_not, rude.url())
        assert (await may.send("GET", rude.url())).status == 201
    assert len(rude.requests) == 2


async def test_the_socket_itself_refuses_what_the_policy_does_not_admit() -> None:
    class Careless(OutgoingPolicy):
        async def addresses(
            self, host: str, port: int, *, allowed_only: bool = False
        ) -> list[str]:
            return ["127.0.0.1"]

    async with running_rude(echo) as rude:
        http = OutgoingHttp(Careless())
        text = await failure(http, f"http://a.example:{rude.port}/")
        await http.close()
    assert text == f"a.example port {rude.port} cannot be reached"
    assert rude.requests == []


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])
async def test_an_answer_is_bounded(http: OutgoingHttp, packed: bool) -> None:
    async def much(request: web.Request) -> web.StreamResponse:
        body = bytes(int(request.query["size"]))
        if packed:
            return web.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})
        return web.Response(body=body)

    async with running_rude(much) as rude:
        answer = await http.send("GET", rude.url("/?size=1000"), largest_bytes=1000)
        assert answer.body == bytes(1000)
        text = await failure(http, rude.url("/?size=1001&key=s3cret"), largest_bytes=1000)
    assert text == "the answer is larger than 1000 bytes"


async def test_a_compressed_bomb_is_refused(http: OutgoingHttp) -> None:
    bomb = gzip.compress(bytes(20_000_000))

    async def explode(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with running_rude(explode) as rude:
        assert await failure(http, rude.url()) == "the answer is larger than 1048576 bytes"


@pytest.mark.parametrize("hang", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"])
async def test_a_slow_answer_is_given_up(http: OutgoingHttp, hang: bytes) -> None:
    async with running_bytes(hang, hang=True) as port:
        begun_s = time.monotonic()
        text = await failure(http, f"http://127.0.0.1:{port}/?key=s3cret", timeout_s=0.3)
    assert text == "127.0.0.1 did not answer within 0.3 s"
    assert time.monotonic() - begun_s < 2


async def test_an_answer_that_drips_is_given_up(http: OutgoingHttp) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.02)

    async with running_rude(drip) as rude:
        text = await failure(http, rude.url(), timeout_s=0.3)
    assert text == "127.0.0.1 did not answer within 0.3 s"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "broke off the connection"),
        (b"220 mail.example ESMTP\r\n\r\n", "does not answer in HTTP"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "broke off in the middle"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx", "compressed"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", "broken"),
    ],
)
async def test_a_broken_answer_is_a_sentence(http: OutgoingHttp, answer: bytes, text: str) -> None:
    async with running_bytes(answer) as port:
        assert text in await failure(http, f"http://127.0.0.1:{port}/s3cret?key=s3cret")


async def test_a_reset_connection_is_a_sentence(http: OutgoingHttp) -> None:
    async def reset(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with running_rude(reset) as rude:
        text = await failure(http, rude.url("/?key=s3cret"))
    assert text == f"127.0.0.1 port {rude.port} broke off the connection"


async def test_a_closed_port_is_a_sentence(http: OutgoingHttp) -> None:
    async with running_bytes(b"") as port:
        pass
    text = await failure(http, f"http://127.0.0.1:{port}/?key=s3cret")
    assert text == f"127.0.0.1 port {port} cannot be reached"


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "s3cret\r\nHost: evil"},
        {"X": "s3cret\n"},
        {"X": "s3cret\x00"},
        {"X": "s3cret☃"},
        {"X\r\nY": "s3cret"},
        {"X Y": "s3cret"},
        {"X:": "s3cret"},
        {"": "s3cret"},
        {"Host": "s3cret"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "X-Signature"},
    ],
)
async def test_headers_that_would_change_the_message_are_not_sent(
    http: OutgoingHttp, headers: dict[str, str]
) -> None:
    async with running_rude(echo) as rude:
        assert "cannot be sent" in await failure(http, rude.url(), headers=headers, body=b"x")
    assert rude.requests == []


@pytest.mark.parametrize("method", ["GET\r\nX: y", "G T", ""])
async def test_a_method_that_is_none_is_not_sent(http: OutgoingHttp, method: str) -> None:
    async with running_rude(echo) as rude:
        with pytest.raises(OutgoingFailed):
            await http.send(method, rude.url("/?key=s3cret"))
    assert rude.requests == []


async def test_cookies_and_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def bake(request: web.Request) -> web.StreamResponse:
        response = web.Response()
        response.set_cookie("a", "b")
        return response

    async with running_rude(bake) as rude, opened() as http:
        await http.send("GET", rude.url())
        await http.send("GET", rude.url())
    assert "Cookie" not in rude.requests[1].headers


async def test_tls_names_the_host_and_checks_its_certificate(tmp_path: Path) -> None:
    shows, believes = tls_pair("hooks.example.com", tmp_path)

    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with running_rude(echo, shows) as rude, opened(LOOPBACK, here, believes) as http:
        good = f"https://hooks.example.com:{rude.port}/"
        assert (await http.send("GET", good)).status == 201
        text = await failure(http, f"https://other.example.com:{rude.port}/?key=s3cret")
        assert text == f"the certificate of other.example.com port {rude.port} is not valid"
        async with opened(LOOPBACK, here) as strict:
            assert "is not valid" in await failure(strict, good)
    async with running_rude(echo) as plain, opened(LOOPBACK, here) as http:
        text = await failure(http, f"https://hooks.example.com:{plain.port}/")
    assert text == f"hooks.example.com port {plain.port} does not speak TLS as we do"


async def test_cancelling_leaves_nothing_behind(http: OutgoingHttp) -> None:
    arrived = asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await asyncio.Event().wait()
        return web.Response()

    async with running_rude(never) as rude:
        task = asyncio.create_task(http.send("GET", rude.url()))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_urls_are_not_logged(http: OutgoingHttp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with running_rude(echo) as rude:
        await http.send("GET", rude.url("/?key=s3cret"), headers={"X-Key": "s3cret"})
    assert "s3cret" not in caplog.text
