"""A whole controller that asks who takes a call, while callers hang up and operators stop it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.assistant_request import Resolution, turning_away
from sovereign_ari.domain.records import (
    CallAnswered,
    CallConfigured,
    CallNote,
    CallOpened,
    CallStatus,
    EndReason,
    TurnRecord,
)
from sovereign_ari.domain.webhook import Subject, Webhook
from sovereign_ari.errors import DatabaseUnavailable
from tests.support.controller_world import ASSISTANT, World, world
from tests.support.fake_ari import until

ASKED = Webhook("https://integrator.example")


class Requests:
    """An integrator, and the directory whose numbers it is asked about."""

    def __init__(self) -> None:
        self.saved: Any = ASSISTANT
        self.answer: Route | Exception | None = None
        self.gate: asyncio.Event | None = None
        self.subjects: list[Subject] = []
        self.given_up = 0

    async def find_route(self, dialled: str, trunk: str = "") -> Route:
        refusal = None if self.saved else f"the number {dialled} has no assistant"
        return Route("o", None, self.saved, refusal, asks=ASKED)

    async def ask(self, route: Route, subject: Subject) -> Resolution:
        self.subjects.append(subject)
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.given_up += 1
                raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return Resolution(self.answer or route, {"outcome": "of the test"})


@pytest.fixture
async def it() -> AsyncIterator[World]:
    async with world() as it:
        yield it


@pytest.fixture
def requests(it: World) -> Requests:
    requests = Requests()
    services = it.controller._services
    it.controller._services = replace(services, requests=requests, directory=requests)
    return requests


def rings(it: World) -> int:
    return sum(request.endswith("/ring") for request in it.pbx.requests)


def notes(it: World) -> list[Any]:
    return [note.detail["outcome"] for note in it.of(CallNote) if note.kind == "assistant_request"]


async def test_the_caller_hears_ringing_once_and_then_whoever_was_chosen(
    it: World, requests: Requests
) -> None:
    requests.gate = asyncio.Event()
    chosen = replace(ASSISTANT, id="", name="", first_message="Chosen.", shown={"a": 1})
    requests.answer = Route("o", None, chosen)
    await it.pbx.call("c")
    await until(lambda: requests.subjects)
    assert requests.subjects[0].status == "ringing"
    assert rings(it) == 1
    assert len(it.of(CallOpened)) == 1  # before the answer is known
    assert not it.pbx.bridges
    requests.gate.set()
    await it.talking()
    await until(lambda: any(t.heard_text == "Chosen." for t in it.of(TurnRecord)))
    assert rings(it) == 1
    (configured,) = it.of(CallConfigured)
    assert (configured.assistant_id, configured.assistant_name) == (None, None)
    assert configured.shown == {"a": 1}
    assert notes(it) == ["of the test"]
    await it.pbx.hang_up("c")
    await it.all_ended()


async def test_an_answer_that_changes_nothing_writes_nothing_but_a_note(
    it: World, requests: Requests
) -> None:
    await it.pbx.call("c")
    await it.greeted()
    assert it.of(CallConfigured) == []
    assert notes(it) == ["of the test"]
    await it.pbx.hang_up("c")
    await it.all_ended()


@pytest.mark.parametrize("assistant", [ASSISTANT, None])
async def test_a_hang_up_while_we_ask_is_a_hang_up_and_the_request_is_given_up(
    it: World, requests: Requests, assistant: Any
) -> None:
    requests.gate, requests.saved = asyncio.Event(), assistant
    await it.pbx.call("c")
    await until(lambda: requests.subjects)
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)
    assert requests.given_up == 1
    assert notes(it) == ["given_up"]
    assert it.of(CallAnswered) == []


async def test_a_controller_that_drains_waits_for_who_is_asked(
    it: World, requests: Requests
) -> None:
    requests.gate = asyncio.Event()
    await it.pbx.call("c")
    await until(lambda: requests.subjects)
    draining = asyncio.create_task(it.controller.drain(10))
    await until(lambda: it.controller.draining)
    requests.gate.set()
    await it.greeted()
    assert not draining.done()
    await it.pbx.hang_up("c")
    await draining
    await it.all_ended()


async def test_a_controller_that_stops_while_we_ask_ends_the_call(
    it: World, requests: Requests
) -> None:
    requests.gate = asyncio.Event()
    await it.pbx.call("c")
    await until(lambda: requests.subjects)
    await it.controller.drain(0.1)
    await it.all_ended()
    assert it.end == (CallStatus.FAILED, EndReason.ERROR)
    assert requests.given_up == 1


async def test_a_number_for_which_nobody_is_named_is_rejected(
    it: World, requests: Requests
) -> None:
    requests.saved = None
    await it.pbx.call("c")
    await it.all_ended()
    assert it.end == (CallStatus.REJECTED, EndReason.NO_ASSISTANT)
    assert it.of(CallAnswered) == []


async def test_a_caller_who_is_turned_away_hears_why_to_its_end_and_nothing_hears_him(
    it: World, requests: Requests
) -> None:
    words = "We are closed today."
    requests.answer = Route("o", None, turning_away(ASSISTANT), rejection=words)
    await it.pbx.call("c")
    await it.all_ended()
    assert it.end == (CallStatus.REJECTED, EndReason.REJECTED)
    assert it.of(TurnRecord)[-1].heard_text == words
    assert [answered.conversation for answered in it.of(CallAnswered)] == [False]
    assert it.tts.said == [words]
    assert it.llm.asked == []
    assert it.of(TurnRecord)[-1].models["stt"] == "none"


async def test_a_caller_who_hangs_up_in_the_rejection_was_rejected(
    it: World, requests: Requests
) -> None:
    long = "We are closed today, and tomorrow, and on all days that follow until the spring."
    requests.answer = Route("o", None, turning_away(ASSISTANT), rejection=long)
    await it.pbx.call("c")
    await until(lambda: it.of(CallAnswered))
    await until(lambda: it.tts.said)
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert it.end == (CallStatus.REJECTED, EndReason.REJECTED)


async def test_a_rejection_that_cannot_be_said_is_not_answered(
    it: World, requests: Requests
) -> None:
    requests.answer = Route("o", None, turning_away(ASSISTANT), rejection="")
    await it.pbx.call("c")
    await it.all_ended()
    assert it.end == (CallStatus.REJECTED, EndReason.REJECTED)
    assert it.of(CallAnswered) == []


async def test_a_database_that_goes_away_meanwhile_fails_the_call_as_without_asking(
    it: World, requests: Requests
) -> None:
    requests.saved, requests.answer = None, DatabaseUnavailable("away")
    await it.pbx.call("c")
    await it.all_ended()
    assert it.end == (CallStatus.FAILED, EndReason.ERROR)


async def test_a_bug_in_asking_leaves_the_call_to_the_saved_assistant(
    it: World, requests: Requests
) -> None:
    requests.answer = KeyError("a bug")
    await it.pbx.call("c")
    await it.greeted()
    assert notes(it) == ["fault"]
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)
