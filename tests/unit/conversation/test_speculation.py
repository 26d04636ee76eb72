"""Asking the model ahead of time, in virtual time: what is gained, and that nothing is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from sovereign_ari.conversation.terms import Providers
from sovereign_ari.domain.control import InjectContext
from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.speech.base import Message, Token, ToolCall, Usage
from tests.support.scripted_speech import ScriptedLlm, ScriptedStt
from tests.unit.conversation.test_dialogue import Scene, converse


class Spectator(Scene):
    """A scene that keeps what is noted of speculation."""

    speculate = True

    def __init__(self, *lines: str, llm: ScriptedLlm | None = None) -> None:
        self.facts: list[Mapping[str, object]] = []
        super().__init__(stt=ScriptedStt(*lines), llm=llm)

    def providers(self) -> Providers:
        return replace(super().providers(), speculate=self.speculate)

    def _note(self, kind: str, detail: Mapping[str, object]) -> None:
        super()._note(kind, detail)
        if kind == "speculation":
            self.facts.append(detail)


class Unspeculating(Spectator):
    speculate = False


async def ask(it: Scene) -> None:
    await it.quiet(1500)
    await it.speak(600)
    await it.quiet(3000)


async def ask_in_two_parts(it: Scene) -> None:
    await it.quiet(1500)
    await it.speak(600)
    await it.quiet(320)
    await it.speak(600)
    await it.quiet(3000)


def slow(**kwargs: Any) -> ScriptedLlm:
    return ScriptedLlm(lambda _: "Yes.", first_token_s=0.15, **kwargs)


def test_a_right_guess_shortens_the_wait_by_the_time_it_was_ahead() -> None:
    ahead, _ = converse(ask, lambda: Spectator("a table please", llm=slow()))
    behind, _ = converse(ask, lambda: Unspeculating("a table please", llm=slow()))
    assert isinstance(ahead, Spectator)
    first, second = ahead.turns[1], behind.turns[1]
    assert ahead.facts == [{"outcome": "used", "ahead_ms": pytest.approx(140, abs=25)}]
    assert len(ahead.llm.asked) == len(behind.llm.asked) == 1
    assert first.turn_ended_ms == second.turn_ended_ms
    assert first.first_packet_ms is not None
    assert second.first_packet_ms is not None
    assert second.first_packet_ms - first.first_packet_ms == pytest.approx(140, abs=25)
    assert first.llm_first_token_ms is not None
    assert first.turn_ended_ms is not None
    assert first.llm_first_token_ms >= first.turn_ended_ms
    assert behind.notes == []


def test_nothing_is_spoken_before_the_turn_is_over() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(380)
        assert len(it.llm.asked) == 1
        assert it.tts.said == ["Hello there."]
        await it.quiet(100)
        assert it.tts.said == ["Hello there.", "Yes."]

    converse(caller, lambda: Spectator("a table please"))


def test_a_wrong_guess_leaves_nothing_but_its_note() -> None:
    it, _ = converse(ask_in_two_parts, lambda: Spectator("a table please", "for two", llm=slow()))
    assert isinstance(it, Spectator)
    assert [t.user_text for t in it.turns.values()] == [None, "a table please for two"]
    assert it.tts.said == ["Hello there.", "Yes."]
    assert it.llm.asked[-1] == [
        Message("assistant", "Hello there."),
        Message("user", "a table please for two"),
    ]
    assert [fact["outcome"] for fact in it.facts] == ["discarded", "used"]
    assert it.facts[0]["reason"] == "caller_went_on"
    assert it.facts[0]["estimated"] is True
    assert it.notes == ["speculation", "speculation"]


def test_a_tool_is_not_run_before_the_turn_is_over() -> None:
    def respond(messages: Sequence[Message]) -> Any:
        if messages[-1].role == "tool":
            return "It failed."
        return [ToolCall("t", "fly", "{}")]

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(360)
        assert len(it.llm.asked) == 1
        assert it.turns.keys() == {0}
        await it.speak(600)
        await it.quiet(3000)

    it, _ = converse(caller, lambda: Spectator("fly", "away", llm=ScriptedLlm(respond)))
    assert [len(turn.tool_calls) for turn in it.turns.values()] == [0, 1]
    assert it.turns[1].heard_text == "It failed."
    assert it.turns[1].user_text == "fly away"


def test_what_a_discarded_request_cost_is_counted() -> None:
    llm = ScriptedLlm(lambda _: [Token("Yes."), Usage(100, 3)])
    it, _ = converse(ask_in_two_parts, lambda: Spectator("a table please", "for two", llm=llm))
    assert isinstance(it, Spectator)
    assert it.facts[0]["input_tokens"] == 100
    assert it.facts[0]["estimated"] is False
    assert it.turns[1].usage["llm_input_tokens"] == 200
    assert it.turns[1].usage["llm_output_tokens"] == 6


def test_a_guess_that_failed_is_asked_again() -> None:
    answers = iter([[ProviderUnavailable("gone")], [ProviderUnavailable("gone")], "Yes."])
    it, ending = converse(
        ask,
        lambda: Spectator("a table please", llm=ScriptedLlm(lambda _: next(answers))),  # type: ignore[arg-type,return-value]
    )
    assert isinstance(it, Spectator)
    assert ending is None
    assert it.turns[1].heard_text == "Yes."
    assert it.facts[0]["reason"] == "failed"


def test_context_that_comes_meanwhile_makes_another_request() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(340)
        assert it.dialogue.control(InjectContext("He is a member.", trigger_response=False))
        await it.quiet(3000)

    it, _ = converse(caller, lambda: Spectator("a table please"))
    assert isinstance(it, Spectator)
    assert it.facts[0]["reason"] == "other_words"
    assert Message("system", "He is a member.") in it.llm.asked[-1]
    assert it.tts.said == ["Hello there.", "Yes."]


def test_a_caller_who_hangs_up_takes_the_guess_along() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(340)

    it, _ = converse(caller, lambda: Spectator("a table please"))
    assert isinstance(it, Spectator)
    assert [fact["reason"] for fact in it.facts] == ["call_ended"]
    assert it.turns[1].agent_text == ""
