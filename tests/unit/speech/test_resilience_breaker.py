from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.speech.resilience import breaker as b
from sovereign_ari.speech.resilience.breaker import Breakers, CircuitBreaker, Line, State
from sovereign_ari.speech.resilience.candidate import Candidate, in_turn, worth_another_try
from sovereign_ari.speech.resilience.notes import CIRCUIT_OPEN, ProviderNotes, unnoted


def broken(now_s: float = 0.0) -> CircuitBreaker:
    circuit = CircuitBreaker()
    for _ in range(b.FAILURES):
        circuit.failed(now_s)
    return circuit


def test_a_circuit_opens_after_faults_in_a_row_and_not_before() -> None:
    circuit = CircuitBreaker()
    for number in range(b.FAILURES - 1):
        circuit.failed(float(number))
        assert circuit.admits(float(number))
    circuit.failed(3.0)
    assert circuit.state(3.0) is State.OPEN
    assert not circuit.admits(3.0 + b.OPEN_S - 0.1)


def test_a_success_between_faults_keeps_it_closed() -> None:
    circuit = CircuitBreaker()
    for number in range(b.FAILURES * 3):
        circuit.failed(float(number))
        if number % 2:
            circuit.succeeded()
    assert circuit.state(9.0) is State.CLOSED


def test_faults_that_lie_far_apart_do_not_open_it() -> None:
    circuit = CircuitBreaker()
    for number in range(20):
        circuit.failed(number * b.WITHIN_S)
    assert circuit.admits(20 * b.WITHIN_S)


def test_half_open_it_admits_one_request_at_a_time() -> None:
    circuit = broken()
    assert circuit.state(b.OPEN_S) is State.HALF_OPEN
    assert circuit.admits(b.OPEN_S)
    assert not circuit.admits(b.OPEN_S)
    circuit.gave_up()
    assert circuit.admits(b.OPEN_S)
    assert circuit.admits(b.OPEN_S + b.TRIAL_S), "nobody reported on the trial"


def test_a_trial_that_works_closes_it_and_one_that_fails_opens_it_for_longer() -> None:
    circuit = broken()
    now_s = b.OPEN_S
    assert circuit.admits(now_s)
    circuit.failed(now_s)
    assert not circuit.admits(now_s + 2 * b.OPEN_S - 0.1)
    assert circuit.admits(now_s + 2 * b.OPEN_S)
    circuit.succeeded()
    assert circuit.state(now_s) is State.CLOSED


def test_it_is_never_open_for_longer_than_its_limit() -> None:
    circuit, now_s = broken(), 0.0
    for _ in range(12):
        now_s += b.LONGEST_OPEN_S
        assert circuit.admits(now_s)
        circuit.failed(now_s, 3600.0)
    fresh = CircuitBreaker()
    fresh.failed(0.0, 3600.0)
    assert fresh.admits(b.LONGEST_OPEN_S)


def test_a_vendor_that_says_when_to_come_back_is_left_alone_until_then() -> None:
    circuit = CircuitBreaker()
    circuit.failed(0.0, 20.0)
    assert not circuit.admits(19.9)
    assert circuit.admits(20.0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ask", "fail", "later", "succeed", "give up"]),
            st.floats(0, 100, allow_nan=False),
        ),
        max_size=60,
    )
)
def test_no_history_keeps_a_circuit_open_for_ever(steps: list[tuple[str, float]]) -> None:
    circuit, now_s = CircuitBreaker(), 0.0
    for what, passed_s in steps:
        now_s += passed_s
        match what:
            case "ask":
                circuit.admits(now_s)
            case "fail":
                circuit.failed(now_s)
            case "later":
                circuit.failed(now_s, passed_s)
            case "succeed":
                circuit.succeeded()
                assert circuit.state(now_s) is State.CLOSED
            case _:
                circuit.gave_up()
    assert circuit.admits(now_s + max(b.LONGEST_OPEN_S, b.TRIAL_S))


def test_a_bad_key_of_one_account_opens_nobody_elses_circuit() -> None:
    breakers = Breakers()
    one, platform = Line("llm", "openai/m", "one"), Line("llm", "openai/m")
    for _ in range(b.FAILURES):
        breakers.of(one).failed(0.0)
    assert not breakers.of(one).admits(1.0)
    assert breakers.of(platform).admits(1.0)
    assert breakers.of(Line("tts", "openai/m", "one")).admits(1.0)
    assert breakers.levels(1.0) == {("llm", "openai/m"): 2, ("tts", "openai/m"): 0}
    assert breakers.levels(b.OPEN_S)["llm", "openai/m"] == 1


def test_circuits_do_not_pile_up() -> None:
    breakers = Breakers()
    first = breakers.of(Line("llm", "0"))
    for number in range(b.MOST_CIRCUITS + 5):
        breakers.of(Line("llm", str(number)))
    assert breakers.of(Line("llm", "0")) is not first
    assert len(breakers.levels(0.0)) == b.MOST_CIRCUITS


def test_an_open_circuit_puts_its_provider_behind_the_others_and_says_so() -> None:
    noted: list[tuple[str, object, object]] = []
    notes = ProviderNotes(
        lambda what, facts: noted.append((what, facts["from"], facts["to"])), "llm"
    )
    a, c = Candidate("a", "a", broken()), Candidate("c", "c")
    assert [it.label for it in in_turn([a, c], lambda: 1.0, notes)] == ["c", "a"]
    assert noted == [(CIRCUIT_OPEN, "a", "c")]


def test_when_all_circuits_are_open_all_are_asked_all_the_same() -> None:
    both = [Candidate("a", "a", broken()), Candidate("b", "b", broken())]
    turns = in_turn(both, lambda: 1.0, ProviderNotes(unnoted, "llm"))
    assert [it.label for it in turns] == ["a", "b"]


def test_only_a_fault_that_may_pass_while_the_caller_waits_is_worth_another_try() -> None:
    assert worth_another_try(ProviderUnavailable("gone"))
    assert worth_another_try(ProviderUnavailable("busy", retry_after_s=0.5))
    assert not worth_another_try(ProviderUnavailable("busy", retry_after_s=4))


def test_a_short_wait_opens_no_circuit_and_a_long_one_does() -> None:
    it = Candidate("a", "a")
    it.failed(ProviderUnavailable("busy", retry_after_s=0.5), 0.0)
    assert it.breaker.state(0.0) is State.CLOSED
    it.failed(ProviderUnavailable("busy", retry_after_s=4), 0.0)
    assert it.breaker.state(0.0) is State.OPEN
