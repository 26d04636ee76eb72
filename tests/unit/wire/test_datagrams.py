"""Many datagrams in one call of the kernel: each arrives whole, none is held up by another."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from sovereign_ari.wire.datagrams import (
    LARGEST_READ_BYTES,
    LARGEST_SENT_BYTES,
    READ_AT_ONCE,
    Inbox,
    Outbox,
    key_of,
)

NOWHERE = ("255.255.255.255", 9)
"""Refused by the system: the socket may not broadcast."""


@pytest.fixture
def ends() -> Iterator[list[socket.socket]]:
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
    for end in made:
        end.bind(("127.0.0.1", 0))
        end.settimeout(5)
    yield made
    for end in made:
        end.close()


def test_each_datagram_goes_to_the_address_of_its_row(ends: list[socket.socket]) -> None:
    ours, *theirs = ends
    outbox = Outbox([end.getsockname() for end in theirs])
    for length in (1, LARGEST_SENT_BYTES, 0, 172):
        for row in range(len(theirs)):
            outbox.put(row, bytes([row + 1]) * length)
        assert outbox.send(ours.fileno(), 0, len(theirs)) == 0
        got = [end.recvfrom(1000) for end in theirs]
        assert got == [(bytes([row + 1]) * length, ours.getsockname()) for row in range(3)]


def test_only_the_rows_that_are_named_leave(ends: list[socket.socket]) -> None:
    ours, *theirs = ends
    outbox = Outbox([end.getsockname() for end in theirs])
    for turn, (first, end) in enumerate([(0, 0), (1, 2), (2, 3), (0, 1)]):
        for row in range(len(theirs)):
            outbox.put(row, bytes([turn]))
        assert outbox.send(ours.fileno(), first, end) == 0
    assert [end.recv(10) for end in theirs] == [b"\x03", b"\x01", b"\x02"]


@pytest.mark.parametrize("refused", [{0}, {1}, {3}, {0, 1}, {1, 3}, {0, 1, 2, 3}])
def test_one_that_is_refused_holds_up_none_behind_it(
    ends: list[socket.socket], refused: set[int]
) -> None:
    ours, theirs = ends[:2]
    outbox = Outbox([NOWHERE if row in refused else theirs.getsockname() for row in range(4)])
    for row in range(4):
        outbox.put(row, bytes([row]))
    assert outbox.send(ours.fileno(), 0, 4) == len(refused)
    sent = [row for row in range(4) if row not in refused]
    assert [theirs.recv(10) for _ in sent] == [bytes([row]) for row in sent]


def test_nothing_too_long_is_cut(ends: list[socket.socket]) -> None:
    outbox = Outbox([ends[1].getsockname()])
    with pytest.raises(ValueError, match="513 bytes"):
        outbox.put(0, bytes(LARGEST_SENT_BYTES + 1))


def test_an_outbox_without_rows_sends_nothing(ends: list[socket.socket]) -> None:
    assert Outbox(()).send(ends[0].fileno(), 0, 0) == 0


def test_what_is_there_is_read_at_once_with_its_sender(ends: list[socket.socket]) -> None:
    ours, *theirs = ends
    inbox = Inbox()
    assert inbox.read(ours.fileno()) == 0
    total = READ_AT_ONCE + 5
    expected = []
    for number in range(total):
        sender, datagram = theirs[number % 3], bytes([number]) * (number * 7)
        sender.sendto(datagram, ours.getsockname())
        expected.append((key_of(sender.getsockname()), datagram))
    got = []
    for count in (READ_AT_ONCE, 5):
        assert inbox.read(ours.fileno()) == count
        got += list(inbox.datagrams(count))
    assert got == expected
    assert inbox.read(ours.fileno()) == 0


def test_a_datagram_longer_than_any_packet_is_cut(ends: list[socket.socket]) -> None:
    ours, theirs = ends[:2]
    inbox = Inbox()
    for datagram in (b"x" * 5000, b"yz"):
        theirs.sendto(datagram, ours.getsockname())
    assert inbox.read(ours.fileno()) == 2
    key = key_of(theirs.getsockname())
    assert list(inbox.datagrams(2)) == [(key, b"x" * LARGEST_READ_BYTES), (key, b"yz")]


def test_a_closed_descriptor_gives_nothing() -> None:
    assert Inbox().read(-1) == 0
