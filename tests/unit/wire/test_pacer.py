"""The pacer sends for every call on one grid, and never for a call that was removed."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from sovereign_ari.wire.pacer import Pacer


class Counting:
    """A source whose packets are numbered."""

    def __init__(self) -> None:
        self.times_s: list[float] = []

    def next_packet(self, now_s: float) -> bytes:
        self.times_s.append(now_s)
        return str(len(self.times_s)).encode()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    for one in (ours, theirs):
        one.bind(("127.0.0.1", 0))
        one.settimeout(5)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def pacer(pair: tuple[socket.socket, socket.socket]) -> Iterator[Pacer]:
    pacer = Pacer(pair[0].fileno())
    pacer.start()
    yield pacer
    pacer.stop()


def test_packets_leave_on_an_absolute_grid(
    pacer: Pacer, pair: tuple[socket.socket, socket.socket]
) -> None:
    _, theirs = pair
    source = Counting()
    pacer.add("call", source, theirs.getsockname())
    got = [theirs.recv(100) for _ in range(25)]
    pacer.remove("call")
    assert got == [str(n).encode() for n in range(1, 26)]
    spent_s = source.times_s[24] - source.times_s[0]
    assert spent_s > 24 * 0.020 - 0.015  # never a burst; lateness is the machine's business


def test_nothing_leaves_after_remove(
    pacer: Pacer, pair: tuple[socket.socket, socket.socket]
) -> None:
    _, theirs = pair
    source = Counting()
    pacer.add("call", source, theirs.getsockname())
    theirs.recv(100)
    pacer.remove("call")
    sent = len(source.times_s)
    pair[0].close()  # the descriptor may be somebody else's from here on
    time.sleep(0.1)
    assert len(source.times_s) == sent
    assert pacer.lines == 0
    assert pacer.send_errors == 0


def test_calls_are_spread_over_the_slots(
    pacer: Pacer, pair: tuple[socket.socket, socket.socket]
) -> None:
    _, theirs = pair
    sources = [Counting() for _ in range(8)]
    for number, source in enumerate(sources):
        pacer.add(str(number), source, theirs.getsockname())
    for _ in range(80):
        theirs.recv(100)
    assert {len(slot.lines) for slot in pacer._slots} == {2}
    counts = [len(source.times_s) for source in sources]
    assert max(counts) - min(counts) <= 1


def test_without_the_permission_to_come_first_it_sends_as_well(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def refuse(*_: object) -> None:
        asked.set()
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    pacer = Pacer(pair[0].fileno())
    pacer.start()
    pacer.add("call", Counting(), pair[1].getsockname())
    assert [pair[1].recv(100) for _ in range(3)] == [b"1", b"2", b"3"]
    pacer.stop()
    assert asked.is_set()


def policy_that_is_permitted() -> int:
    """Try what the pacer tries, in a thread that ends."""
    policies: list[int] = []

    def ask() -> None:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        policies.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return policies[0]


def test_only_the_thread_that_sends_comes_first(
    pacer: Pacer, pair: tuple[socket.socket, socket.socket]
) -> None:
    policies: list[int] = []

    class Looking(Counting):
        def next_packet(self, now_s: float) -> bytes:
            policies.append(os.sched_getscheduler(0))
            return super().next_packet(now_s)

    before = os.sched_getscheduler(0)
    pacer.add("call", Looking(), pair[1].getsockname())
    pair[1].recv(100)
    assert policies[0] == policy_that_is_permitted()
    assert os.sched_getscheduler(0) == before


class Broken(Counting):
    """A source with a bug."""

    def next_packet(self, now_s: float) -> bytes:
        super().next_packet(now_s)
        raise ValueError("a bug")


def test_a_source_that_fails_silences_no_other_call(
    pacer: Pacer, pair: tuple[socket.socket, socket.socket]
) -> None:
    _, theirs = pair
    broken, sound = Broken(), Counting()
    for name, source in (("broken", broken), ("sound", sound)):
        pacer.add(name, source, theirs.getsockname())
    assert [theirs.recv(100) for _ in range(10)] == [str(n).encode() for n in range(1, 11)]
    assert len(broken.times_s) > 1  # it is asked again, for it may recover
    assert pacer.faults == len(broken.times_s)


def test_removing_what_is_not_there_is_harmless(pacer: Pacer) -> None:
    pacer.remove("nobody")
