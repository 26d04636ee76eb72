"""`/numbers` over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.support.api import Api, running_api

PATH = "/api/v1/numbers"
NUMBER = "+31201234567"
SOMEBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


@pytest.fixture
async def assistant_id(api: Api) -> str:
    made = await api.ask(
        "POST", "/api/v1/assistants", {"name": "Reception", "business_name": "Bakery"}
    )
    found: str = made[1]["assistant"]["id"]
    return found


@pytest.mark.parametrize("number", ["phone_number", "number"])
@pytest.mark.parametrize("assistant", ["assistant_id", "agent_id"])
async def test_a_number_is_made_with_either_spelling(
    api: Api, assistant_id: str, number: str, assistant: str
) -> None:
    fields = {number: NUMBER, assistant: assistant_id.upper(), "name": "Front desk"}
    status, body = await api.ask("POST", PATH, fields)
    made = body["number"]
    assert status == 201
    assert await api.ask("GET", f"{PATH}/{made['id']}") == (200, {"number": made})
    assert await api.ask("GET", PATH) == (200, {"numbers": [made]})
    for name in ("id", "created_at", "updated_at"):
        made.pop(name)
    assert made == {
        "phone_number": NUMBER,
        "name": "Front desk",
        "assistant_id": assistant_id,
        "assistant_name": "Reception",
        "agent_id": assistant_id,
        "agent_name": "Reception",
        "business_name": "Bakery",
        "transfer_trunk_id": None,
        "transfer_trunk_name": None,
        "workflow_id": None,
        "workflow_name": None,
        "source": None,
        "is_active": True,
    }


async def test_two_spellings_may_agree_but_not_contradict(api: Api, assistant_id: str) -> None:
    both = {"phone_number": NUMBER, "assistant_id": assistant_id, "agent_id": SOMEBODY}
    status, body = await api.ask("POST", PATH, both)
    assert status == 400
    assert body["details"] == ["assistant_id: assistant_id and agent_id have different values"]
    assert (await api.ask("POST", PATH, both | {"agent_id": assistant_id}))[0] == 201


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "phone_number: is required"),
        ({"phone_number": "0201234567"}, "phone_number: "),
        ({"phone_number": "+0201234567"}, "phone_number: "),
        ({"phone_number": "+316"}, "phone_number: "),
        ({"phone_number": "+1234567890123456"}, "phone_number: "),
        ({"phone_number": "+31 20 123 4567"}, "phone_number: "),
        ({"phone_number": NUMBER + "\n"}, "phone_number: "),
        ({"phone_number": "+٣١٢٠١٢٣٤٥٦٧"}, "phone_number: "),
        ({"phone_number": 31201234567}, "phone_number: "),
        ({"phone_number": NUMBER, "assistant_id": "me"}, "assistant_id: is not a UUID"),
        ({"phone_number": NUMBER, "is_active": None}, "is_active: "),
        ({"phone_number": NUMBER, "asistant_id": None},
         "asistant_id: unknown field; did you mean assistant_id?"),
    ],
)  # fmt: skip
async def test_a_bad_number_is_refused(api: Api, fields: dict[str, Any], line: str) -> None:
    status, body = await api.ask("POST", PATH, fields)
    assert status == 400
    assert body["details"][0].startswith(line)


@pytest.mark.parametrize(
    "written",
    ["0031201234567", "31201234567", "+31 20 123 4567", "+31-20-1234567", "(+31) 201234567",
     "+31 (0)20 1234567", "tel:+31201234567", "011 31 20 123 4567", "+٣١٢٠١٢٣٤٥٦٧",
     " +31201234567", "+31201234567\n"],
)  # fmt: skip
@pytest.mark.parametrize("field", ["phone_number", "number"])
async def test_a_number_in_another_form_is_refused_with_the_one_that_was_meant(
    api: Api, written: str, field: str
) -> None:
    status, body = await api.ask("POST", PATH, {field: written})
    assert status == 400
    assert body["details"] == [
        "phone_number: is not a number in E.164 form; did you mean +31201234567?"
    ]
    assert body["error"]["param"] == "phone_number"


@pytest.mark.parametrize("written", ["020 123 4567", "0201234567", "+0201234567", "abc", "", "+"])
async def test_a_number_whose_country_is_not_known_is_refused_with_an_example(
    api: Api, written: str
) -> None:
    _, body = await api.ask("POST", PATH, {"phone_number": written})
    assert body["details"] == ["phone_number: is not a number in E.164 form, such as +31201234567"]


async def test_a_number_exists_once(api: Api) -> None:
    made = (await api.ask("POST", PATH, {"phone_number": NUMBER, "name": "Secret"}))[1]["number"]
    other = await api.another_tenant()
    for tenant in (api, other):
        status, body = await tenant.ask("POST", PATH, {"phone_number": NUMBER})
        assert (status, body["error"]["code"]) == (409, "conflict")
        assert body["message"] == f"the number {NUMBER} exists already"
    assert await other.ask("GET", PATH) == (200, {"numbers": []})
    own = f"{PATH}/{made['id']}"
    assert (await other.ask("GET", own))[0] == 404
    assert (await other.ask("PATCH", own, {"name": "Mine"}))[0] == 404
    assert (await other.ask("DELETE", own))[0] == 404
    assert (await api.ask("GET", own))[1]["number"] == made


async def test_a_number_added_several_times_at_once_exists_once(api: Api) -> None:
    other = await api.another_tenant()
    answers = await asyncio.gather(
        *(tenant.ask("POST", PATH, {"phone_number": NUMBER}) for tenant in [api, other] * 3)
    )
    assert sorted(status for status, _ in answers) == [201, 409, 409, 409, 409, 409]
    kept = [*(await api.ask("GET", PATH))[1]["numbers"]]
    kept += (await other.ask("GET", PATH))[1]["numbers"]
    assert [number["phone_number"] for number in kept] == [NUMBER]


async def test_two_changes_of_different_fields_both_stay(api: Api, assistant_id: str) -> None:
    made = (await api.ask("POST", PATH, {"phone_number": NUMBER}))[1]["number"]
    path = f"{PATH}/{made['id']}"
    changes: list[dict[str, Any]] = [
        {"name": "Desk"}, {"is_active": False}, {"assistant_id": assistant_id},
    ]  # fmt: skip
    answers = await asyncio.gather(*(api.ask("PATCH", path, change) for change in changes))
    assert {status for status, _ in answers} == {200}
    kept = (await api.ask("GET", path))[1]["number"]
    for change in changes:
        assert kept == kept | change


async def test_a_number_names_its_trunk_and_its_workflow(api: Api) -> None:
    trunk = {"name": "Carrier", "address": "sip.example.com"}
    trunk_id = (await api.ask("POST", "/api/v1/sip-trunks", trunk))[1]["trunk"]["id"]
    async with api.pool.acquire() as connection:
        workflow_id = str(await connection.fetchval(
            "INSERT INTO workflows (organisation_id, name, definition) VALUES ($1, 'Menu', '{}')"
            " RETURNING id", api.organisation_id,
        ))  # fmt: skip
    fields = {"transfer_trunk_id": trunk_id, "workflow_id": workflow_id}
    status, body = await api.ask("POST", PATH, {"phone_number": NUMBER, **fields})
    made = body["number"]
    named = fields | {"transfer_trunk_name": "Carrier", "workflow_name": "Menu"}
    assert (status, made) == (201, made | named)
    path = f"{PATH}/{made['id']}"
    detached = {"workflow_id": None, "transfer_trunk_id": None}
    status, body = await api.ask("PATCH", path, detached)
    names = {"transfer_trunk_name": None, "workflow_name": None}
    assert (status, body["number"]) == (200, body["number"] | detached | names)
    attached = (await api.ask("PATCH", path, fields))[1]["number"]
    assert attached == attached | named


@pytest.mark.parametrize("field", ["assistant_id", "agent_id", "transfer_trunk_id", "workflow_id"])
async def test_what_another_tenant_has_is_not_there(
    api: Api, assistant_id: str, field: str
) -> None:
    theirs = await api.another_tenant()
    async with api.pool.acquire() as connection:
        rows = {
            "assistant_id": assistant_id,
            "agent_id": assistant_id,
            "transfer_trunk_id": (await api.ask(
                "POST", "/api/v1/sip-trunks", {"name": "c", "address": "sip.example.com"}
            ))[1]["trunk"]["id"],
            "workflow_id": str(await connection.fetchval(
                "INSERT INTO workflows (organisation_id, name, definition)"
                " VALUES ($1, 'Menu', '{}') RETURNING id", api.organisation_id,
            )),
        }  # fmt: skip
    body = {"phone_number": NUMBER, field: rows[field]}
    assert (await theirs.ask("POST", PATH, body))[0] == 404
    made = (await theirs.ask("POST", PATH, {"phone_number": NUMBER}))[1]["number"]
    path = f"{PATH}/{made['id']}"
    assert (await theirs.ask("PATCH", path, {field: rows[field]}))[0] == 404
    assert (await theirs.ask("GET", path))[1]["number"] == made


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("assistant_id", "assistant"),
        ("transfer_trunk_id", "SIP trunk"),
        ("workflow_id", "workflow"),
    ],
)
async def test_what_a_number_refers_to_must_exist(api: Api, field: str, kind: str) -> None:
    fields = {"phone_number": NUMBER, field: SOMEBODY}
    status, body = await api.ask("POST", PATH, fields)
    assert (status, body["message"]) == (404, f"{field}: no {kind} {SOMEBODY}")
    assert body["error"]["param"] == field
    made = (await api.ask("POST", PATH, {"phone_number": NUMBER}))[1]["number"]
    status, body = await api.ask("PATCH", f"{PATH}/{made['id']}", {field: SOMEBODY})
    assert (status, body["message"]) == (404, f"{field}: no {kind} {SOMEBODY}")


async def test_patch_changes_only_what_it_names(api: Api, assistant_id: str) -> None:
    fields = {"phone_number": NUMBER, "assistant_id": assistant_id, "name": "Desk"}
    made = (await api.ask("POST", PATH, fields))[1]["number"]
    path = f"{PATH}/{made['id']}"
    changed = (await api.ask("PATCH", path, {"is_active": False}))[1]["number"]
    assert changed | {"updated_at": made["updated_at"]} == made | {"is_active": False}
    cleared = (await api.ask("PATCH", path, {"agent_id": None, "workflow_id": None}))[1]["number"]
    assert (cleared["assistant_id"], cleared["name"]) == (None, "Desk")
    status, body = await api.ask("PATCH", path, {"phone_number": "+31207654321"})
    assert (status, body["error"]["param"]) == (400, "phone_number")


async def test_a_deleted_number_is_gone(api: Api) -> None:
    made = (await api.ask("POST", PATH, {"phone_number": NUMBER}))[1]["number"]
    path = f"{PATH}/{made['id']}"
    assert await api.ask("DELETE", path) == (200, {"success": True})
    assert (await api.ask("DELETE", path))[0] == 404
    assert (await api.ask("POST", PATH, {"phone_number": NUMBER}))[0] == 201
