"""The resilient language model in virtual time, with models that do what a script says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.speech.base import Message, ReplyPart, Token, ToolCall, ToolSpec, Usage
from sovereign_ari.speech.resilience import hedging
from sovereign_ari.speech.resilience.breaker import CircuitBreaker, State
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.hedging import Paces
from sovereign_ari.speech.resilience.language_model import ResilientLanguageModel
from sovereign_ari.speech.resilience.notes import ProviderNotes
from sovereign_ari.speech.resilience.seam import GO_ON
from sovereign_ari.speech.resilience.search import ON_THE_PHONE
from tests.support.virtual_time import run_in_virtual_time

Step: TypeAlias = "float | str | ReplyPart | ProviderError"
"""A wait, a token, another part, or a fault."""

HELLO = [Message("user", "hello")]
HANG = 3600.0
LOST = Usage(1, 0, estimated=1)
"""A request like that to a vendor that counts nothing."""

DOWN = ProviderUnavailable("it answered 500")
BAD_KEY = ProviderRefused("the key is wrong")


class Model:
    """Serves each request by the next script; the last one serves all that follow."""

    def __init__(self, label: str, *scripts: Sequence[Step]) -> None:
        self.label = label
        self.scripts = list(scripts)
        self.asked: list[tuple[float, list[Message]]] = []
        self.ended_s: list[float] = []
        self.open = 0

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        now_s = asyncio.get_running_loop().time
        script = self.scripts[min(len(self.asked), len(self.scripts) - 1)]
        self.asked.append((round(now_s(), 3), list(messages)))
        self.open += 1
        try:
            for step in script:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, ProviderError):
                    raise step
                else:
                    yield Token(step) if isinstance(step, str) else step
        finally:
            self.open -= 1
            self.ended_s.append(round(now_s(), 3))

    @property
    def asked_s(self) -> list[float]:
        return [at_s for at_s, _ in self.asked]


class Stage:
    """A resilient model, what it noted, and what came of it."""

    def __init__(self, *models: Model, paces: Paces | None = None) -> None:
        self.models = models
        self.notes: list[tuple[str, dict[str, Any]]] = []
        self.candidates = [Candidate(m, m.label, CircuitBreaker()) for m in models]
        self.it = ResilientLanguageModel(self.candidates, ProviderNotes(self._note, "llm"), paces)
        self.parts: list[tuple[float, ReplyPart]] = []

    def _note(self, what: str, facts: Any) -> None:
        self.notes.append((what, dict(facts)))

    @property
    def noted(self) -> list[tuple[str, str, str | None]]:
        return [(what, facts["from"], facts["to"]) for what, facts in self.notes]

    @property
    def text(self) -> str:
        return "".join(part.text for _, part in self.parts if isinstance(part, Token))

    @property
    def first_s(self) -> float:
        return self.parts[0][0]

    def state(self, number: int = 0) -> State:
        return self.candidates[number].breaker.state(asyncio.get_running_loop().time())

    async def ask(self, messages: Sequence[Message] = HELLO) -> None:
        now_s = asyncio.get_running_loop().time
        async for part in self.it.reply(messages, ()):
            self.parts.append((round(now_s(), 3), part))


def play(stage: Stage, act: Callable[[Stage], Awaitable[None]] | None = None) -> Stage:
    """Ask once, or do what `act` does; no request may be left open."""

    async def scene() -> None:
        await (act(stage) if act else stage.ask())
        assert [model.open for model in stage.models] == [0] * len(stage.models)
        assert len(asyncio.all_tasks()) == 1

    run_in_virtual_time(scene())
    return stage


def fails(stage: Stage, fault: type[ProviderError] = ProviderUnavailable) -> ProviderError:
    caught: list[ProviderError] = []

    async def act(it: Stage) -> None:
        with pytest.raises(fault) as raised:
            await it.ask()
        caught.append(raised.value)

    play(stage, act)
    return caught[0]


def test_what_works_is_passed_through_and_noted_nowhere() -> None:
    call = ToolCall("1", "look", "{}")
    it = play(Stage(Model("a", ["Yes", 0.1, ", sir.", call, Usage(5, 3)])))
    assert [part for _, part in it.parts] == [Token("Yes"), Token(", sir."), call, Usage(5, 3)]
    assert (it.notes, it.it.label) == ([], "a")


def test_a_fault_that_may_pass_is_tried_once_more() -> None:
    it = play(Stage(Model("a", [0.2, DOWN], ["Yes."])))
    assert it.text == "Yes."
    assert it.notes == [
        (
            "provider_retry",
            {
                "kind": "llm",
                "from": "a",
                "to": "a",
                "code": "provider_unavailable",
                "message": "it answered 500",
                "took_ms": 200,
            },
        )
    ]


def test_a_second_fault_goes_to_the_fall_back() -> None:
    it = play(Stage(Model("a", [DOWN]), Model("b", ["Yes."])))
    assert it.text == "Yes."
    assert it.noted == [("provider_retry", "a", "a"), ("provider_fallback", "a", "b")]
    assert it.it.label == "b"


def test_a_bad_key_is_not_shown_again_and_the_fall_back_is_asked_at_once() -> None:
    bad = Model("a", [BAD_KEY])
    it = play(Stage(bad, Model("b", ["Yes."])))
    assert (len(bad.asked), it.text, it.first_s) == (1, "Yes.", 0.0)
    assert it.notes[0][1]["code"] == "provider_refused"


def test_without_a_fall_back_a_bad_key_is_told_as_it_is() -> None:
    bad = Model("a", [BAD_KEY])
    assert fails(Stage(bad), ProviderRefused) is BAD_KEY
    assert len(bad.asked) == 1


def test_a_short_retry_after_is_honoured() -> None:
    model = Model("a", [ProviderUnavailable("429", retry_after_s=0.8)], ["Yes."])
    it = play(Stage(model, Model("b", ["No."])))
    assert (model.asked_s, it.text) == ([0.0, 0.8], "Yes.")


def test_a_long_retry_after_goes_to_the_fall_back_at_once_and_opens_the_circuit() -> None:
    busy = Model("a", [ProviderUnavailable("429", retry_after_s=20)])
    stage = Stage(busy, Model("b", ["Yes. "]))

    async def act(it: Stage) -> None:
        await it.ask()
        await it.ask()
        assert it.state() is State.OPEN
        assert it.first_s == 0.0
        await asyncio.sleep(21)
        await it.ask()

    assert play(stage, act).text == "Yes. " * 3
    assert busy.asked_s == [0.0, 21.0]
    assert stage.noted[1] == ("circuit_open", "a", "b")


def test_when_all_fail_the_fault_of_the_primary_is_told() -> None:
    fault = ProviderUnavailable("of the primary")
    stage = Stage(Model("a", [fault]), Model("b", [DOWN]), Model("c", [BAD_KEY]))
    assert fails(stage) is fault
    assert stage.noted[-1] == ("provider_fallback", "b", "c")


def test_the_primarys_fault_is_told_also_when_its_circuit_put_it_last() -> None:
    fault = ProviderUnavailable("of the primary")
    stage = Stage(Model("a", [fault]), Model("b", [BAD_KEY]))
    for _ in range(3):
        stage.candidates[0].breaker.failed(0.0)
    assert fails(stage) is fault
    assert stage.noted[:2] == [("circuit_open", "a", "b"), ("provider_fallback", "b", "a")]


def test_a_model_that_hangs_is_replaced_before_the_caller_wonders() -> None:
    stuck = Model("a", [HANG])
    it = play(Stage(stuck, Model("b", [0.3, "Yes."])))
    assert it.first_s == ON_THE_PHONE.replaced_s + 0.3
    assert stuck.ended_s == [ON_THE_PHONE.replaced_s]


def test_a_model_that_hangs_alone_is_given_up_and_not_asked_again() -> None:
    stuck = Model("a", [HANG])
    assert str(fails(Stage(stuck))) == "a wrote nothing for 9.5 s"
    assert (len(stuck.asked), stuck.ended_s) == (1, [9.5])


def test_a_model_that_is_slow_alone_is_waited_for() -> None:
    it = play(Stage(Model("a", [9.0, "Yes."])))
    assert (it.text, it.first_s, it.notes) == ("Yes.", 9.0, [])


def test_however_many_hang_the_silence_has_an_end() -> None:
    stage = Stage(*(Model(name, [HANG]) for name in "abcd"))
    fails(stage)
    assert max(at_s for model in stage.models for at_s in model.ended_s) <= ON_THE_PHONE.all_s
    assert not stage.models[3].asked


def test_after_faults_enough_the_primary_is_passed_over_until_it_has_rested() -> None:
    down = Model("a", [DOWN])
    stage = Stage(down, Model("b", ["Yes. "]))

    async def act(it: Stage) -> None:
        for _ in range(5):
            await it.ask()
        assert len(down.asked) == 3  # twice for the first reply, once and open for the second
        down.scripts = [["Back. "]]
        await asyncio.sleep(11)
        await it.ask()
        await it.ask()
        assert it.state() is State.CLOSED

    assert play(stage, act).text == "Yes. " * 5 + "Back. Back. "


# Breaking off in the middle.


def test_a_reply_that_breaks_off_is_gone_on_with_by_the_fall_back() -> None:
    other = Model("b", ["ten", " to six."])
    it = play(Stage(Model("a", ["We are", " open from", ProviderRefused("gone mad")]), other))
    assert it.text == "We are open from ten to six."
    (_, asked) = other.asked[0]
    assert asked == [
        *HELLO,
        Message("assistant", "We are open from"),
        Message("user", GO_ON),
    ]


def test_a_reply_that_breaks_off_alone_is_gone_on_with_by_the_same_model() -> None:
    model = Model("a", ["One, two", DOWN], [", three.", Usage(30, 4)])
    it = play(Stage(model))
    assert it.text == "One, two, three."
    assert it.noted == [("provider_retry", "a", "a")]
    assert it.parts[-1][1] == Usage(60, 4, estimated=30)  # the prompt was sent twice


def test_a_reply_that_stalls_is_gone_on_with_by_the_fall_back() -> None:
    it = play(Stage(Model("a", ["One, two,", HANG]), Model("b", [" three."])))
    assert it.text == "One, two, three."
    assert it.parts[-1][0] == ON_THE_PHONE.next_s


def test_a_reply_that_breaks_off_for_good_ends_with_the_fault() -> None:
    stage = Stage(Model("a", ["One, ", DOWN]), Model("b", [DOWN]))
    fails(stage)
    assert stage.text == "One, "


def test_white_space_is_nothing_said() -> None:
    model = Model("a", ["\n", DOWN], ["Yes."])
    assert play(Stage(model)).text.strip() == "Yes."
    assert model.asked[1][1] == HELLO


def test_a_fault_behind_a_tool_call_is_the_end_of_the_reply() -> None:
    call = ToolCall("1", "look", "{}")
    model = Model("a", ["A moment.", call, DOWN])
    it = play(Stage(model))
    assert [part for _, part in it.parts] == [Token("A moment."), call]
    assert len(model.asked) == 1
    ((what, facts),) = it.notes
    assert (what, facts["from"], facts["to"]) == ("provider_retry", "a", "a")
    assert (facts["code"], facts["message"]) == (DOWN.code, str(DOWN))


def test_faults_behind_tool_calls_open_the_circuit_like_any_other() -> None:
    stage = Stage(Model("a", [ToolCall("1", "look", "{}"), DOWN]), Model("b", ["Yes."]))

    async def act(it: Stage) -> None:
        for _ in range(3):
            await it.ask()
        assert it.state() is State.OPEN
        await it.ask()

    assert play(stage, act).text == "Yes."


# A second request beside the first.


def test_a_slow_model_is_asked_a_second_time_and_the_quicker_answer_is_taken() -> None:
    model = Model("a", [HANG], [0.2, "Yes.", Usage(10, 2)])
    it = play(Stage(model, paces=Paces()))
    assert (it.text, it.first_s) == ("Yes.", hedging.USUAL_S + 0.2)
    assert model.asked_s == [0.0, hedging.USUAL_S]
    assert model.ended_s[0] == hedging.USUAL_S + 0.2, "the slow one was not hung up on at once"
    assert it.noted == [("provider_hedge", "a", "a")]
    assert it.parts[-1][1] == Usage(20, 2, estimated=10), "two prompts were sent"


def test_the_first_request_may_win_as_well_and_only_its_tools_are_run() -> None:
    mine, its = ToolCall("1", "mine", "{}"), ToolCall("2", "other", "{}")
    other = Model("b", [1.0, its])
    it = play(Stage(Model("a", [2.0, mine]), other, paces=Paces()))
    assert [part for _, part in it.parts] == [mine, LOST]
    assert other.ended_s == [2.0]
    assert it.it.label == "a"


def test_the_second_request_goes_to_the_fall_back_when_there_is_one() -> None:
    it = play(Stage(Model("a", [HANG]), Model("b", [0.1, "Yes."]), paces=Paces()))
    assert (it.text, it.first_s, it.it.label) == ("Yes.", hedging.USUAL_S + 0.1, "b")


def test_a_second_request_that_fails_leaves_the_first_to_answer() -> None:
    it = play(Stage(Model("a", [2.5, "Yes."]), Model("b", [BAD_KEY]), paces=Paces()))
    assert it.text == "Yes."
    assert it.noted == [("provider_hedge", "a", "b"), ("provider_fallback", "b", "a")]


def test_a_first_request_that_fails_leaves_the_second_to_answer() -> None:
    it = play(Stage(Model("a", [2.0, DOWN]), Model("b", [1.0, "Yes."]), paces=Paces()))
    assert (it.text, it.first_s) == ("Yes.", 2.5)
    assert it.noted == [("provider_hedge", "a", "b"), ("provider_fallback", "a", "b")]


def test_a_second_request_that_says_nothing_does_not_silence_the_first() -> None:
    it = play(Stage(Model("a", [2.0, "Yes."]), Model("b", [Usage(3, 0)]), paces=Paces()))
    assert it.text == "Yes."
    assert it.parts[-1][1] == Usage(3, 0), "as its vendor told"


def test_what_a_lost_request_cost_is_counted_with_what_the_answer_cost() -> None:
    both = Stage(Model("a", [2.0, "Yes.", Usage(9, 2)]), Model("b", [Usage(3, 1)]), paces=Paces())
    assert play(both).parts[-1][1] == Usage(12, 3)
    late = Stage(Model("a", [HANG]), Model("b", [0.1, "Yes.", Usage(9, 2)]), paces=Paces())
    assert play(late).parts[-1][1] == Usage(18, 2, estimated=9)


def test_what_a_lost_request_cost_is_estimated_where_nobody_counts() -> None:
    it = play(Stage(Model("a", [HANG]), Model("b", [0.1, "Yes."]), paces=Paces()))
    assert [part for _, part in it.parts if isinstance(part, Usage)] == [LOST]


def test_nothing_is_counted_where_nothing_was_lost_and_nobody_counts() -> None:
    it = play(Stage(Model("a", ["Yes."]), Model("b", ["No."]), paces=Paces()))
    assert [part for _, part in it.parts] == [Token("Yes.")]
    refused = play(Stage(Model("a", [BAD_KEY]), Model("b", ["No."])))
    assert [part for _, part in refused.parts] == [Token("No.")]


def test_an_answer_with_nothing_in_it_is_an_answer() -> None:
    it = play(Stage(Model("a", [Usage(3, 0)])))
    assert [part for _, part in it.parts] == [Usage(3, 0)]


def test_the_loser_of_a_race_is_asked_again_when_the_winner_breaks_off() -> None:
    slow, other = Model("a", [HANG], [" two."]), Model("b", ["One,", BAD_KEY])
    it = play(Stage(slow, other, paces=Paces()))
    assert it.text == "One, two."
    assert len(slow.asked) == 2


def test_two_requests_to_one_model_take_no_longer_to_fail_than_one() -> None:
    model = Model("a", [HANG])
    fails(Stage(model, paces=Paces()))
    assert model.ended_s == [ON_THE_PHONE.first_s] * 2


def test_when_all_is_slow_only_a_share_of_requests_is_doubled() -> None:
    model = Model("a", [2.2, "Yes. "])
    stage = Stage(model, paces=Paces())

    async def act(it: Stage) -> None:
        for _ in range(15):  # fewer than it takes to learn that it is always slow
            await it.ask()

    play(stage, act)
    doubled = len(model.asked) - 15
    assert doubled == len(stage.notes)
    assert doubled <= hedging.RESERVE + 15 * hedging.SHARE


def test_a_model_that_is_always_slow_is_waited_for() -> None:
    model = Model("a", [2.2, "Yes. "])
    paces = Paces()
    for _ in range(hedging.LEAST_SAMPLES):
        paces.of("a").took(2.3)
    stage = play(Stage(model, paces=paces))
    assert (stage.notes, len(model.asked)) == ([], 1)


def test_a_model_that_is_always_quick_is_doubled_sooner() -> None:
    paces = Paces()
    for _ in range(hedging.LEAST_SAMPLES):
        paces.of("a").took(0.1)
    model = Model("a", [HANG], ["Yes."])
    assert play(Stage(model, paces=paces)).first_s == hedging.SHORTEST_S


# Anything at all.

STEPS = st.sampled_from(
    [0.1, 1.0, 2.0, 4.0, HANG, "word ", "\n", DOWN, BAD_KEY, Usage(1, 1), ToolCall("1", "x", "{}")]
    + [ProviderUnavailable("429", retry_after_s=wait_s) for wait_s in (0.9, 30.0)]
)
MODELS = st.lists(
    st.lists(st.lists(STEPS, max_size=5), min_size=1, max_size=3), min_size=1, max_size=4
)


@given(scripts=MODELS, replies=st.integers(1, 4), doubled=st.booleans())
@example([[["word ", HANG]], [["word ", 4.0]]], 1, True)  # a second one that repeats the first
def test_whatever_models_do_the_silence_has_an_end_and_nothing_is_left_open(
    scripts: list[list[list[Step]]], replies: int, doubled: bool
) -> None:
    models = [Model(name, *of) for name, of in zip("abcd", scripts, strict=False)]

    async def act(it: Stage) -> None:
        now_s = asyncio.get_running_loop().time
        for _ in range(replies):
            last_s = now_s()
            try:
                async for _ in it.it.reply(HELLO, ()):
                    assert now_s() - last_s <= ON_THE_PHONE.all_s + 1e-6
                    last_s = now_s()
            except ProviderError:
                assert it.notes or len(models) == 1
            assert now_s() - last_s <= ON_THE_PHONE.all_s + 1e-6
            assert [model.open for model in models] == [0] * len(models)

    play(Stage(*models, paces=Paces() if doubled else None), act)


# Being cut.


@pytest.mark.parametrize("cut_s", [0.5, 1.6, 1.8])
def test_a_reply_that_is_not_wanted_any_more_ends_all_requests_at_once(cut_s: float) -> None:
    slow, other = Model("a", [HANG]), Model("b", [0.2, "One", HANG])

    async def act(it: Stage) -> None:
        asking = asyncio.create_task(it.ask())
        await asyncio.sleep(cut_s)
        asking.cancel()
        await asyncio.wait((asking,))
        assert it.state() is State.CLOSED

    play(Stage(slow, other, paces=Paces()), act)
    ended_s = [at_s for model in (slow, other) for at_s in model.ended_s]
    assert max(ended_s) == (1.7 if cut_s > 1.7 and not other.ended_s else cut_s)


def test_closing_a_reply_between_two_parts_ends_the_request() -> None:
    model = Model("a", ["One", "two", "three"])

    async def act(it: Stage) -> None:
        async with aclosing(it.it.reply(HELLO, ())) as parts:  # type: ignore[type-var]
            assert await anext(parts) == Token("One")
        assert model.open == 0

    play(Stage(model), act)


def test_a_trial_that_the_caller_cut_leaves_the_next_one_free() -> None:
    model = Model("a", [HANG], ["Yes."])
    stage = Stage(model, Model("b", ["No."]))

    async def act(it: Stage) -> None:
        for _ in range(3):
            it.candidates[0].breaker.failed(0.0)
        await asyncio.sleep(10)
        asking = asyncio.create_task(it.ask())
        await asyncio.sleep(0.1)
        asking.cancel()
        await asyncio.wait((asking,))
        await it.ask()
        assert it.state() is State.CLOSED

    assert play(stage, act).text == "Yes."
