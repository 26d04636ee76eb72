from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.speech.sse import EventTooLong, ServerSentEvent, SseParser

LINES = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=20)
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
PIECES = st.sampled_from(b"data|:| |\r|\n|\r\n|event|x|\xef\xbb\xbf|\xc3\xa9|\xff".split(b"|"))
STREAMS = st.lists(PIECES, max_size=40).map(b"".join) | st.binary(max_size=80)


def events_of(*chunks: bytes, limit_bytes: int = 1000) -> list[ServerSentEvent]:
    parser = SseParser(limit_bytes)
    return [event for chunk in chunks for event in parser.feed(chunk)]


def data_of(*chunks: bytes) -> list[str]:
    return [event.data for event in events_of(*chunks)]


def cut(stream: bytes, places: list[int]) -> Iterator[bytes]:
    begin = 0
    for place in [*sorted(place % (len(stream) + 1) for place in places), len(stream)]:
        yield stream[begin:place]
        begin = place


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: one\n\n", [("", "one")]),
        (b"data:one\r\n\r\n", [("", "one")]),
        (b"data: one\r\r", [("", "one")]),
        (b"data:  one\n\n", [("", " one")]),
        (b"data: one\ndata: two\n\n", [("", "one\ntwo")]),
        (b"data\n\n", [("", "")]),
        (b"data\ndata\n\n", [("", "\n")]),
        (b"event: error\ndata: x\n\ndata: y\n\n", [("error", "x"), ("", "y")]),
        (b"event: lost\n\ndata: y\n\n", [("", "y")]),
        (b": a comment\n\n:\n\ndata: x\n: another\n\n", [("", "x")]),
        (b"id: 1\nretry: 5\ndatum: z\nData: z\ndata: x\n\n", [("", "x")]),
        (b"\xef\xbb\xbfdata: x\n\n\xef\xbb\xbfdata: y\n\n", [("", "x")]),
        (b"data: a:b\n\n", [("", "a:b")]),
        ("data: a\x85b\u2028c\x0bd\n\n".encode(), [("", "a\x85b\u2028c\x0bd")]),
        (b"data: \xff\n\n", [("", "\ufffd")]),
        (b"data: cut off\n", []),
        (b"\n\n\n", []),
    ],
)
def test_a_stream_means_what_the_standard_says(
    stream: bytes, events: list[tuple[str, str]]
) -> None:
    assert [(event.name, event.data) for event in events_of(stream)] == events


def test_an_event_is_there_as_soon_as_its_empty_line_is() -> None:
    parser = SseParser()
    assert parser.feed(b"data: one\r\n") == []
    assert parser.feed(b"\r") == [ServerSentEvent("", "one")]
    assert parser.feed(b"") == []
    assert parser.feed(b"\n") == []  # of the same line end
    assert parser.feed(b"data: two\n\n") == [ServerSentEvent("", "two")]


@given(STREAMS, st.lists(st.integers(0, 1000), max_size=10))
def test_where_the_bytes_are_cut_makes_no_difference(stream: bytes, places: list[int]) -> None:
    assert events_of(*cut(stream, places)) == events_of(stream)


@given(st.lists(st.tuples(LINES, LINES, ENDS), max_size=8), st.integers(1, 7))
def test_what_is_written_is_read(events: list[tuple[str, str, str]], step: int) -> None:
    text = "".join(
        f": {first}{end}data: {first}{end}data: {second}{end}{end}"
        for first, second, end in events
    )
    stream = text.encode()
    chunks = (stream[at : at + step] for at in range(0, len(stream), step))
    assert data_of(*chunks) == [f"{first}\n{second}" for first, second, _ in events]


@pytest.mark.parametrize(
    "stream",
    [b"data: " + b"x" * 50 + b"\n\n", b"data: " + b"x" * 50, b":" * 50, b"data: xxxxxxxx\n" * 5],
    ids=["a line", "the beginning of one", "a comment", "many lines of data"],
)
@given(places=st.lists(st.integers(0, 1000), max_size=10))
def test_too_long_an_event_is_refused_however_it_comes(stream: bytes, places: list[int]) -> None:
    with pytest.raises(EventTooLong):
        events_of(*cut(stream, places), limit_bytes=32)


def test_the_limit_is_for_one_event_and_not_for_the_stream() -> None:
    parser = SseParser(max_event_bytes=32)
    assert sum(len(parser.feed(b": hello\ndata: twenty characters..\n\n")) for _ in range(9)) == 9
