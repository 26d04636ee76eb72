"""`/sip-trunks` over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from api.resources.trunk_addresses import parse_address
from db.sip_trunks import TRUNKS, bound_to
from sovereign_ari.outgoing.trunks import MAY_BE_ALLOWED
from tests.support.api import VAULT, Api, running_api

PATH = "/api/v1/sip-trunks"
NUMBERS = "/api/v1/numbers"
SECRET = "correct horse battery"
NAMED = {"name": "Carrier"}


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def create(api: Api, **fields: Any) -> dict[str, Any]:
    status, body = await api.ask("POST", PATH, NAMED | fields)
    assert status == 201, body
    trunk: dict[str, Any] = body["trunk"]
    return trunk


async def test_the_newest_form_is_answered_with_the_keys_of_every_generation(api: Api) -> None:
    trunk = await create(
        api, provider="voipgrid", address="sip.example.com", auth_username="u",
        auth_password=SECRET, transport="tls",
    )  # fmt: skip
    shown = {"trunk": trunk, "sip_trunk": trunk}
    assert await api.ask("GET", f"{PATH}/{trunk['id']}") == (200, shown)
    assert await api.ask("GET", PATH) == (200, {"trunks": [trunk]})
    for name in ("id", "created_at", "updated_at"):
        trunk.pop(name)
    assert trunk == {
        "org_id": api.organisation_id,
        "name": "Carrier",
        "provider": "voipgrid",
        "address": "sip.example.com",
        "outbound_address": "sip.example.com",
        "addresses": ["sip.example.com:5061"],
        "host": "sip.example.com",
        "port": 5061,
        "transport": "tls",
        "auth_username": "u",
        "username": "u",
        "inbound_addresses": [],
        "outbound_number": None,
        "register": None,
        "inbound_auth": False,
        "media_encryption": None,
        "is_active": True,
        "state": {
            "registration": "unknown",
            "reachable": None,
            "latency_ms": None,
            "calls": 0,
            "last_error": None,
            "last_error_at": None,
            "nodes": [],
        },
    }


@pytest.mark.parametrize(
    ("fields", "addresses", "transport"),
    [
        ({"address": "sip.example.com"}, ["sip.example.com:5060"], "udp"),
        ({"address": "sip.example.com:5080"}, ["sip.example.com:5080"], "udp"),
        ({"outbound_address": "sip.example.com"}, ["sip.example.com:5060"], "udp"),
        ({"host": "sip.example.com"}, ["sip.example.com:5060"], "udp"),
        ({"host": "sip.example.com", "port": 5080}, ["sip.example.com:5080"], "udp"),
        ({"host": "sip.example.com:5080", "port": 5080}, ["sip.example.com:5080"], "udp"),
        ({"host": "2001:db8::1", "port": 5080}, ["[2001:db8::1]:5080"], "udp"),
        ({"address": "sip.example.com", "port": 5080}, ["sip.example.com:5080"], "udp"),
        ({"address": "sips:sip.example.com"}, ["sip.example.com:5061"], "tls"),
        ({"address": "sip:a.example;transport=tcp"}, ["a.example:5060"], "tcp"),
        ({"address": ["a.example", "b.example:5070"]},
         ["a.example:5060", "b.example:5070"], "udp"),
        ({"addresses": ["a.example", "b.example"]}, ["a.example:5060", "b.example:5060"], "udp"),
        ({"address": "a.example", "outbound_address": "a.example:5060", "host": "A.example",
          "port": 5060, "addresses": ["a.example", "b.example"]},
         ["a.example:5060", "b.example:5060"], "udp"),
    ],
)  # fmt: skip
async def test_an_address_may_be_written_in_every_documented_way(
    api: Api, fields: dict[str, Any], addresses: list[str], transport: str
) -> None:
    trunk = await create(api, **fields)
    assert (trunk["addresses"], trunk["transport"]) == (addresses, transport)
    host, _, port = addresses[0].rpartition(":")
    assert (trunk["host"], trunk["port"]) == (host, int(port))
    assert trunk["address"] == trunk["outbound_address"]


@pytest.mark.parametrize("username", ["username", "auth_username"])
@pytest.mark.parametrize("password", ["password", "auth_password"])
async def test_a_password_is_sealed_and_never_shown(
    api: Api, username: str, password: str
) -> None:
    trunk = await create(api, host="a.example", **{username: "bakery", password: SECRET})
    assert (trunk["username"], trunk["auth_username"]) == ("bakery", "bakery")
    changed = await api.ask("PATCH", f"{PATH}/{trunk['id']}", {password: SECRET + "2"})
    shown = json.dumps([trunk, changed, await api.ask("GET", PATH)])
    assert "password" not in shown
    assert SECRET not in shown
    async with api.pool.acquire() as connection:
        place = (api.organisation_id, trunk["id"])
        sealed = await TRUNKS.sealed(connection, *place, "auth_password")
        assert sealed is not None
        assert VAULT.open(sealed, bound_to(*place)).decode() == SECRET + "2"
        await api.ask("PATCH", f"{PATH}/{trunk['id']}", {"auth_password": None})
        assert await TRUNKS.sealed(connection, *place, "auth_password") is None


async def test_the_trunk_of_an_older_sdk_is_kept_whole(api: Api) -> None:
    fields = {
        "provider": "twilio",
        "inbound_addresses": ["203.0.113.0/24", "SBC.example.com", "2001:db8::1"],
        "outbound_address": "example.pstn.example.com",
        "outbound_number": "+31201234567",
        "auth_username": "u",
        "auth_password": SECRET,
    }
    trunk = await create(api, **fields)
    assert trunk["inbound_addresses"] == ["203.0.113.0/24", "sbc.example.com", "2001:db8::1"]
    assert trunk["outbound_number"] == "+31201234567"
    assert trunk["provider"] == "twilio"


ADDRESS = {"address": "sip.example.com"}


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "address: is required"),
        ({"port": 5060}, "address: is required"),
        ({"address": 5}, "address: is not a text or a list of texts"),
        ({"address": None}, "address: is not a text or a list of texts"),
        ({"address": []}, "address: "),
        ({"address": ["a.example"] * 17}, "address: "),
        ({"address": ["a.example", "b c"]}, "address[1]: holds a space"),
        ({"address": ""}, "address: names no host"),
        ({"address": "sip:u:p@a.example"}, "address: must not hold a user or password"),
        ({"address": "http://a.example"}, "address: is not a host, host:port or SIP URI"),
        ({"address": "a.example\r\n"}, "address: holds a space, a line break"),
        ({"host": "a.example", "port": 0}, "port: "),
        ({"host": "a.example", "port": "5060"}, "port: "),
        ({"host": "a.example", "port": 65536}, "port: "),
        ({"host": "a.example", "address": "b.example"},
         "address: address and host have different values"),
        ({"outbound_address": "a.example", "address": "b.example"},
         "address: address and outbound_address have different values"),
        ({"address": "a.example:5080", "port": 5060},
         "port: port and address have different values"),
        ({"address": "sips:a.example", "transport": "tcp"},
         "transport: transport and address have different values"),
        ({"address": ["sip:a.example;transport=tcp", "sips:b.example"]},
         "address: names different transports"),
        (ADDRESS | {"transport": "ws"}, "transport: "),
        (ADDRESS | {"username": "a", "auth_username": "b"},
         "auth_username: auth_username and username have different values"),
        (ADDRESS | {"auth_username": "a\r\nb"}, "auth_username: holds a line break"),
        (ADDRESS | {"password": "a\nb"}, "auth_password: holds a line break"),
        (ADDRESS | {"name": "a\nb"}, "name: holds a line break"),
        (ADDRESS | {"name": ""}, "name: "),
        (ADDRESS | {"provider": ""}, "provider: "),
        (ADDRESS | {"outbound_number": "0201234567"}, "outbound_number: is not a number in E.164"),
        (ADDRESS | {"inbound_addresses": ["203.0.113.7/24"]}, "inbound_addresses[0]: "),
        (ADDRESS | {"inbound_addresses": "203.0.113.7"}, "inbound_addresses: "),
        (ADDRESS | {"inbound_addresses": ["a.example"] * 65}, "inbound_addresses: "),
        (ADDRESS | {"is_active": None}, "is_active: "),
        ({"adress": "a.example"}, "adress: unknown field; did you mean address?"),
        (ADDRESS | {"pasword": "x"}, "pasword: unknown field; did you mean password?"),
    ],
)  # fmt: skip
async def test_a_trunk_that_cannot_work_is_refused_by_field(
    api: Api, fields: dict[str, Any], line: str
) -> None:
    status, body = await api.ask("POST", PATH, NAMED | fields)
    assert status == 400, body
    assert body["details"][0].startswith(line)
    assert await api.ask("GET", PATH) == (200, {"trunks": []})


async def test_a_refusal_does_not_repeat_a_password(api: Api) -> None:
    fields = {"name": "x", "address": f"sip:u:{SECRET[:7]}@a.example", "auth_password": 5}
    _, body = await api.ask("POST", PATH, fields)
    assert SECRET[:7] not in json.dumps(body)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"name": "Other"}, {"name": "Other"}),
        ({"transport": "tls"}, {"transport": "tls"}),
        ({"port": 5070}, {"port": 5070, "address": "a.example:5070"}),
        ({"host": "b.example"}, {"host": "b.example", "port": 5080, "address": "b.example:5080"}),
        ({"address": "b.example"}, {"host": "b.example", "port": 5060, "address": "b.example"}),
        ({"address": "sips:b.example"}, {"transport": "tls", "port": 5061, "host": "b.example"}),
        ({"username": None, "provider": None, "inbound_addresses": None},
         {"auth_username": None, "username": None, "provider": None, "inbound_addresses": []}),
        ({"is_active": False}, {"is_active": False}),
    ],
)  # fmt: skip
async def test_patch_changes_only_what_it_names(
    api: Api, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    trunk = await create(
        api, address="a.example:5080", username="u", password="p", provider="x",
        inbound_addresses=["203.0.113.7"],
    )  # fmt: skip
    status, body = await api.ask("PATCH", f"{PATH}/{trunk['id']}", change)
    assert status == 200, body
    changed = body["trunk"]
    assert {name: changed[name] for name in expected} == expected
    same = trunk.keys() - expected.keys() - {"updated_at"}
    if not {"address", "host", "port"} & change.keys():
        assert {name: changed[name] for name in same} == {name: trunk[name] for name in same}
    assert (await api.ask("GET", f"{PATH}/{trunk['id']}"))[1]["trunk"] == changed


async def test_a_port_that_was_not_named_follows_the_transport(api: Api) -> None:
    trunk = await create(api, address="a.example")
    _, body = await api.ask("PATCH", f"{PATH}/{trunk['id']}", {"transport": "tls"})
    assert (body["trunk"]["port"], body["trunk"]["addresses"]) == (5061, ["a.example:5061"])


async def test_what_was_read_can_be_sent_back(api: Api) -> None:
    trunk = await create(api, address=["sips:a.example", "[2001:db8::1]:5070"], username="u")
    kept = ("id", "org_id", "created_at", "updated_at", "state")
    body = {name: value for name, value in trunk.items() if name not in kept}
    status, answer = await api.ask("PATCH", f"{PATH}/{trunk['id']}", body)
    assert status == 200, answer
    assert answer["trunk"]["addresses"] == trunk["addresses"]


async def test_a_port_alone_is_refused_when_there_are_several_addresses(api: Api) -> None:
    trunk = await create(api, address=["a.example", "b.example"])
    status, body = await api.ask("PATCH", f"{PATH}/{trunk['id']}", {"port": 5070})
    assert (status, body["error"]["param"]) == (400, "port")


async def test_a_trunk_in_use_stays_and_its_numbers_are_named(api: Api) -> None:
    trunk = await create(api, **ADDRESS)
    ids = []
    for number in range(7):
        fields = {"phone_number": f"+3120123450{number}", "transfer_trunk_id": trunk["id"]}
        made = (await api.ask("POST", NUMBERS, fields))[1]["number"]
        assert made["transfer_trunk_name"] == "Carrier"
        ids.append(made["id"])
    status, body = await api.ask("DELETE", f"{PATH}/{trunk['id']}")
    assert (status, body["error"]["code"]) == (409, "conflict")
    assert "is used by 7 numbers: +31201234500, +31201234501" in body["message"]
    assert "and 2 more" in body["message"]
    for number_id in ids:
        await api.ask("PATCH", f"{NUMBERS}/{number_id}", {"transfer_trunk_id": None})
    assert await api.ask("DELETE", f"{PATH}/{trunk['id']}") == (200, {"success": True})
    assert (await api.ask("DELETE", f"{PATH}/{trunk['id']}"))[0] == 404


async def test_a_trunk_deleted_while_it_is_attached_leaves_no_number_dangling(api: Api) -> None:
    for attempt in range(8):
        trunk = await create(api, **ADDRESS)
        number = {"phone_number": f"+3120123460{attempt}", "transfer_trunk_id": trunk["id"]}
        attached, deleted = await asyncio.gather(
            api.ask("POST", NUMBERS, number), api.ask("DELETE", f"{PATH}/{trunk['id']}")
        )
        assert (attached[0], deleted[0]) in {(201, 409), (404, 200)}, (attached, deleted)


async def test_two_changes_of_different_fields_both_stay(api: Api) -> None:
    trunk = await create(api, **ADDRESS)
    path = f"{PATH}/{trunk['id']}"
    await asyncio.gather(
        api.ask("PATCH", path, {"port": 5070}),
        api.ask("PATCH", path, {"username": "u"}),
        api.ask("PATCH", path, {"provider": "x"}),
    )
    kept = (await api.ask("GET", path))[1]["trunk"]
    assert (kept["port"], kept["username"], kept["provider"]) == (5070, "u", "x")


async def test_a_tenant_neither_sees_nor_uses_the_trunk_of_another(api: Api) -> None:
    trunk = await create(api, **ADDRESS)
    other = await api.another_tenant()
    path = f"{PATH}/{trunk['id']}"
    assert await other.ask("GET", PATH) == (200, {"trunks": []})
    assert (await other.ask("GET", path))[0] == 404
    assert (await other.ask("PATCH", path, {"name": "Mine"}))[0] == 404
    assert (await other.ask("DELETE", path))[0] == 404
    number = {"phone_number": "+31201234567", "transfer_trunk_id": trunk["id"]}
    assert (await other.ask("POST", NUMBERS, number))[0] == 404
    assert (await api.ask("GET", path))[1]["trunk"] == trunk


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "192.168.0.1:5080", "172.16.0.1", "169.254.169.254", "127.0.0.1", "[::1]",
     "[fd00::1]:5070", "[fe80::1]", "[::ffff:10.0.0.1]", "100.64.0.1", "localhost", "pbx.local",
     "sip:10.1.2.3;transport=tcp"],
)  # fmt: skip
async def test_trunks_of_the_operator_alone_lead_into_its_network(api: Api, address: str) -> None:
    await create(api, address=address)
    tenant = await api.another_tenant()
    body = NAMED | {"address": [address, "sip.example.com"]}
    status, refused = await tenant.ask("POST", PATH, body)
    assert (status, refused["error"]["code"]) == (400, "invalid_request")
    host = parse_address(address).host.strip("[]")
    assert refused["message"].startswith(f"address: {host} is not a public ")
    assert refused["message"].endswith(MAY_BE_ALLOWED)
    trunk = await create(tenant, address="203.0.113.7")
    status, _ = await tenant.ask("PATCH", f"{PATH}/{trunk['id']}", {"address": address})
    assert status == 400


async def test_trunks_of_tenants_lead_where_the_operator_allows(pool: asyncpg.Pool) -> None:
    async with running_api(pool, allow=["10.1.0.0/16"]) as api:
        tenant = await api.another_tenant()
        await create(tenant, address="10.1.2.3")
        status, _ = await tenant.ask("POST", PATH, NAMED | {"address": "10.2.2.3"})
        assert status == 400
