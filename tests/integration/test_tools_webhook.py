"""Webhook tools against a real server: what is sent, and what every answer becomes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import web

from sovereign_ari.control.transfers import NoTransfers
from sovereign_ari.conversation.terms import Destination, TransferOutcome
from sovereign_ari.conversation.tools import Patience, Prepared, ToolAnswer
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.webhook import Subject, Webhook
from sovereign_ari.outgoing.http import OutgoingHttp
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.speech.base import ToolCall
from sovereign_ari.tools import webhook as webhook_module
from sovereign_ari.tools.box import CallToolBox
from sovereign_ari.tools.source import CallToolSource, Outside
from tests.support.fake_ari import until
from tests.support.tool_server import ToolRequest, ToolServer, answering, running_tools

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SUBJECT = Subject(
    "call-inbound-1", "inbound", "in-progress", "n-1", "+31201234567", "Shop", "+31612345678"
)
ASSISTANT = Assistant("a", "o", "Ann", None, {}, {}, {}, shown={"metadata": {"crm_id": "12345"}})
PARAMETERS = {
    "type": "object",
    "properties": {"query": {"type": "string"}},
    "required": ["query"],
}
FLAT = {"name": "lookup", "description": "Looks it up", "parameters": PARAMETERS}
NESTED = {"type": "function", "function": FLAT}
ASK = ToolCall("tool_1", "lookup", '{"query": "John"}')


class NoServers:
    async def find(self, organisation_id: str, server_ids: Any) -> Mapping[str, Any]:
        return {}


class Telephony:
    """Transfers every call, or fails to."""

    def __init__(self, outcome: TransferOutcome) -> None:
        self.outcome = outcome
        self.asked: list[Destination] = []

    async def transfer(self, destination: Destination) -> TransferOutcome:
        self.asked.append(destination)
        return self.outcome


class Rig:
    """The tools of calls, on real sockets."""

    def __init__(self, server: ToolServer, allow: str = "127.0.0.0/8") -> None:
        self.server = server
        policy = OutgoingPolicy([ip_network(allow)])
        self.http = OutgoingHttp(policy)
        outside = Outside(self.http, policy, NoServers())
        self.source = CallToolSource(outside, lambda: NOON, Patience())
        self.notes: list[tuple[str, Mapping[str, Any]]] = []
        self.transfers: Any = NoTransfers()

    def box(self, *tools: Mapping[str, Any], **assistant: Any) -> CallToolBox:
        whom = replace(ASSISTANT, llm={"tools": list(tools)}, **assistant)
        return self.source.for_call(SUBJECT, whom, self.note, self.transfers)

    def note(self, kind: str, facts: Mapping[str, Any]) -> None:
        self.notes.append((kind, facts))


async def use(box: CallToolBox, call: ToolCall = ASK) -> ToolAnswer:
    prepared = box.prepare(call)
    return await prepared.run() if isinstance(prepared, Prepared) else prepared


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with running_tools() as server:
        rig = Rig(server)
        yield rig
        await rig.source.close()
        await rig.http.close()


def flat(server: ToolServer, **more: Any) -> dict[str, Any]:
    return {**FLAT, "url": server.url(), **more}


def nested(server: ToolServer, **more: Any) -> dict[str, Any]:
    return {**NESTED, "server": {"url": server.url()}, **more}


@pytest.mark.parametrize("shape", [flat, nested])
async def test_what_is_sent_is_what_the_contract_says(
    rig: Rig, shape: Callable[..., dict[str, Any]]
) -> None:
    box = rig.box(shape(rig.server), webhook_secret="s3cret")
    assert [(s.name, s.description, s.parameters) for s in box.specs] == [
        ("lookup", "Looks it up", PARAMETERS)
    ]
    assert await use(box) == ToolAnswer("done")
    (request,) = rig.server.requests
    assert request.message == {
        "type": "tool-calls",
        "timestamp": "2026-01-01T12:00:00.000Z",
        "call": {
            "id": "call-inbound-1",
            "type": "inbound_phone_call",
            "status": "in-progress",
            "pipeline": "standard",
        },
        "phone_number": {"id": "n-1", "number": "+31201234567", "name": "Shop"},
        "customer": {"number": "+31612345678"},
        "assistant": {"metadata": {"crm_id": "12345"}},
        "tool_call_list": [
            {
                "id": "tool_1",
                "type": "function",
                "function": {"name": "lookup", "arguments": {"query": "John"}},
            }
        ],
    }
    headers = request.headers
    assert headers["X-Webhook-Event"] == "tool-calls"
    assert headers["X-Webhook-Timestamp"] == str(int(NOON.timestamp()))
    assert headers["User-Agent"] == "HMS-Sovereign/1.0"
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Webhook-Id"]
    assert request.is_signed_with("s3cret")


async def test_the_nearest_url_and_secret_win(rig: Rig) -> None:
    to = rig.server.url
    account = Webhook(to("/account"), "theirs")
    own = {"url": to("/own"), "secret": "mine"}
    cases: list[tuple[dict[str, Any], str, str | None]] = [
        ({**NESTED, "url": to("/tool"), "server": own}, "/tool", "mine"),
        ({**NESTED, "server": own}, "/own", "mine"),
        ({**NESTED, "server": {"url": to("/own")}}, "/own", "theirs"),
        (FLAT, "/account", "theirs"),
    ]
    for tool, path, secret in cases:
        await use(rig.box(tool, webhook=account, webhook_secret="theirs"))
        request = rig.server.requests[-1]
        assert request.path == path
        assert secret is None or request.is_signed_with(secret)
    await use(rig.box(flat(rig.server)))
    assert "X-Webhook-Signature" not in rig.server.requests[-1].headers


@pytest.mark.parametrize("events", [None, frozenset({"status-update"})])
async def test_a_tool_that_can_be_sent_nowhere_is_left_out(
    rig: Rig, events: frozenset[str] | None
) -> None:
    webhook = None if events is None else Webhook(rig.server.url(), None, events)
    box = rig.box(FLAT, webhook=webhook)
    assert box.specs == []
    assert rig.notes[0][0] == "tool_left_out"
    assert (await use(box)).value == {"error": "there is no tool named lookup"}
    assert not rig.server.requests


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{}", "'query' is a required property"),
        ('{"query": 5}', "5 is not of type 'string'"),
        ("query=John", "not JSON"),
        ('["John"]', "not a JSON object"),
    ],
)
async def test_arguments_that_do_not_fit_never_leave(rig: Rig, arguments: str, said: str) -> None:
    answer = await use(rig.box(flat(rig.server)), replace(ASK, arguments=arguments))
    assert answer.failed
    assert said in answer.value["error"]
    assert not rig.server.requests


async def _redirect(_: ToolRequest) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "/elsewhere"})


async def _hang(_: ToolRequest) -> web.StreamResponse:
    await asyncio.sleep(60)
    raise AssertionError


async def _cut(_: ToolRequest) -> web.StreamResponse:
    return web.Response(body=b'{"a"', headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize(
    ("respond", "said"),
    [
        (answering({}, status=500), "HTTP 500"),
        (_redirect, "redirected, which is not followed"),
        (_hang, "did not answer within"),
        (answering(b"<html>oops</html>"), "did not answer in JSON"),
        (answering(b'"' + b"x" * 10_000_000 + b'"'), "cannot be used"),
        (_cut, "cannot be used"),
    ],
)
async def test_a_server_that_fails_is_an_error_for_the_model(
    rig: Rig, respond: Any, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_module, "TIMEOUT_S", 0.5 if respond is _hang else 10.0)
    rig.server.respond = respond
    answer = await use(rig.box(flat(rig.server)))
    assert answer.failed
    assert said in answer.value["error"]
    assert len(rig.server.requests) == 1  # nothing is tried twice, no redirect is followed


async def test_a_server_inside_is_not_reached(rig: Rig) -> None:
    closed = Rig(rig.server, allow="10.0.0.0/8")
    answer = await use(closed.box(flat(rig.server)))
    assert answer.failed
    assert not rig.server.requests
    await closed.http.close()


async def test_several_calls_are_several_requests_at_once(rig: Rig) -> None:
    rig.server.respond = answering({"result": 1}, after_s=0.3)
    box = rig.box(flat(rig.server))
    answers = await asyncio.gather(*(use(box, replace(ASK, id=f"t{n}")) for n in range(25)))
    assert all(answer.value == 1 for answer in answers)
    assert rig.server.most_open == 25
    assert {request.call["id"] for request in rig.server.requests} == {f"t{n}" for n in range(25)}


@pytest.mark.parametrize("spelling", ["message", "async_response"])
async def test_an_async_tool_is_started_and_its_answer_left(rig: Rig, spelling: str) -> None:
    rig.server.respond = answering({"error": "too late"}, after_s=0.2)
    box = rig.box(flat(rig.server, **{"async": True, spelling: "I will note that."}))
    prepared = box.prepare(ASK)
    assert isinstance(prepared, Prepared)
    assert prepared.line == "I will note that."
    async with asyncio.timeout(0.15):
        answer = await prepared.run()
    assert not answer.failed
    assert answer.value["status"] == "started"
    await until(lambda: rig.notes)
    kind, facts = rig.notes[0]
    assert (kind, facts["name"], facts["error"]) == ("async_tool_answered", "lookup", "too late")
    assert len(rig.server.requests) == 1


async def test_what_runs_in_the_background_is_finished_before_a_stop(rig: Rig) -> None:
    rig.server.respond = answering({}, after_s=0.3)
    await use(rig.box(flat(rig.server, **{"async": True})))
    await rig.source.close()
    assert rig.notes[0][0] == "async_tool_answered"


async def test_names_that_collide_are_offered_apart_and_sent_as_stored(rig: Rig) -> None:
    tools = [{"type": "end_call"}, flat(rig.server, name="end_call"), transfer(), transfer()]
    box = rig.box(*tools)
    assert [spec.name for spec in box.specs] == ["end_call_2", "transfer_call", "transfer_call_2"]
    await use(box, replace(ASK, name="end_call_2"))
    assert rig.server.requests[0].function["name"] == "end_call"


async def test_a_text_that_is_half_a_sign_is_sent_without_it(rig: Rig) -> None:
    await use(rig.box(flat(rig.server)), replace(ASK, arguments='{"query": "a\\ud800\\u0000b"}'))
    assert rig.server.requests[0].function["arguments"] == {"query": "ab"}


# Transfers.


def transfer() -> dict[str, Any]:
    return {
        "type": "transfer_call",
        "destinations": [
            {
                "type": "number",
                "number": "+31201234567",
                "description": "Sales",
                "message": "One moment.",
            },
            {
                "type": "sip",
                "number": "sip:desk@example.com",
                "description": "The desk",
                "mode": "warm",
                "hold": "assistant",
                "timeout_seconds": 20,
                "caller_id": "+31207654321",
            },
        ],
    }


def going_to(word: str) -> ToolCall:
    return ToolCall("t", "transfer_call", json.dumps({"destination": word}))


async def test_the_destinations_are_offered_with_their_descriptions(rig: Rig) -> None:
    (spec,) = rig.box(transfer()).specs
    offered = spec.parameters["properties"]["destination"]
    assert offered["enum"] == ["+31201234567", "sip:desk@example.com"]
    assert "+31201234567: Sales; sip:desk@example.com: The desk" in offered["description"]


async def test_a_line_that_cannot_transfer_says_so_to_the_model(rig: Rig) -> None:
    answer = await use(rig.box(transfer()), going_to("+31201234567"))
    assert answer == ToolAnswer(
        {"error": "the transfer failed: calls cannot be transferred on this line"}, failed=True
    )


async def test_an_unknown_destination_goes_nowhere(rig: Rig) -> None:
    rig.transfers = Telephony(TransferOutcome(True))
    answer = await use(rig.box(transfer()), going_to("+31209999999"))
    assert answer.failed
    assert "is not one of" in answer.value["error"]
    assert not rig.transfers.asked


async def test_a_transfer_is_handed_over_whole_and_is_the_last_word(rig: Rig) -> None:
    rig.transfers = Telephony(TransferOutcome(True))
    box = rig.box(transfer())
    assert (await use(box, going_to("sip:desk@example.com"))).final
    assert rig.transfers.asked == [
        Destination("sip", "sip:desk@example.com", "warm", 20.0, "+31207654321", "assistant")
    ]
    prepared = box.prepare(going_to("+31201234567"))
    assert isinstance(prepared, Prepared)
    assert (prepared.line, prepared.may_fill) == ("One moment.", False)
    rig.transfers.outcome = TransferOutcome(False, "nobody answered")
    assert (await prepared.run()).value == {"error": "the transfer failed: nobody answered"}
    rig.transfers.outcome = TransferOutcome(False, pending=True)
    pending = await prepared.run()
    assert (pending.failed, pending.final, pending.value["success"]) == (False, False, True)
    assert "Go on talking" in pending.value["status"]
