"""How trunks fare, from what the PBX says."""

from __future__ import annotations

import pytest

from sovereign_ari.domain.trunk_state import (
    AddressState,
    Attempt,
    Registration,
    contact_of,
    fault_of,
    read_attempt,
    registration_of,
)

HEAD = "[2026-11-21 16:24:20.126] WARNING[22303] res_pjsip_outbound_registration.c: "
WHERE = "'sip:a.example:5060' on registration attempt to 'sip:bakery@a.example'"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"Temporal response '401' received from {WHERE}, retrying in '30'", 401),
        (f"'403' Forbidden fatal response received from {WHERE}, retrying in '300' seconds", 403),
        (f"Fatal response '404' received from {WHERE}, stopping outbound registration", 404),
        (f"No response received from {WHERE}, retrying in '30'", None),
    ],
)
def test_the_log_says_why_a_registration_failed(line: str, code: int | None) -> None:
    expected = Attempt("sip:a.example:5060", "sip:bakery@a.example", code)
    assert read_attempt(HEAD + line) == expected


@pytest.mark.parametrize("line", ["", HEAD + "Authentication credentials not accepted"])
def test_other_lines_say_nothing(line: str) -> None:
    assert read_attempt(line) is None


REFUSED = Attempt("sip:a.example:5060", "sip:b@a.example", 401)
SILENT = Attempt("sip:a.example:5060", "sip:b@a.example", None)


@pytest.mark.parametrize(
    ("status", "last", "expected"),
    [
        ("Registered", REFUSED, Registration.REGISTERED),
        ("Rejected", REFUSED, Registration.REJECTED),
        ("Rejected", None, Registration.REJECTED),
        ("Rejected", SILENT, Registration.UNREGISTERED),
        ("Unregistered", None, Registration.TRYING),
        (None, None, Registration.UNKNOWN),
    ],
)
def test_a_registration_is_what_the_pbx_says_of_it(
    status: str | None, last: Attempt | None, expected: Registration
) -> None:
    assert registration_of(status, last) is expected


def test_a_contact_tells_whether_it_answers_and_how_fast() -> None:
    events = [
        {"Event": "EndpointDetail"},
        {"Event": "ContactStatusDetail", "Status": "Reachable", "RoundtripUsec": "8421"},
    ]
    assert contact_of(events, "a:1") == AddressState("a:1", reachable=True, latency_ms=8.4)
    gone = [{"Event": "ContactStatusDetail", "Status": "Unreachable", "RoundtripUsec": "N/A"}]
    assert contact_of(gone, "a:1") == AddressState("a:1", reachable=False)
    assert contact_of([], "a:1") == AddressState("a:1")


def test_the_fault_names_the_registration_before_the_addresses() -> None:
    silent = AddressState("b:5060", reachable=False)
    there = AddressState("a:5060", reachable=True)
    refused = fault_of(Registration.REJECTED, REFUSED, [silent])
    assert refused == (
        "a.example:5060 refuses REGISTER with 401: auth_username or auth_password is wrong"
    )
    nobody = fault_of(Registration.UNREGISTERED, SILENT, [])
    assert nobody == "a.example:5060 does not answer REGISTER"
    one = fault_of(Registration.REGISTERED, REFUSED, [there, silent])
    assert one == "b:5060: no answer to OPTIONS"
    assert fault_of(Registration.NONE, None, [there]) is None
