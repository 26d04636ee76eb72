"""A recogniser that goes on listening, in virtual time: no word is lost, and none comes twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import PCM_8K, ULAW_8K
from sovereign_ari.speech.base import SpeechStream, Transcript
from sovereign_ari.speech.resilience.breaker import CircuitBreaker
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.notes import ProviderNotes
from sovereign_ari.speech.resilience.speech_to_text import ListeningLimits, ResilientSpeechToText
from tests.support.scripted_ear import Life, ScriptedEar, sound_of
from tests.support.virtual_time import run_in_virtual_time

GONE = ProviderUnavailable("gone")
BAD_KEY = ProviderRefused("the key is wrong")
THROTTLED = ProviderUnavailable("too often", retry_after_s=20)


class Caller:
    """Speaks to recognisers, and writes down what they say, and when."""

    def __init__(
        self,
        *ears: ScriptedEar,
        breakers: Sequence[CircuitBreaker] = (),
        limits: ListeningLimits | None = None,
    ) -> None:
        for number, ear in enumerate(ears):
            ear.label = f"ear/{'abc'[number]}"
        circuits = breakers or [CircuitBreaker() for _ in ears]
        self.ears = ears
        self.breakers = circuits
        self.notes: list[tuple[str, Mapping[str, Any]]] = []
        self.stt = ResilientSpeechToText(
            [Candidate(e, e.label, b) for e, b in zip(ears, circuits, strict=True)],
            ProviderNotes(lambda kind, facts: self.notes.append((kind, facts)), "stt"),
            limits,
        )
        self.heard: list[Transcript] = []
        self.error: ProviderError | None = None
        self.failed_s = 0.0
        self._flushes = 0
        self._news = asyncio.Event()
        self._stack = AsyncExitStack()

    @property
    def noted(self) -> list[str]:
        """Kinds of notes, and who to whom."""
        return [f"{kind[9:] or kind} {f['from']} {f['to']}" for kind, f in self.notes]

    @property
    def words(self) -> list[list[str]]:
        """Final words, by the flush that they came before."""
        turns: list[list[str]] = [[]]
        for transcript in self.heard:
            if transcript.final:
                turns[-1] += transcript.text.split()
            if transcript.flushed:
                turns.append([])
        return turns[:-1] if not turns[-1] else turns

    async def __aenter__(self) -> Caller:
        self._stream = await self._stack.enter_async_context(self.stt.open(ULAW_8K))
        self._reader = asyncio.create_task(self._read(self._stream))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        await self._reader
        assert [ear.open_streams for ear in self.ears] == [0] * len(self.ears)

    async def _read(self, stream: SpeechStream) -> None:
        try:
            async for transcript in stream:
                self.heard.append(transcript)
                self._news.set()
        except ProviderError as error:
            self.error = error
            self.failed_s = asyncio.get_running_loop().time()
        self._news.set()

    async def say(self, *words: str) -> None:
        for word in words:
            await asyncio.sleep(0.1)
            await self._stream.send(sound_of(word))

    async def flush(self) -> None:
        self._flushes += 1
        await self._stream.flush()

    async def ask(self, *words: str) -> list[str]:
        """Say words, flush, and return what was heard since the flush before."""
        await self.say(*words)
        await self.flush()
        await self.answered()
        return self.words[self._flushes - 1]

    async def answered(self) -> None:
        """Wait until every flush is answered."""
        async with asyncio.timeout(60):
            while sum(t.flushed for t in self.heard) < self._flushes:
                assert self.error is None, self.error
                self._news.clear()
                await self._news.wait()


def call(act: Callable[[Caller], Awaitable[None]], make: Callable[[], Caller]) -> Caller:
    """Let a caller act, and hang up."""

    async def scene() -> Caller:
        async with make() as caller:
            await act(caller)
        return caller

    return run_in_virtual_time(scene())


async def two_turns(it: Caller) -> None:
    assert await it.ask("one", "two", "three") == ["one", "two", "three"]
    assert await it.ask("four", "five") == ["four", "five"]


def test_one_that_works_is_not_noticed() -> None:
    it = call(two_turns, lambda: Caller(ScriptedEar(Life(partials=True))))
    assert [t.text for t in it.heard if not t.final][:2] == ["one", "one two"]
    assert it.notes == []
    assert it.ears[0].asked == 1


def test_an_empty_flush_is_answered_with_nothing() -> None:
    async def caller(it: Caller) -> None:
        assert await it.ask() == []
        assert await it.ask("one") == ["one"]
        assert await it.ask() == []

    call(caller, lambda: Caller(ScriptedEar()))


def test_a_bad_key_goes_straight_to_the_fallback() -> None:
    it = call(two_turns, lambda: Caller(ScriptedEar(Life(refuses=BAD_KEY)), ScriptedEar()))
    assert it.noted == ["fallback ear/a ear/b"]
    assert it.notes[0][1]["code"] == "provider_refused"
    assert it.notes[0][1]["message"] == "the key is wrong"
    assert [ear.asked for ear in it.ears] == [1, 1]
    assert it.stt.label == "ear/b"


def test_one_that_is_away_for_a_moment_is_asked_once_more() -> None:
    it = call(two_turns, lambda: Caller(ScriptedEar(Life(refuses=GONE), Life()), ScriptedEar()))
    assert it.noted == ["retry ear/a ear/a"]
    assert [ear.asked for ear in it.ears] == [2, 0]


def test_one_that_stays_away_is_followed_by_the_next() -> None:
    it = call(two_turns, lambda: Caller(ScriptedEar(Life(refuses=GONE)), ScriptedEar()))
    assert it.noted == ["retry ear/a ear/a", "fallback ear/a ear/b"]


def test_a_lonely_one_may_be_away_for_two_seconds() -> None:
    async def caller(it: Caller) -> None:
        assert await it.ask("one") == ["one"]
        it.ears[0].lives = [Life(), *[Life(refuses=GONE)] * 2, Life()]
        it.ears[0].streams[0].say(GONE)
        await asyncio.sleep(0.01)
        assert await it.ask("two", "three") == ["two", "three"]

    it = call(caller, lambda: Caller(ScriptedEar()))
    assert it.noted == ["retry ear/a ear/a"] * 3

    async def too_long(it: Caller) -> None:
        await asyncio.sleep(10)
        assert 2 < it.failed_s < 3

    assert call(too_long, lambda: Caller(ScriptedEar(Life(refuses=GONE)))).error is GONE


def test_one_that_wants_us_later_is_not_asked_again() -> None:
    it = call(two_turns, lambda: Caller(ScriptedEar(Life(refuses=THROTTLED)), ScriptedEar()))
    assert it.noted == ["fallback ear/a ear/b"]
    assert not it.breakers[0].admits(0.5)


@pytest.mark.parametrize("says_so", [False, True], ids=["reader", "sender"])
@pytest.mark.parametrize("dies_after", range(6))
def test_one_that_breaks_off_in_a_sentence_hears_it_again(dies_after: int, says_so: bool) -> None:
    it = call(
        two_turns,
        lambda: Caller(ScriptedEar(Life(dies_after=dies_after, says_so=says_so), Life())),
    )
    assert it.noted == ["retry ear/a ear/a"]


@pytest.mark.parametrize("dies_after", range(6))
def test_one_that_dies_in_a_sentence_is_followed_by_the_next(dies_after: int) -> None:
    first = Life(dies_after=dies_after)
    it = call(
        two_turns,
        lambda: Caller(ScriptedEar(first, Life(refuses=GONE)), ScriptedEar(audio=PCM_8K)),
    )
    assert it.noted == ["retry ear/a ear/a", "fallback ear/a ear/b"]


def test_one_that_ends_by_itself_is_asked_again() -> None:
    async def caller(it: Caller) -> None:
        await it.say("one")
        it.ears[0].streams[0].say(None)
        assert await it.ask("two") == ["one", "two"]

    it = call(caller, lambda: Caller(ScriptedEar()))
    assert it.noted == ["retry ear/a ear/a"]
    assert "ended the recognition" in it.notes[0][1]["message"]


def test_one_that_never_answers_is_followed_by_the_next_which_answers_once() -> None:
    async def caller(it: Caller) -> None:
        assert await it.ask("one") == ["one"]
        began_s = asyncio.get_running_loop().time()
        assert await it.ask("two", "three") == ["two", "three"]
        assert 3 < asyncio.get_running_loop().time() - began_s < 3.5
        assert await it.ask("four") == ["four"]

    it = call(caller, lambda: Caller(ScriptedEar(Life(deaf_after=1)), ScriptedEar()))
    assert it.noted == ["fallback ear/a ear/b"]
    assert it.ears[0].asked == 1


def test_a_lonely_one_that_stops_answering_gets_another_connection() -> None:
    it = call(two_turns, lambda: Caller(ScriptedEar(Life(deaf_after=1), Life())))
    assert it.noted == ["retry ear/a ear/a"]


def test_a_lonely_one_whose_first_session_swallows_a_flush_hears_it_all_again() -> None:
    async def caller(it: Caller) -> None:
        began_s = asyncio.get_running_loop().time()
        assert await it.ask("one", "two") == ["one", "two"]
        assert 2.5 < asyncio.get_running_loop().time() - began_s < 3
        assert await it.ask("three") == ["three"]

    it = call(caller, lambda: Caller(ScriptedEar(Life(deaf_after=0), Life())))
    assert it.noted == ["retry ear/a ear/a"]
    assert it.ears[0].asked == 2


def test_a_lonely_one_that_swallows_every_other_flush_loses_no_call() -> None:
    async def caller(it: Caller) -> None:
        for words in (["one"], ["two", "three"], ["four"], ["five"], ["six"], ["seven"]):
            assert await it.ask(*words) == words

    it = call(caller, lambda: Caller(ScriptedEar(Life(deaf_after=1))))
    assert it.noted == ["retry ear/a ear/a"] * 5


def test_a_lonely_one_that_answers_neither_time_is_given_up() -> None:
    async def caller(it: Caller) -> None:
        await it.say("one")
        await it.flush()
        await asyncio.sleep(20)
        assert 5 < it.failed_s < 5.5
        assert (it.noted, it.ears[0].asked) == (["retry ear/a ear/a"], 2)
        with pytest.raises(ProviderUnavailable, match="in time"):
            await it.say("two")

    it = call(caller, lambda: Caller(ScriptedEar(Life(deaf_after=0))))
    assert isinstance(it.error, ProviderUnavailable)


def test_words_that_a_lonely_one_never_makes_final_stand_in_the_end() -> None:
    async def caller(it: Caller) -> None:
        for words in (["one", "two"], ["three"], ["four", "five"]):
            assert await it.ask(*words) == words
        assert it.error is None

    call(caller, lambda: Caller(ScriptedEar(Life(deaf_after=0, partials=True))))


def test_words_that_one_never_makes_final_are_made_so_by_the_next() -> None:
    deaf = Life(deaf_after=0, partials=True)
    it = call(two_turns, lambda: Caller(ScriptedEar(deaf), ScriptedEar()))
    assert it.noted == ["fallback ear/a ear/b"]


def test_words_said_while_nobody_listens_are_heard_by_who_does_in_the_end() -> None:
    it = call(two_turns, lambda: Caller(ScriptedEar(Life(opens_in_s=60)), ScriptedEar()))
    assert it.noted == ["fallback ear/a ear/b"]
    assert "open in time" in it.notes[0][1]["message"]
    assert it.notes[0][1]["took_ms"] == 2500


def test_one_that_does_not_read_is_followed_by_the_next() -> None:
    it = call(two_turns, lambda: Caller(ScriptedEar(Life(full_after=1)), ScriptedEar()))
    assert it.noted == ["fallback ear/a ear/b"]
    assert "does not take" in it.notes[0][1]["message"]


def test_one_whose_circuit_is_open_is_not_asked() -> None:
    tripped = CircuitBreaker()
    for at_s in (0.0, 0.1, 0.2):
        tripped.failed(at_s)
    it = call(
        two_turns,
        lambda: Caller(ScriptedEar(), ScriptedEar(), breakers=(tripped, CircuitBreaker())),
    )
    assert [kind for kind, _ in it.notes] == ["circuit_open"]
    assert [ear.asked for ear in it.ears] == [0, 1]


def test_calls_that_fail_open_the_circuit_for_those_to_come() -> None:
    circuits = (CircuitBreaker(), CircuitBreaker())

    def make() -> Caller:
        return Caller(ScriptedEar(Life(refuses=GONE)), ScriptedEar(), breakers=circuits)

    call(two_turns, make)
    call(two_turns, make)
    it = call(two_turns, make)
    assert [kind for kind, _ in it.notes] == ["circuit_open"]


def test_when_nobody_is_left_the_fault_is_told() -> None:
    async def caller(it: Caller) -> None:
        await asyncio.sleep(5)
        with pytest.raises(ProviderRefused, match="the key is wrong"):
            await it.say("one")
        with pytest.raises(ProviderRefused):
            await it.flush()

    it = call(
        caller, lambda: Caller(ScriptedEar(Life(refuses=GONE)), ScriptedEar(Life(refuses=BAD_KEY)))
    )
    assert it.error is BAD_KEY


def test_who_took_over_stays_until_it_fails_too() -> None:
    async def caller(it: Caller) -> None:
        await two_turns(it)
        async with it.stt.open(ULAW_8K):
            await asyncio.sleep(0.1)
        assert [ear.asked for ear in it.ears] == [1, 2]
        it.ears[1].lives = [Life(refuses=BAD_KEY)]
        it.ears[0].lives = [Life()]
        it.ears[1].streams[0].say(BAD_KEY)
        assert await it.ask("six") == ["six"]

    it = call(caller, lambda: Caller(ScriptedEar(Life(refuses=BAD_KEY)), ScriptedEar()))
    assert it.noted == ["fallback ear/a ear/b", "fallback ear/b ear/a"]


def test_connections_that_end_after_a_long_time_are_replaced_for_ever() -> None:
    async def caller(it: Caller) -> None:
        for number in range(5):
            await asyncio.sleep(40)
            it.ears[0].streams[number].say(GONE)
            await asyncio.sleep(1)
        assert await it.ask("still", "here") == ["still", "here"]

    it = call(caller, lambda: Caller(ScriptedEar()))
    assert it.ears[0].asked == 6


def test_words_made_final_before_the_break_do_not_come_twice() -> None:
    async def caller(it: Caller) -> None:
        await it.say("one", "two")
        it.ears[0].streams[0].say(GONE)
        assert await it.ask("three") == ["one", "two", "three"]

    it = call(caller, lambda: Caller(ScriptedEar(Life(finals=True), Life())))
    assert it.ears[0].streams[1].heard.startswith(b"three")


def test_what_is_final_within_a_chunk_is_told_from_what_is_not() -> None:
    async def caller(it: Caller) -> None:
        await it.say("one")
        await it._stream.send(sound_of("two") + sound_of("three"))
        it.ears[0].streams[0].say(Transcript("one two", final=True, heard_s=0.2))
        await asyncio.sleep(0.1)
        it.ears[0].streams[0].say(GONE)
        assert await it.ask("four") == ["one", "two", "three", "four"]

    call(caller, lambda: Caller(ScriptedEar()))


def test_a_vendor_that_does_not_say_what_it_heard_has_heard_all_that_it_was_told() -> None:
    async def caller(it: Caller) -> None:
        await it.say("one", "two")
        it.ears[0].streams[0].say(GONE)
        assert await it.ask("three") == ["one", "two", "three"]

    call(caller, lambda: Caller(ScriptedEar(Life(finals=True, tells_where=False), Life())))


def test_words_that_are_shown_again_when_they_are_final_are_passed_over() -> None:
    async def caller(it: Caller) -> None:
        await it.ask("one", "two")
        remote = it.ears[0].streams[0]
        for late in ("one two", "One, two.", "one two three"):
            remote.say(Transcript(late, final=False))
            await asyncio.sleep(0.01)
        assert [t.text for t in it.heard if not t.final] == ["one two three"]
        assert await it.ask("one", "two") == ["one", "two"]

    call(caller, lambda: Caller(ScriptedEar()))


def test_answers_that_nobody_asked_for_are_words_and_no_answers() -> None:
    async def caller(it: Caller) -> None:
        await it.say("one")
        it.ears[0].streams[0].say(Transcript("zero", final=True, flushed=True))
        await asyncio.sleep(0.1)
        assert it.heard == [Transcript("zero", final=True)]
        await it.ask("two")
        assert sum(t.flushed for t in it.heard) == 1

    call(caller, lambda: Caller(ScriptedEar()))


def test_of_a_long_outage_the_latest_words_are_heard_and_all_flushes_answered() -> None:
    async def caller(it: Caller) -> None:
        words = [f"w{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(100)]
        await it.say(*words[:40])
        await it.flush()
        assert await it.ask(*words[40:]) == words[-20:]
        assert it.words[0] == []

    limits = ListeningLimits(connect_s=20, kept_s=2)
    call(
        caller,
        lambda: Caller(ScriptedEar(Life(opens_in_s=60)), ScriptedEar(), limits=limits),
    )


def test_leaving_in_the_middle_of_an_outage_leaves_nothing() -> None:
    async def caller(it: Caller) -> None:
        await it.say("one")
        await it.flush()
        await asyncio.sleep(1)

    call(caller, lambda: Caller(ScriptedEar(Life(deaf_after=0))))
    call(caller, lambda: Caller(ScriptedEar(Life(opens_in_s=60))))
    call(caller, lambda: Caller(ScriptedEar(Life(full_after=0))))


LIVES = st.builds(
    Life,
    opens_in_s=st.sampled_from([0.0, 0.05, 0.4]),
    dies_after=st.integers(0, 12),
    says_so=st.booleans(),
    finals=st.booleans(),
    partials=st.booleans(),
    deaf_after=st.sampled_from([None, None, 0, 1]),
)
LAST = st.builds(Life, opens_in_s=st.sampled_from([0.0, 0.4]), finals=st.booleans())
TURNS = st.lists(st.integers(0, 6), min_size=1, max_size=6)


@given(first=LIVES, second=LIVES, last=LAST, turns=TURNS, paces=st.lists(st.booleans()))
def test_whatever_breaks_each_word_is_heard_once_and_each_flush_answered_once(
    first: Life, second: Life, last: Life, turns: list[int], paces: list[bool]
) -> None:
    said = [
        [f"w{chr(97 + turn)}{chr(97 + n)}" for n in range(size)] for turn, size in enumerate(turns)
    ]

    async def caller(it: Caller) -> None:
        for number, words in enumerate(said):
            await it.say(*words)
            await it.flush()
            if number < len(paces) and paces[number]:
                await it.answered()
        await it.answered()

    it = call(
        caller,
        lambda: Caller(ScriptedEar(first), ScriptedEar(second), ScriptedEar(last)),
    )
    assert it.words + [[]] * (len(said) - len(it.words)) == said
    assert sum(t.flushed for t in it.heard) == len(said)
