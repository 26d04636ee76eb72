"""What may stand in a trunk's address."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.resources.trunk_addresses import (
    TrunkAddress,
    default_port,
    parse_address,
    parse_host,
    parse_source,
)


@pytest.mark.parametrize(
    ("text", "host", "port", "transport"),
    [
        ("sip.example.com", "sip.example.com", None, None),
        ("SIP.Example.COM.", "sip.example.com", None, None),
        ("sip.example.com:5080", "sip.example.com", 5080, None),
        ("sip:sip.example.com", "sip.example.com", None, None),
        ("SIP:203.0.113.7:5080;transport=TCP", "203.0.113.7", 5080, "tcp"),
        ("sip:203.0.113.7", "203.0.113.7", None, None),
        ("sip:a.example;lr;transport=udp", "a.example", None, "udp"),
        ("sips:sip.example.com", "sip.example.com", None, "tls"),
        ("sips:sip.example.com;transport=tcp", "sip.example.com", None, "tls"),
        ("[2001:DB8::0001]:5061", "[2001:db8::1]", 5061, None),
        ("[::1]", "[::1]", None, None),
        ("pbx", "pbx", None, None),
        ("10.0.0.1", "10.0.0.1", None, None),
        ("sip-1.example.com:1", "sip-1.example.com", 1, None),
        ("sip.example.com:65535", "sip.example.com", 65535, None),
    ],
)
def test_every_spelling_is_read(
    text: str, host: str, port: int | None, transport: str | None
) -> None:
    assert parse_address(text) == TrunkAddress(host, port, transport)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no host"),
        ("sip:", "names no host"),
        (":5060", "names no host"),
        ("sip.example.com:", "has a port"),
        ("sip.example.com:0", "has a port"),
        ("sip.example.com:65536", "has a port"),
        ("sip.example.com:５０６０", "is not a host, host:port or SIP URI"),
        ("sip.example.com:+60", "is not a host, host:port or SIP URI"),
        ("2001:db8::1", "write an IPv6 address in brackets"),
        ("[2001:db8::1", "is not a host"),
        ("[1.2.3.4]", "has no IPv6 address"),
        ("[fe80::1%eth0]", "names a zone"),
        ("999.1.1.1", "is not an IPv4 address"),
        ("1.2.3", "is not an IPv4 address"),
        ("0.0.0.0", "is not the address of a server"),
        ("224.0.0.1", "is not the address of a server"),
        ("[::]", "is not the address of a server"),
        ("example.123", "neither a name nor an IP address"),
        ("-a.example", "letters, digits, hyphens and dots"),
        ("a_b.example", "letters, digits, hyphens and dots"),
        ("a..example", "letters, digits, hyphens and dots"),
        ("bücher.example", "letters, digits, hyphens and dots"),
        ("x" * 64 + ".example", "letters, digits, hyphens and dots"),
        ("a" * 256, "is longer than 255"),
        ("sip.example.com\r\nVia: x", "line break"),
        ("sip.example.com ", "space"),
        ("user@sip.example.com", "must not hold a user or password"),
        ("sip:user:secret@sip.example.com", "must not hold a user or password"),
        ("http://sip.example.com", "is not a host, host:port or SIP URI"),
        ("tel:+31201234567", "is not a host, host:port or SIP URI"),
        ("sip.example.com;transport=tcp", "only a SIP URI may have"),
        ("sip:sip.example.com;transport=ws", "not udp, tcp or tls"),
        ("sip:sip.example.com;transport=udp;transport=tcp", "names two transports"),
        ("sips:sip.example.com;transport=udp", "says TLS"),
        ("sip:sip.example.com;maddr=1.2.3.4", "no parameter but"),
        ("sip:sip.example.com?Subject=x", "letters, digits, hyphens and dots"),
        ("sip.example.com/x", "letters, digits, hyphens and dots"),
    ],
)
def test_what_is_no_address_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        parse_address(text)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=300))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        read = parse_address(text)
    except ValueError:
        return
    assert parse_address(str(read)) == TrunkAddress(read.host, read.port)


@given(
    st.from_regex(r"(sips?:)?[a-z0-9.\[\]:%-]{0,20}(:[0-9]{0,6})?(;[a-z=]{0,14})?", fullmatch=True)
)
def test_what_looks_like_an_address_is_one_or_a_value_error(text: str) -> None:
    try:
        read = parse_address(text)
    except ValueError:
        return
    assert parse_address(str(read)) == TrunkAddress(read.host, read.port)


@given(st.ip_addresses(), st.none() | st.integers(1, 65535))
def test_addresses_of_servers_are_read(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int | None
) -> None:
    if address.is_multicast or address.is_unspecified or int(address) == 2**32 - 1:
        return
    host = f"[{address}]" if address.version == 6 else str(address)
    text = host if port is None else f"{host}:{port}"
    assert parse_address(text) == TrunkAddress(host, port)
    assert parse_host(host) == host


def test_tls_has_a_port_of_its_own() -> None:
    assert (default_port("udp"), default_port("tcp"), default_port("tls")) == (5060, 5060, 5061)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("SBC.example.com", "sbc.example.com"),
    ],
)
def test_where_calls_come_from_is_read(text: str, read: str) -> None:
    assert parse_source(text) == read


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("203.0.113.7/24", r"did you mean 203\.0\.113\.0/24"),
        ("203.0.113.0/33", "is not a network"),
        ("sip.example.com:5060", "name no port"),
        ("sip:sip.example.com", "name no port"),
        ("203.0.113.7\r\n", "is not a host"),
        ("fe80::1%eth0", "name no port"),
        ("", "names no host"),
    ],
)
def test_what_is_no_source_is_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_source(text)


@given(st.text(max_size=60) | st.from_regex(r"[0-9a-f:./%\[\]]{0,30}", fullmatch=True))
def test_any_text_is_a_source_or_a_value_error(text: str) -> None:
    try:
        read = parse_source(text)
    except ValueError:
        return
    assert parse_source(read) == read
