"""Names of trunks in the PBX, and how they are dialled."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.trunk import dial_strings, endpoint_of, trunk_of

TRUNK = "6f0b4f4e-6a3f-4d53-9f3c-0a6f3c1f7a10"


@given(st.uuids(), st.integers(1, 16))
def test_an_endpoint_tells_its_trunk_and_place(trunk: UUID, place: int) -> None:
    assert trunk_of(endpoint_of(str(trunk), place)) == (str(trunk), place)


@pytest.mark.parametrize(
    "name", ["softphone", "local", "trunk", f"trunk-{TRUNK}", "trunk-x-1", ""]
)
def test_other_endpoints_are_of_no_trunk(name: str) -> None:
    assert trunk_of(name) is None


def test_a_number_is_dialled_over_every_address_in_order_and_then_all_the_same() -> None:
    one, two = (f"PJSIP/+31201234567@trunk-{TRUNK}-{place}" for place in (1, 2))
    assert dial_strings(TRUNK, ["a", "b"], "+31201234567") == (
        one,
        two,
        f"{one}/trunk-{TRUNK}-1-anyway",
        f"{two}/trunk-{TRUNK}-2-anyway",
    )


@pytest.mark.parametrize(
    "uri", ["sip:desk@example.com", "sips:desk@example.com:5061", "sip:[2001:db8::1]:5080"]
)
def test_a_sip_uri_is_dialled_as_it_is(uri: str) -> None:
    assert dial_strings(TRUNK, ["a"], uri) == (f"PJSIP/trunk-{TRUNK}-1/{uri}",)


@pytest.mark.parametrize(
    "destination",
    ["", "bakery", "+31 20", "+31\r\nX: y", "+31@evil.example", "+31&PJSIP/x", "sip:u:p@a.example",
     "sip:a@b;transport=tcp", "sip:a@b,c", "sip:a@b\r\nX: y", 'sip:"a"@b', "sip:a@b?Replaces=1"],
)  # fmt: skip
def test_what_is_no_destination_is_refused(destination: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        dial_strings(TRUNK, ["a"], destination)


@given(st.text(max_size=40))
def test_no_text_smuggles_anything_into_a_dial_string(text: str) -> None:
    try:
        dialled = dial_strings(TRUNK, ["a"], text)
    except ValueError:
        return
    assert all(re.fullmatch(r"[A-Za-z0-9_.!~*'+%@:/#\[\]-]+", string) for string in dialled)
