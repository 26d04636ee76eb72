from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sip_messages import (
    SipError,
    SipMessage,
    host_port,
    parameter,
    parse_message,
    request,
    response_to,
    split_list,
    uri_of,
)

INVITE = b"\r\n".join(
    [
        b"INVITE sip:1000@127.0.0.1:5060 SIP/2.0",
        b"v: SIP/2.0/UDP 127.0.0.1:4000;branch=z9hG4bK1;rport",
        b'f: "A, B" <sip:a@x>;tag=77',
        b"To: <sip:1000@127.0.0.1>",
        b"Record-Route: <sip:p1;lr>, <sip:p2:5070;lr>",
        b"Record-Route: <sip:p3;lr>",
        b"Subject: folded",
        b" line",
        b"i: abc@x",
        b"CSeq: 7 INVITE",
        b"Content-Length: 3",
        b"",
        b"v=0trailing",
    ]
)


def test_a_request_is_read_with_compact_folded_and_listed_headers() -> None:
    message = parse_message(INVITE)
    assert (message.method, message.status, message.cseq) == ("INVITE", None, (7, "INVITE"))
    assert message.header("call-id") == "abc@x"
    assert message.branch == "z9hG4bK1"
    assert message.header("Subject") == "folded line"
    assert message.list_header("Record-Route") == [
        "<sip:p1;lr>",
        "<sip:p2:5070;lr>",
        "<sip:p3;lr>",
    ]
    assert message.body == b"v=0"


def test_a_response_carries_what_its_request_asked_for() -> None:
    asked = parse_message(INVITE)
    answer = parse_message(response_to(asked, 486, "Busy Here", tag="me").to_bytes())
    assert (answer.status, answer.reason_phrase, answer.method) == (486, "Busy Here", "INVITE")
    assert answer.header("To") == "<sip:1000@127.0.0.1>;tag=me"
    assert answer.header("Via") == asked.header("Via")
    assert answer.headers_named("Record-Route") == asked.headers_named("Record-Route")


def test_parameters_are_those_behind_the_uri() -> None:
    assert parameter('"x;tag=no" <sip:a;tag=no@x>;tag=yes;q=1', "tag") == "yes"
    assert parameter("<sip:a;tag=no>", "tag") is None
    assert uri_of('"A" <sip:a@x;lr>;tag=1') == "sip:a@x;lr"
    assert split_list('"a,b" <sip:a>, <sip:b,c>') == ['"a,b" <sip:a>', "<sip:b,c>"]


def test_the_address_of_a_uri_defaults_to_port_5060() -> None:
    assert host_port("sip:1000@10.0.0.1:5070;transport=udp") == ("10.0.0.1", 5070)
    assert host_port("sip:proxy.example;lr") == ("proxy.example", 5060)
    with pytest.raises(SipError, match="not a SIP URI"):
        host_port("tel:+31")


@given(st.binary(max_size=300))
def test_any_datagram_is_a_message_or_a_sip_error(data: bytes) -> None:
    with contextlib.suppress(SipError):
        parse_message(data)


@given(st.integers(0, len(INVITE)), st.binary(max_size=4))
def test_a_damaged_message_is_a_message_or_a_sip_error(place: int, damage: bytes) -> None:
    with contextlib.suppress(SipError):
        parse_message(INVITE[:place] + damage + INVITE[place + 2 :])


_word = st.text(st.characters(codec="ascii", min_codepoint=33, exclude_characters=":"), min_size=1)


@given(st.lists(st.tuples(_word, _word), max_size=6), st.binary(max_size=50))
def test_a_message_that_is_written_reads_the_same(
    extra: list[tuple[str, str]], body: bytes
) -> None:
    headers = [(f"X-{name}", value) for name, value in extra]
    written = request("OPTIONS", "sip:a@b", headers, body)
    read = parse_message(written.to_bytes())
    kept = tuple(pair for pair in read.headers if pair[0] != "Content-Length")
    assert SipMessage(read.start_line, kept, read.body) == written
