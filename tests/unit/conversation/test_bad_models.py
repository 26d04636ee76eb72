"""Whatever a model answers, the caller hears something soon; if nothing else, an apology."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from sovereign_ari.conversation import pieces
from sovereign_ari.conversation.own_words import ENGLISH, OWN_WORDS
from sovereign_ari.conversation.terms import Ending, Providers
from sovereign_ari.conversation.thinking import TOOL_ROUNDS
from sovereign_ari.conversation.tools import Patience, Prepared, ToolAnswer, failure
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.records import EndReason
from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.speech.base import Message, ReplyPart, Token, ToolCall, ToolSpec, Usage
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.language_model import ResilientLanguageModel
from sovereign_ari.speech.resilience.notes import ProviderNotes
from tests.support.scripted_speech import ScriptedLlm, ScriptedStt
from tests.unit.conversation.test_dialogue import ASSISTANT, Scene, converse

Step: TypeAlias = "float | str | ReplyPart | ProviderError"
Answer: TypeAlias = Callable[[Sequence[Message], Sequence[ToolSpec]], Sequence[Step]]

LOOK = ToolSpec("look", "Looks.", {"type": "object"})
WAIT = "One moment, please."
SOON_S = 3.0
"""From the end of the caller's turn to the first sound of an answer, whatever the model does."""


class Scripted:
    """Answers each request with the steps that `answer` makes of it: waits, tokens, faults."""

    def __init__(self, answer: Answer, label: str = "bad/model") -> None:
        self.label = label
        self.answer = answer
        self.asked = 0
        self.open_replies = 0

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        self.asked += 1
        self.open_replies += 1
        try:
            for step in self.answer(messages, tools):
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, ProviderError):
                    raise step
                else:
                    await asyncio.sleep(0)
                    yield Token(step) if isinstance(step, str) else step
        finally:
            self.open_replies -= 1


class Box:
    """One tool, which wants `place` and takes its time."""

    specs = (LOOK,)
    patience = Patience(2.5, 6.0)

    def __init__(self) -> None:
        self.ran = 0

    def prepare(self, call: ToolCall) -> Prepared | ToolAnswer:
        if "place" not in call.arguments:
            return failure("'place' is a required property")
        return Prepared(self._run)

    async def _run(self) -> ToolAnswer:
        self.ran += 1
        await asyncio.sleep(0.3)
        return ToolAnswer({"seen": "a door"})


class BadScene(Scene):
    """A caller who asks one thing of such a model."""

    def __init__(self, *models: Scripted, assistant: Assistant = ASSISTANT) -> None:
        self.box = Box()
        self.models = models
        self.facts: list[tuple[str, Mapping[str, object]]] = []
        stt, unused = ScriptedStt("what now", "and now"), ScriptedLlm(lambda _: "")
        super().__init__(stt=stt, llm=unused, assistant=assistant)

    def providers(self) -> Providers:
        candidates = [Candidate(model, model.label) for model in self.models]
        llm = ResilientLanguageModel(candidates, ProviderNotes(self._note_facts, "llm"))
        return replace(super().providers(), llm=llm, tools=self.box)

    def _note_facts(self, kind: str, facts: Mapping[str, object]) -> None:
        self.facts.append((kind, facts))
        self._note(kind, facts)

    @property
    def reply(self) -> Any:
        return self.turns[1]

    @property
    def silent_s(self) -> float:
        """How long the caller waited for the first sound of any answer, or of an apology."""
        begun_s = self.reply.turn_ended_ms / 1000
        heard = self.reply.first_packet_ms
        return float("inf") if heard is None else heard / 1000 - begun_s


def ask(*answers: Answer, listen_ms: int = 25_000) -> tuple[BadScene, Ending | None]:
    """Ask one question of a model, whose fall-backs are the others, and listen."""
    models = [Scripted(answer, f"bad/{number}") for number, answer in enumerate(answers)]

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(listen_ms)

    it, ending = converse(caller, lambda: BadScene(*models))
    assert isinstance(it, BadScene)
    assert [model.open_replies for model in models] == [0] * len(models)
    return it, ending


def always(*steps: Step) -> Answer:
    return lambda _messages, _tools: steps


def drips(text: str, every_s: float, times: int = 1000) -> Answer:
    return always(*[step for _ in range(times) for step in (every_s, text)])


NOTHINGS = {
    "nothing": always(),
    "nothing but a count": always(Usage(9, 0)),
    "white space": always(" ", "\n", "\t "),
    "signs": always("***", "...", "--"),
    "emoji": always("\U0001f600", "\U0001f44d"),
    "white space for ever": drips("\n", 0.2),
    "emoji for ever": drips("\U0001f600 ", 0.5),
    "white space, slowly": drips(" ", 4.5),
}


@pytest.mark.parametrize("answer", NOTHINGS.values(), ids=NOTHINGS)
def test_a_model_that_says_nothing_is_spoken_for_and_the_call_goes_on(answer: Answer) -> None:
    it, ending = ask(answer)
    assert it.reply.heard_text.removeprefix(f"{WAIT} ") == ENGLISH.no_words
    assert it.silent_s < SOON_S
    assert ending is None


def test_a_model_that_says_nothing_is_spoken_for_in_the_assistants_language() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(9000)

    dutch = replace(ASSISTANT, tts={"language": "nl-NL"})
    it, _ = converse(caller, lambda: BadScene(Scripted(always()), assistant=dutch))
    assert it.turns[1].heard_text == OWN_WORDS["nl"].no_words


def test_a_model_without_a_full_stop_is_not_waited_for() -> None:
    it, _ = ask(drips("word ", 0.5, times=30))
    assert it.silent_s < pieces.FIRST_PIECE_S + 1.5
    assert it.reply.heard_text == " ".join(["word"] * 30)


def test_a_model_that_writes_one_endless_word_is_heard() -> None:
    it, _ = ask(always("a" * 2000), listen_ms=10_000)
    assert it.silent_s < 1
    assert it.reply.agent_text == "a" * 2000


def test_ten_thousand_words_are_said_until_the_caller_interrupts() -> None:
    answer = always(*(f"Word number {n}. " for n in range(10_000)))
    model = Scripted(answer)

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(5000)
        model.answer = always("Of course.")
        await it.speak(1000)
        await it.quiet(4000)

    it, _ = converse(caller, lambda: BadScene(model))
    assert it.turns[1].interrupted
    assert it.turns[1].heard_text.startswith("Word number 0. Word number 1.")
    assert len(it.turns[1].agent_text) < 400, "it was read far beyond what was said"
    assert it.turns[2].heard_text == "Of course."


def test_ten_thousand_words_have_an_end_all_the_same() -> None:
    it, ending = ask(always("So it is. " * 10_000), listen_ms=round(pieces.MOST_CHARS * 60 * 1.2))
    assert len(it.reply.heard_text) <= pieces.MOST_CHARS
    assert it.reply.heard_text.endswith("So it is.")
    assert not it.reply.interrupted
    assert ending is None


def test_a_tool_that_there_is_not_is_told_and_spoken_about() -> None:
    def answer(messages: Sequence[Message], _tools: Sequence[ToolSpec]) -> Sequence[Step]:
        if messages[-1].role != "tool":
            return [ToolCall("1", "fly", "{}")]
        return ["I cannot fly." if "no tool named" in messages[-1].content else "?"]

    it, _ = ask(answer)
    assert it.reply.heard_text == "I cannot fly."


@pytest.mark.parametrize("arguments", ["", "{", "[]", "null", '{"where": 1}', "x" * 100_000])
def test_arguments_that_do_not_fit_are_told_and_spoken_about(arguments: str) -> None:
    def answer(messages: Sequence[Message], _tools: Sequence[ToolSpec]) -> Sequence[Step]:
        if messages[-1].role != "tool":
            return [ToolCall("1", "look", arguments)]
        return ["Where shall I look?" if "place" in messages[-1].content else "?"]

    it, _ = ask(answer)
    assert it.reply.heard_text == "Where shall I look?"
    assert it.box.ran == 0


def test_tools_without_end_are_ended_and_the_model_must_answer() -> None:
    def answer(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Sequence[Step]:
        return [ToolCall("1", "look", '{"place": "here"}')] if tools else ["There is a door."]

    it, ending = ask(answer)
    assert it.reply.heard_text == "There is a door."
    assert it.box.ran == TOOL_ROUNDS
    assert ending is None


@pytest.mark.parametrize("defiant", [False, True], ids=["nothing", "one more tool"])
def test_tools_without_end_and_no_answer_are_spoken_for_and_the_call_goes_on(
    defiant: bool,
) -> None:
    def answer(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Sequence[Step]:
        return [ToolCall("1", "look", '{"place": "here"}')] if tools or defiant else []

    it, ending = ask(answer)
    assert it.reply.heard_text == ENGLISH.no_words
    assert it.reply.error is None
    assert it.box.ran == TOOL_ROUNDS
    assert ending is None


FAULTS = {
    "500": always(ProviderUnavailable("it answered 500")),
    "a bad key": always(ProviderRefused("the key is wrong")),
    "throttled": always(ProviderUnavailable("it answered 429", retry_after_s=30)),
    "it hangs": always(3600.0),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_model_that_fails_is_replaced_and_the_caller_hardly_waits(fault: Answer) -> None:
    it, ending = ask(fault, always("Of course."))
    assert it.reply.heard_text.removeprefix(f"{WAIT} ") == "Of course."
    assert it.silent_s < 4
    assert it.reply.models["llm"] == "bad/1"
    assert it.facts[-1][0] == "provider_fallback"
    assert ending is None


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_without_a_fall_back_the_caller_is_told_in_time(fault: Answer) -> None:
    it, ending = ask(fault)
    assert it.tts.said[-1] == ENGLISH.apology
    assert ending is not None
    assert ending.reason is EndReason.PROVIDER_ERROR


@pytest.mark.parametrize(
    "rest", [ProviderUnavailable("it went away"), 3600.0], ids=["drop", "stall"]
)
def test_a_reply_that_breaks_off_is_one_reply_to_the_caller(rest: Step) -> None:
    it, _ = ask(always("We are open ", "from ten ", rest), always("to six. ", "Every day."))
    assert it.reply.heard_text == "We are open from ten to six. Every day."
    assert it.reply.agent_text == it.reply.heard_text
