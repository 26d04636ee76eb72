"""What the PBX must hold for trunks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.bundle.asterisk_config import SOURCE
from sovereign_ari.domain.trunk_objects import (
    CONTACT_USER,
    ORDER,
    SHARED_PREFIX,
    Place,
    Trunk,
    lay_out,
    registrar_of,
    relatives,
)
from sovereign_ari.domain.trunk_sources import sources_of

ONE = "6f0b4f4e-6a3f-4d53-9f3c-0a6f3c1f7a10"
TWO = "7f0b4f4e-6a3f-4d53-9f3c-0a6f3c1f7a11"
CARRIER = ip_network("203.0.113.0/28")
TRUNK = Trunk(
    ONE,
    (Place("sip.example.com", 5060), Place("[2001:db8::1]", 5070)),
    "udp",
    username="bakery",
    password="secret",
    registers=True,
    number="+31201234567",
    sources=frozenset({CARRIER}),
)


def held(*trunks: Trunk, at: int = 1) -> dict[tuple[str, str], dict[str, list[str]]]:
    """All objects, with the values of each field."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for thing in lay_out(trunks, {ONE: at}).objects:
        fields: dict[str, list[str]] = {}
        for key, value in thing.fields:
            fields.setdefault(key, []).append(value)
        found[thing.kind, thing.slot] = fields
    return found


def test_a_registering_trunk_has_an_endpoint_for_each_address_and_one_registration() -> None:
    things = held(TRUNK)
    assert list(things) == [
        ("auth", f"trunk-{ONE}"),
        ("aor", f"trunk-{ONE}-1"),
        ("aor", f"trunk-{ONE}-1-anyway"),
        ("aor", f"trunk-{ONE}-2"),
        ("aor", f"trunk-{ONE}-2-anyway"),
        ("endpoint", f"trunk-{ONE}-1"),
        ("endpoint", f"trunk-{ONE}-2"),
        ("identify", f"trunk-{ONE}"),
        ("registration", f"trunk-{ONE}"),
    ]
    assert things["aor", f"trunk-{ONE}-2"]["contact"] == ["sip:[2001:db8::1]:5070"]
    assert things["aor", f"trunk-{ONE}-2-anyway"] == {"contact": ["sip:[2001:db8::1]:5070"]}
    assert things["identify", f"trunk-{ONE}"]["match"] == ["203.0.113.0/28"]
    endpoint = things["endpoint", f"trunk-{ONE}-2"]
    assert endpoint["outbound_auth"] == [f"trunk-{ONE}"]
    assert (endpoint["accountcode"], endpoint["tenantid"]) == ([ONE], ["+31201234567"])
    registration = things["registration", f"trunk-{ONE}"]
    assert registration["server_uri"] == ["sip:sip.example.com:5060"]
    assert registration["client_uri"] == ["sip:bakery@sip.example.com"]
    assert registration["line"] == ["yes"]
    assert held(TRUNK, at=2)["registration", f"trunk-{ONE}"]["server_uri"] == [
        "sip:[2001:db8::1]:5070"
    ]


def test_objects_come_after_those_that_they_name() -> None:
    kinds = [thing.kind for thing in lay_out([TRUNK], {}).objects]
    assert kinds == sorted(kinds, key=ORDER.index)


def test_a_trunk_without_an_account_is_known_by_its_address_alone() -> None:
    kinds = {kind for kind, _ in held(replace(TRUNK, username=None, password=None))}
    assert kinds == {"aor", "endpoint", "identify"}


@pytest.mark.parametrize(("transport", "ends"), [("tcp", ";transport=tcp"), ("tls", "tls")])
def test_the_transport_stands_in_every_uri(transport: str, ends: str) -> None:
    things = held(replace(TRUNK, transport=transport, encrypted=transport == "tls"))
    assert things["aor", f"trunk-{ONE}-1"]["contact"][0].endswith(ends)
    assert things["registration", f"trunk-{ONE}"]["server_uri"][0].endswith(ends)
    endpoint = things["endpoint", f"trunk-{ONE}-1"]
    assert endpoint["transport"] == [transport]
    assert endpoint["media_encryption"] == ["sdes" if transport == "tls" else "no"]


def test_callers_with_an_account_are_asked_for_it_from_where_they_may_come() -> None:
    things = held(replace(TRUNK, inbound_auth=True, registers=False))
    endpoint = things["endpoint", "bakery"]
    assert endpoint["auth"] == [f"trunk-{ONE}"]
    assert endpoint["identify_by"] == ["auth_username"]
    assert endpoint["permit"] == ["203.0.113.0/28"]
    assert "0.0.0.0/0.0.0.0" in endpoint["deny"]
    assert not any(kind == "identify" for kind, _ in things), "the address alone proves nothing"


def test_trunks_of_one_carrier_share_the_endpoint_of_its_calls_only() -> None:
    inside = ip_network("203.0.113.4/32")
    other = replace(TRUNK, id=TWO, sources=frozenset({inside}), encrypted=True)
    layout = lay_out([TRUNK, other], {})
    name = layout.shared[ONE]
    assert layout.shared == {ONE: name, TWO: name}
    assert name.startswith(SHARED_PREFIX)
    things = held(TRUNK, other)
    assert [key for key in things if key[0] == "identify"] == [("identify", name)]
    assert things["endpoint", name]["accountcode"] == [name]
    assert things["endpoint", name]["media_encryption_optimistic"] == ["yes"]
    assert ("endpoint", f"trunk-{TWO}-1") in things
    third = replace(other, id="8f0b4f4e-6a3f-4d53-9f3c-0a6f3c1f7a12")
    assert lay_out([third, other, TRUNK], {}).shared[ONE] == name, "one more is no new endpoint"


def test_the_address_of_this_machine_leads_to_no_trunk() -> None:
    here = frozenset({ip_network("127.0.0.0/16"), ip_network("::1/128")})
    assert not any(kind == "identify" for kind, _ in held(replace(TRUNK, sources=here)))


_NETWORKS = st.builds(
    lambda number, bits: IPv4Network((number, bits), strict=False),
    st.integers(0xCB007100, 0xCB0071FF),
    st.integers(24, 32),
)


@given(st.dictionaries(st.sampled_from("abcdef"), st.sets(_NETWORKS, max_size=4), max_size=6))
def test_every_address_belongs_to_one_source_that_all_its_owners_share(
    networks: dict[str, set[IPv4Network]],
) -> None:
    sources = sources_of(networks)
    for number in range(0xCB007100, 0xCB007200, 7):
        address = ip_address(number)
        owners = {one for one, claimed in networks.items() if _holds(claimed, number)}
        found = [source for source in sources if any(address in net for net in source.networks)]
        assert len(found) == (1 if owners else 0)
        assert all(owners <= set(source.owners) for source in found)


def _holds(networks: Iterable[IPv4Network], number: int) -> bool:
    return any(ip_address(number) in network for network in networks)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_no_account_smuggles_anything_into_a_uri(username: str, password: str) -> None:
    things = held(replace(TRUNK, username=username, password=password))
    registration = things["registration", f"trunk-{ONE}"]
    (client,) = registration["client_uri"]
    assert not re.search(r"[\s\"<>;,?]", client)
    assert client.count("@") == 1
    assert registration["contact_user"] == [CONTACT_USER]
    assert "secret" not in repr(lay_out([TRUNK], {}).objects)


@pytest.mark.parametrize(
    ("reachable", "place"),
    [([], 1), ([None, None], 1), ([False, True], 2), ([False, None], 2), ([False, False], 1),
     ([True, True], 1), ([False, False, True], 3)],
)  # fmt: skip
def test_it_registers_at_the_first_address_that_answers(
    reachable: list[bool | None], place: int
) -> None:
    assert registrar_of(reachable) == place


def test_whatever_a_trunk_had_can_be_named_by_its_endpoints() -> None:
    other = replace(TRUNK, id=TWO)
    for trunks in ([TRUNK], [TRUNK, other]):
        things = held(*trunks)
        named = {key for kind, name in things if kind == "endpoint" for key in relatives(name)}
        assert things.keys() <= named


@given(
    st.booleans(), st.booleans(), st.booleans(), st.sampled_from(["udp", "tcp", "tls"]),
    st.none() | st.just("+31201234567"),
)  # fmt: skip
def test_every_endpoint_of_an_address_names_the_same_fields(
    account: bool, registers: bool, encrypted: bool, transport: str, number: str | None
) -> None:
    trunk = replace(
        TRUNK,
        username="bakery" if account else None,
        registers=registers and account,
        encrypted=encrypted,
        transport=transport,
        number=number,
    )
    endpoint = held(trunk)["endpoint", f"trunk-{ONE}-1"]
    assert endpoint.keys() == held(TRUNK)["endpoint", f"trunk-{ONE}-1"].keys(), (
        "one that is changed by a PUT keeps what the PUT does not name"
    )
    assert all(len(values) == 1 for values in endpoint.values())
    assert not {"set_var", "permit", "deny"} & endpoint.keys()


def test_the_endpoints_are_like_those_of_the_file() -> None:
    text = (SOURCE / "pjsip.conf.in").read_text()
    ours = text.partition("[ours](!)")[2].partition("\n[")[0]
    written = dict(re.findall(r"^(\w+) = ([^;\n]*?)\s*(?:;.*)?$", ours, re.MULTILINE))
    endpoint = {
        key: values[-1] for key, values in held(TRUNK)["endpoint", f"trunk-{ONE}-1"].items()
    }
    alike = written.keys() & endpoint.keys() - {"rewrite_contact", "allow"}
    differs = {key for key in alike if written[key] != endpoint[key]}
    assert differs <= {"outgoing_call_offer_pref"}
    assert endpoint["allow"] == f"!all,{written['allow']}"
