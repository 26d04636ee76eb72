"""Where calls may be transferred, and how they are dialled."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.permission import OutboundPermission
from sovereign_ari.domain.transfer import (
    LONGEST_HEADER,
    MOST_HOPS,
    OUTWARDS,
    TransferLine,
    Unreachable,
    dial,
    header_value,
    refer_to,
    strange_host,
)

TRUNK = "0f6b3c5e-1111-4222-8333-444455556666"
LINE = TransferLine(TRUNK, ("sip.example.com:5070", "203.0.113.9"))
WITHOUT = TransferLine(None)
OURS = TransferLine(None, is_ours=True)


def test_a_number_goes_over_each_address_of_the_trunk() -> None:
    assert dial("+31201234567", LINE, hops=0)[:2] == (
        f"PJSIP/+31201234567@trunk-{TRUNK}-1",
        f"PJSIP/+31201234567@trunk-{TRUNK}-2",
    )


def test_a_number_needs_a_trunk_and_a_sip_uri_does_not() -> None:
    with pytest.raises(Unreachable, match="has no SIP trunk"):
        dial("+31201234567", WITHOUT, hops=0)
    uri = "sip:desk@pbx.example.org:5080"
    assert dial(uri, WITHOUT, hops=0) == (f"PJSIP/{OUTWARDS}/{uri}",)


def test_a_sip_uri_uses_the_trunk_only_when_it_names_its_host() -> None:
    uri = "sip:desk@SIP.example.com"
    assert dial(uri, LINE, hops=0)[0] == f"PJSIP/trunk-{TRUNK}-1/{uri}"
    (other,) = dial("sip:desk@sip.example.org", LINE, hops=0)
    assert other.startswith(f"PJSIP/{OUTWARDS}/")


FAULTS = {
    "sip:user:secret@example.com": "carries a password",
    "sip:user:@example.com": "carries a password",
    "sip:user@example.com?Replaces=1%3Bto-tag%3Da": "carries headers behind a question mark",
    "sip:user@example.com;transport=tcp?X-Evil=1": "carries headers behind a question mark",
    "sip:user@example.com;user=phone": "has a parameter other than transport",
    "sip:user@example.com;transport=ws": "has a parameter other than transport",
    "sip:user;ext=5@example.com": "has a parameter other than transport",
    "sip:user@example.com;transport=tcp;lr": "has a parameter other than transport",
    "sip:user@example.com:22": "names port 22, and calls are not sent to such ports",
    "sip:user@example.com:70000": "names port 70000, and",
    "sip:user@example.com:0": "names port 0, and",
    "sip:%61@example.com": "cannot be written with percent signs",
    "sip:user@ex%61mple.com": "cannot be written with percent signs",
    "sip:a@b@example.com": "has more than one @",
    "sip:us er@example.com": "holds blanks or characters that no SIP URI has",
    "sip:us\u00e9r@example.com": "holds blanks or characters that no SIP URI has",
    "sip:user@example.com\r\nX: y": "holds blanks or characters that no SIP URI has",
    "sip:user@2001:470::1": "names an IPv6 address without brackets",
    "sip:user@[2001:470::1:::]": "holds a broken IPv6 address",
    "sip:user@[1.2.3.4]": "holds a broken IPv6 address",
    "sip:a,b@example.com": "names a user who is not up to 128 letters, digits and _.!~*+-",
    f"sip:{'a' * 129}@example.com": "names a user who is not up to 128 letters",
    "sip:user@": "names no host that can exist",
    "sip:user@example.com:": "names no host that can exist",
    "sip:user@-example.com": "names no host that can exist",
    "sip:@example.com": "names no user before the @",
}


@pytest.mark.parametrize(("uri", "fault"), FAULTS.items())
def test_what_is_wrong_with_a_sip_uri_is_said(uri: str, fault: str) -> None:
    for line in (LINE, WITHOUT, OURS):
        for read in (lambda: dial(uri, line, hops=0), lambda: refer_to(uri, line)):  # noqa: B023
            with pytest.raises(Unreachable, match=re.escape(f"the SIP URI {fault}")):
                read()


@pytest.mark.parametrize(
    "uri",
    [
        "sip:desk@example.org",
        "SIPS:desk@Example.ORG:5061",
        "sip:example.org",
        "sip:desk@8.8.8.8:65535;transport=TCP",
        "sip:desk@[2a00:1450:4001::1]:5080;transport=tls",
        "sip:+31201234567@example.org",
        "sip:020.desk-1~a!b*c+d_e@example.org:1024",
    ],
)
def test_plain_sip_uris_are_called_as_they_stand(uri: str) -> None:
    assert dial(uri, LINE, hops=0) == (f"PJSIP/{OUTWARDS}/{uri}",)
    assert refer_to(uri, LINE) == uri


@pytest.mark.parametrize(
    "destination",
    [
        "tel:+31201234567",
        "http://example.com",
        "",
        "1",
        "1234567",
        "+0123456789",
        "+112",
        "call-me",
        "PJSIP/1000@trunk",
    ],
)
def test_what_is_no_destination_is_refused(destination: str) -> None:
    for line in (LINE, WITHOUT):
        for read in (lambda: dial(destination, line, hops=0), lambda: refer_to(destination, line)):  # noqa: B023
            with pytest.raises(Unreachable, match="neither a number in"):
                read()


@pytest.mark.parametrize("user", ["112", "911", "1-1-2", "*112"])
def test_an_emergency_number_is_nowhere_called(user: str) -> None:
    for host in ("sip.example.com", "SIP.example.com:5070;transport=tcp", "example.org"):
        for line in (LINE, WITHOUT, replace(LINE, called="+31201234567")):
            with pytest.raises(Unreachable, match="is an emergency number"):
                dial(f"sip:{user}@{host}", line, hops=0)
            with pytest.raises(Unreachable, match="is an emergency number"):
                refer_to(f"sip:{user}@{host}", line)


@pytest.mark.parametrize(
    ("called", "user", "what"),
    [
        (None, "999", "emergency"),
        (None, "0112", "emergency"),
        (None, "9911", "emergency"),
        (None, "000", "emergency"),
        ("+4930123456", "110", "emergency"),
        ("+33123456789", "15", "emergency"),
        ("+390612345678", "118", "emergency"),
        ("+12125551234", "24280", "premium-rate"),
    ],
)
def test_a_carrier_is_not_asked_for_short_numbers_that_cost_or_alarm(
    called: str | None, user: str, what: str
) -> None:
    line = replace(LINE, called=called)
    with pytest.raises(Unreachable, match=what):
        dial(f"sip:{user}@sip.example.com", line, hops=0)
    assert dial(f"sip:{user}@example.org", line, hops=0), "an extension of another PBX"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "[::1]",
        "169.254.169.254",
        "localhost",
        "pbx.internal",
        "127.1",
        "010.0.0.1",
        "0x7f.0.0.1",
        "2130706433",
    ],
)
def test_our_own_network_is_only_reached_when_the_operator_allows_it(host: str) -> None:
    uri = f"sip:desk@{host}"
    with pytest.raises(Unreachable, match="not a public host"):
        dial(uri, LINE, hops=0)
    assert dial(uri, replace(LINE, may_reach=lambda _: True), hops=0)


@pytest.mark.parametrize(
    "destination",
    [
        "+319001234567",
        "sip:+319001234567@example.com",
        "sip:00319001234567@example.com",
        "sip:31900-123.4567@sip.example.com",
    ],
)
def test_what_may_not_be_called_is_not_called_as_a_sip_uri_either(destination: str) -> None:
    line = replace(LINE, permission=OutboundPermission(refused_prefixes=["+31900"]))
    with pytest.raises(Unreachable, match="may not call numbers that begin with"):
        dial(destination, line, hops=0)
    with pytest.raises(Unreachable, match="may not call numbers that begin with"):
        refer_to(destination, line)


def test_a_number_hidden_behind_percent_signs_is_refused() -> None:
    with pytest.raises(Unreachable, match="percent"):
        dial("sip:%2B319001234567@example.com", LINE, hops=0)


@pytest.mark.parametrize(
    "user", ["*31*0900123456", "31900*123456", "_319001234567", "12+34567", "+112", "+31900"]
)
def test_a_number_behind_a_code_is_refused_for_nobody_could_say_what_it_costs(user: str) -> None:
    for host in ("sip.example.com", "example.org"):
        with pytest.raises(Unreachable, match="neither a name nor a number"):
            dial(f"sip:{user}@{host}", LINE, hops=0)
        with pytest.raises(Unreachable, match="neither a name nor a number"):
            refer_to(f"sip:{user}@{host}", LINE)


def test_names_with_digits_and_short_numbers_of_another_pbx_are_called() -> None:
    for user in ("desk12345", "1000", "*98", "12345", "desk"):
        for line in (LINE, replace(LINE, called="+31201234567")):
            assert dial(f"sip:{user}@example.org", line, hops=0)
            assert dial(f"sip:{user}@sip.example.com", line, hops=0), "a trunk may be a PBX"


@pytest.mark.parametrize("destination", ["1000", "+31201234567"])
def test_our_own_numbers_are_called_inside_and_never_for_ever(destination: str) -> None:
    for hops in range(MOST_HOPS):
        expected = (f"Local/{destination}@from-local/n",)
        assert dial(destination, OURS, hops=hops) == expected
    with pytest.raises(Unreachable, match=f"transferred {MOST_HOPS} times"):
        dial(destination, OURS, hops=MOST_HOPS)


def test_an_extension_that_is_not_ours_is_not_called() -> None:
    with pytest.raises(Unreachable, match="no extension 4711"):
        dial("4711", LINE, hops=0)
    with pytest.raises(Unreachable, match="cannot call our extension"):
        refer_to("4711", OURS)


def test_only_the_host_of_a_sip_uri_that_no_trunk_leads_to_is_strange() -> None:
    assert strange_host("sip:a@Other.example.com:5080;transport=tcp", LINE) == "other.example.com"
    assert strange_host("sip:a@[2001:DB8::1]", LINE) == "2001:db8::1"
    for known in ("sip:a@SIP.example.com", "sip:a@203.0.113.9", "+31201234567", "1000", "x"):
        assert strange_host(known, LINE) is None


def test_a_header_holds_one_plain_line() -> None:
    assert header_value("Ann\r\nX-Evil: 1\t\x00 ok") == "Ann X-Evil: 1 ok"
    assert header_value('say "hi" ${EVAL(x)};q, <a>') == "say hi EVAL(x)q a"
    assert header_value("caf\u00e9") == "caf?"


@given(st.text())
def test_no_header_can_be_broken_out_of(text: str) -> None:
    value = header_value(text)
    assert len(value) <= LONGEST_HEADER
    assert value.isprintable()
    assert value.isascii()
    assert not set(value) & set('"\\;,<>${}[]')


@given(st.text(max_size=80), st.integers(0, 5))
def test_whatever_is_asked_for_a_dial_string_has_no_second_part(text: str, hops: int) -> None:
    for destination in (text, f"sip:{text}@example.com", f"sip:a@{text}", f"+{text}"):
        try:
            found = dial(destination, LINE, hops=hops)
        except Unreachable:
            continue
        for endpoint in found:
            assert not set(endpoint) & set("\r\n\t ,&|<>\"'()^?")
