"""What somebody hears who is asked to take over a caller, and how his answer is understood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from sovereign_ari.conversation import briefing
from sovereign_ari.conversation.briefing import Answers, Question, briefed, summarise
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.media.pcm import PCM_8K
from sovereign_ari.speech.base import Message, ReplyPart, Token, ToolSpec, Transcript
from tests.support.controller_world import ToldStt

ANN = Assistant(
    "a", "o", "Ann", "Hi.", {"tools": [{"type": "end_call"}], "model": "m"}, {}, {"language": "nl"}
)
TALK = [
    Message("system", "Be kind."),
    Message("user", "I am Bo, about my bill."),
    Message("tool", "4711", tool_call_id="x"),
    Message("assistant", "One moment."),
]


class Model:
    label = "a/model"

    def __init__(self, *parts: str, fails: bool = False, hangs: bool = False) -> None:
        self.asked: list[Message] = []
        self._parts, self._fails, self._hangs = parts, fails, hangs

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        self.asked = list(messages)
        for part in self._parts:
            yield Token(part)
        if self._fails:
            raise ProviderUnavailable("gone")
        if self._hangs:
            await asyncio.sleep(60)


async def test_a_summary_is_made_of_what_was_said() -> None:
    model = Model("Bo asks ", "about a **bill**.")
    assert await summarise(model, TALK) == "Bo asks about a bill."
    assert [message.role for message in model.asked] == ["user", "assistant", "system"]


async def test_without_a_summary_the_briefing_goes_on() -> None:
    assert await summarise(Model(fails=True), TALK) == ""
    assert await summarise(Model("x"), TALK[:1]) == ""
    asking = briefed(ANN, "")
    assert (asking.first_message or "").startswith("Hallo. Ik heb een beller voor u. Toets 1")


async def test_a_model_that_is_slow_is_not_waited_for() -> None:
    within_s, briefing.SUMMARISED_WITHIN_S = briefing.SUMMARISED_WITHIN_S, 0.05
    try:
        assert await summarise(Model("Bo", hangs=True), TALK) == ""
    finally:
        briefing.SUMMARISED_WITHIN_S = within_s


async def test_who_asks_has_one_thing_to_say_and_nothing_to_do() -> None:
    asking = briefed(ANN, "Bo belt over een rekening.")
    assert "Bo belt over een rekening. Toets 1" in (asking.first_message or "")
    assert asking.llm == {"model": "m"}
    parts = [part async for part in Question(asking).reply([], [])]
    assert isinstance(parts[0], Token)
    assert parts[0].text.startswith("Toets 1 of zeg ja")


async def test_an_answer_is_heard_while_the_question_is_asked() -> None:
    stt, decided = ToldStt(), list[bool]()
    answers = Answers(stt, "nl", decided.append)
    async with answers.open(PCM_8K) as stream:
        for words, final in (("ja", False), ("wie belt er", True), ("ja graag", True)):
            stt.streams[-1].put_nowait(Transcript(words, final=final))
        heard = aiter(stream)
        assert [(await anext(heard)).text for _ in range(3)] == ["ja", "wie belt er", "ja graag"]
    assert decided == [True]
