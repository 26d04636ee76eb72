"""Accounts of SIP trunks over HTTP, how trunks fare, and who may remove one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from db.trunk_states import write_shared, write_states
from sovereign_ari.domain.trunk_state import AddressState, Registration, TrunkState
from tests.support.api import Api, running_api

PATH = "/api/v1/sip-trunks"
BASE = {"name": "Carrier", "address": "sip.example.com"}
ACCOUNT = {"auth_username": "bakery", "auth_password": "correct horse"}


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def create(api: Api, **fields: Any) -> dict[str, Any]:
    status, body = await api.ask("POST", PATH, BASE | fields)
    assert status == 201, body
    trunk: dict[str, Any] = body["trunk"]
    return trunk


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"auth_username": 'a"b'}, "auth_username: holds what no user's name has"),
        ({"auth_username": "a;b"}, "auth_username: holds what no user's name has"),
        ({"auth_username": "a b"}, "auth_username: holds what no user's name has"),
        ({"auth_username": "a\r\nContact: x"}, "auth_username: holds a line break"),
        ({"auth_username": "b\u00e4cker"}, "auth_username: holds what no user's name has"),
        ({"register": True}, "register: needs auth_username and auth_password"),
        ({"register": True, "auth_username": "a"}, "register: needs"),
        ({"register": "yes"}, "register: "),
        ({"inbound_auth": True}, "inbound_auth: needs auth_username and auth_password"),
        (ACCOUNT | {"inbound_auth": True, "auth_username": "softphone"},
         "auth_username: softphone is a name of the PBX itself"),
        (ACCOUNT | {"inbound_auth": True, "auth_username": "trunk-1"},
         "auth_username: trunk-1 is a name of the PBX itself"),
        (ACCOUNT | {"inbound_auth": True, "auth_username": "a@b"}, "auth_username: with"),
        ({"media_encryption": "dtls"}, "media_encryption: "),
        ({"inbound_addresses": ["0.0.0.0/0"]}, "inbound_addresses[0]: is wider than a /16"),
        ({"inbound_addresses": ["2000::/3"]}, "inbound_addresses[0]: is wider than a /32"),
    ],
)  # fmt: skip
async def test_an_account_that_cannot_work_is_refused_and_nothing_is_kept(
    api: Api, fields: dict[str, Any], line: str
) -> None:
    status, body = await api.ask("POST", PATH, BASE | fields)
    assert status == 400, body
    assert body["details"][0].startswith(line)
    assert await api.ask("GET", PATH) == (200, {"trunks": []})


async def test_a_change_that_takes_the_account_from_a_trunk_that_needs_it_is_refused(
    api: Api,
) -> None:
    trunk = await create(api, **ACCOUNT, inbound_auth=True, register=False)
    path = f"{PATH}/{trunk['id']}"
    status, body = await api.ask("PATCH", path, {"auth_password": None})
    assert (status, body["error"]["param"]) == (400, "inbound_auth")
    change = {"auth_password": None, "inbound_auth": False}
    status, body = await api.ask("PATCH", path, change)
    assert (status, body["trunk"]["inbound_auth"]) == (200, False)


async def test_a_name_that_callers_are_told_apart_by_is_given_once(api: Api) -> None:
    await create(api, **ACCOUNT, inbound_auth=True)
    other = await api.another_tenant()
    await create(other, **ACCOUNT)  # without inbound_auth anybody may have it
    status, body = await other.ask("POST", PATH, BASE | ACCOUNT | {"inbound_auth": True})
    assert (status, body["error"]["code"]) == (409, "conflict")
    assert "auth_username is taken" in body["message"]


async def seen(api: Api, trunk: str, node: str, state: TrunkState) -> None:
    async with api.pool.acquire() as connection:
        await write_shared(connection, node, [trunk], {})
        await write_states(connection, node, {trunk: state})


async def test_the_state_sums_up_what_the_nodes_see_and_is_walled_off(api: Api) -> None:
    trunk = (await create(api))["id"]
    there = AddressState("a:5060", reachable=True, latency_ms=20.5)
    gone = AddressState("a:5060", reachable=False)
    await seen(api, trunk, "one", TrunkState(Registration.REGISTERED, (there,), None, 2))
    await seen(api, trunk, "two", TrunkState(Registration.REJECTED, (gone,), "it refuses", 1))
    state = (await api.ask("GET", f"{PATH}/{trunk}"))[1]["trunk"]["state"]
    assert state["last_error_at"] is not None
    nodes = state.pop("nodes")
    del state["last_error_at"]
    assert state == {
        "registration": "rejected",
        "reachable": True,
        "latency_ms": 20.5,
        "calls": 3,
        "last_error": "it refuses",
    }
    assert [(node["node"], node["registration"], node["calls"]) for node in nodes] == [
        ("one", "registered", 2),
        ("two", "rejected", 1),
    ]
    assert nodes[0]["addresses"] == [{"address": "a:5060", "reachable": True, "latency_ms": 20.5}]
    listed = (await api.ask("GET", PATH))[1]["trunks"][0]["state"]
    assert listed["calls"] == 3
    other = await api.another_tenant()
    own = (await create(other))["state"]
    assert own["registration"] == "unknown"
    assert "it refuses" not in json.dumps(await other.ask("GET", PATH))


async def test_an_error_stays_with_its_time_when_all_is_well_again(api: Api) -> None:
    trunk = (await create(api))["id"]
    bad = TrunkState(Registration.REJECTED, (), "it refuses", 0)
    await seen(api, trunk, "one", bad)
    before = (await api.ask("GET", f"{PATH}/{trunk}"))[1]["trunk"]["state"]
    await seen(api, trunk, "one", TrunkState(Registration.REGISTERED, (), None, 0))
    after = (await api.ask("GET", f"{PATH}/{trunk}"))[1]["trunk"]["state"]
    assert after["registration"] == "registered"
    for name in ("last_error", "last_error_at"):
        assert after[name] == before[name]


async def test_a_node_that_has_not_looked_lately_knows_nothing(api: Api) -> None:
    trunk = (await create(api))["id"]
    await seen(api, trunk, "one", TrunkState(Registration.REGISTERED, (), None, 2))
    async with api.pool.acquire() as connection:
        await connection.execute("UPDATE trunk_states SET seen_at = now() - interval '1 minute'")
    state = (await api.ask("GET", f"{PATH}/{trunk}"))[1]["trunk"]["state"]
    assert (state["registration"], state["calls"], state["nodes"]) == ("unknown", 0, [])


async def test_a_trunk_with_live_calls_stays(api: Api) -> None:
    trunk = (await create(api))["id"]
    await seen(api, trunk, "one", TrunkState(Registration.NONE, (), None, 2))
    status, body = await api.ask("DELETE", f"{PATH}/{trunk}")
    assert (status, body["error"]["code"]) == (409, "conflict")
    assert "2 calls go over the SIP trunk Carrier" in body["message"]
    await seen(api, trunk, "one", TrunkState(Registration.NONE, (), None, 0))
    assert await api.ask("DELETE", f"{PATH}/{trunk}") == (200, {"success": True})
