"""`/organizations` and `/account` over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from api.resources.organisations import month_of
from db.journal import write_entries
from db.organisations import (
    create_organisation,
    delete_organisation,
    found_organisation,
    list_organisations,
)
from sovereign_ari.errors import Conflict, NotFound
from tests.support.api import Api, running_api
from tests.support.rows import NOON, a_call_id, an_assistant, answered, closed, later, opened, turn

PATH = "/api/v1/organizations"
SOMEBODY = "00000000-0000-4000-8000-000000000000"
COUNTS = ("monthly_usage_minutes", "active_numbers", "active_agents", "active_calls")


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def a_child(api: Api, name: str = "Bakery") -> Api:
    status, made = await api.ask("POST", PATH, {"name": name})
    assert status == 201
    return Api(api.client, made["api_key"], made["id"], api.pool)


async def a_call(api: Api, number: int, *entries: Any, **changes: Any) -> str:
    call = a_call_id(number)
    async with api.pool.acquire() as connection:
        await write_entries(connection, [opened(api.organisation_id, call, **changes), *entries])
    return call


async def test_an_organisation_is_shown_bare_with_every_documented_key(api: Api) -> None:
    status, body = await api.ask("GET", PATH)
    created = body.pop("created_at")
    assert (status, body.pop("updated_at")) == (200, created)
    assert body == {
        "id": api.organisation_id,
        "name": "Operator",
        "minutes_balance": 1_000_000_000,
        "is_metered": False,
        "monthly_usage_minutes": 0,
        "active_numbers": 0,
        "active_agents": 0,
        "active_assistants": 0,
        "active_calls": 0,
        "has_local_models_access": True,
        "parent_org_id": None,
        "content_retention_days": None,
        "metadata_retention_days": None,
        "webhook_url": None,
        "webhook_secret": None,
        "webhook_events": None,
        "outbound_allowed_prefixes": None,
        "outbound_refused_prefixes": [],
        "outbound_concurrency": 20,
        "outbound_calls_per_second": 5.0,
    }


async def test_the_older_name_has_the_older_keys_too(api: Api) -> None:
    _, body = await api.ask("GET", PATH)
    older = {"email": None, "company_name": "Operator"}
    assert await api.ask("GET", "/api/v1/account") == (200, body | older)


@pytest.mark.parametrize(
    ("query", "listed"), [("", False), ("?include_children=false", False),
                          ("?include_children=true", True)],
)  # fmt: skip
async def test_children_are_listed_when_asked_for(api: Api, query: str, listed: bool) -> None:
    child = await a_child(api)
    status, body = await api.ask("GET", PATH + query)
    assert status == 200
    assert ("children" in body) == listed
    if listed:
        assert [entry["id"] for entry in body["children"]] == [child.organisation_id]


@pytest.mark.parametrize("value", ["1", "yes", "TRUE", "", "null"])
async def test_whether_to_list_children_is_true_or_false(api: Api, value: str) -> None:
    status, body = await api.ask("GET", f"{PATH}?include_children={value}")
    assert (status, body["details"]) == (400, ["include_children: is neither true nor false"])


async def test_usage_is_what_was_talked_since_the_first_of_the_month(api: Api) -> None:
    now = datetime.now(UTC)
    first = month_of(now)
    before, half = first - timedelta(seconds=30), first + timedelta(seconds=90)
    calls = {  # first ring, answer, end
        1: (before, before, half),  # 90 s of it in this month
        2: (before, before, before + timedelta(seconds=10)),  # last month
        3: (first, None, first),  # nobody answered
        4: (now, now - timedelta(minutes=3), None),  # goes on; the clock runs
        5: (now, None, None),  # rings
    }
    async with api.pool.acquire() as connection:
        for number, (at, answer, end) in calls.items():
            status = "ended" if end else "in-progress" if answer else "ringing"
            await connection.execute(
                "INSERT INTO calls (id, organisation_id, direction, controller, dialled, codec,"
                " status, end_reason, created_at, answered_at, ended_at)"
                " VALUES ($1, $2, 'inbound', 'c', '100', 'ulaw', $3, $4, $5, $6, $7)",
                a_call_id(number), api.organisation_id, status,
                "user_hangup" if end else None, at, answer, end,
            )  # fmt: skip
    _, body = await api.ask("GET", PATH)
    running = min(3.0, (now - first).total_seconds() / 60)
    assert body["monthly_usage_minutes"] == pytest.approx(1.5 + running, abs=0.5)
    assert body["active_calls"] == 2


async def test_only_what_is_active_is_counted(api: Api) -> None:
    for active in (True, False):
        await api.ask("POST", "/api/v1/assistants", {"name": "Desk", "is_active": active})
        number = {"phone_number": f"+3120123456{int(active)}", "is_active": active}
        await api.ask("POST", "/api/v1/numbers", number)
    _, body = await api.ask("GET", PATH)
    assert [body[name] for name in COUNTS] == [0, 1, 1, 0]


async def test_a_parent_reads_totals_of_its_children_and_never_their_content(api: Api) -> None:
    child, stranger = await a_child(api), await api.another_tenant()
    now = datetime.now(UTC).replace(microsecond=0)
    call = a_call_id()
    await a_call(
        child, 1, answered(call), turn(0, None, "A secret."), controller="c", caller="+31611111111"
    )
    async with api.pool.acquire() as connection:
        await connection.execute("UPDATE calls SET answered_at = $1", now - timedelta(seconds=1))
        theirs = await an_assistant(connection, child.organisation_id, name="Baker")
        await an_assistant(connection, stranger.organisation_id)
    status, body = await api.ask("GET", f"{PATH}?include_children=true")
    [entry] = body["children"]
    assert status == 200
    assert entry.keys() == {"id", "name", "created_at", "active_assistants", *COUNTS}
    assert [entry[name] for name in COUNTS[1:]] == [0, 1, 1]
    assert [body[name] for name in COUNTS] == [0, 0, 0, 0]
    for path in (
        f"/calls/{call}",
        f"/calls/{call}/timeline",
        f"/assistants/{theirs.id}",
    ):
        assert (await child.ask("GET", f"/api/v1{path}"))[0] == 200
        assert (await api.ask("GET", f"/api/v1{path}"))[0] == 404
    assert (await api.ask("GET", "/api/v1/calls"))[1]["calls"] == []
    assert (await api.ask("GET", "/api/v1/keys"))[1]["keys"] != []
    assert (await child.ask("GET", "/api/v1/keys"))[1]["keys"][0]["name"] == "first key"


async def test_a_child_sees_nothing_of_its_parent(api: Api) -> None:
    child = await a_child(api)
    made = await api.ask("POST", "/api/v1/assistants", {"name": "Reception"})
    path = f"/api/v1/assistants/{made[1]['assistant']['id']}"
    assert (await child.ask("GET", path))[0] == 404
    status, body = await child.ask("GET", f"{PATH}?include_children=true")
    assert (status, body["parent_org_id"], body["children"]) == (200, api.organisation_id, [])
    assert body["active_agents"] == 0


async def test_even_a_statement_without_a_condition_reads_one_organisation(api: Api) -> None:
    child = await a_child(api)
    async with api.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "SET LOCAL ROLE sovereign_tenant;"
            f" SET LOCAL sovereign.organisation_id = '{child.organisation_id}'"
        )
        assert len(await connection.fetch("SELECT * FROM organisations")) == 1
        assert len(await connection.fetch("SELECT * FROM organisation_totals(now(), now())")) == 1


@pytest.mark.parametrize("named", [True, False])
async def test_a_child_is_made_with_a_key_that_works(api: Api, named: bool) -> None:
    fields = {"name": "Bakery"} | ({"parent_org_id": api.organisation_id} if named else {})
    status, made = await api.ask("POST", PATH, fields)
    assert status == 201
    assert made.keys() == {"id", "name", "parent_org_id", "api_key", "created_at"}
    assert (made["name"], made["parent_org_id"]) == ("Bakery", api.organisation_id)
    child = Api(api.client, made["api_key"], made["id"], api.pool)
    status, body = await child.ask("GET", PATH)
    assert (status, body["id"], body["parent_org_id"]) == (200, made["id"], api.organisation_id)
    assert made["api_key"] not in str((await api.ask("GET", f"{PATH}?include_children=true"))[1])


async def test_nobody_founds_under_another_organisation(api: Api) -> None:
    stranger, child = await api.another_tenant(), await a_child(api)
    for parent in (SOMEBODY, stranger.organisation_id):
        status, body = await api.ask("POST", PATH, {"name": "X", "parent_org_id": parent})
        assert (status, body["error"]["code"]) == (404, "not_found")
        assert parent in body["message"]
    for asker, fields in (
        (child, {"name": "X"}),
        (child, {"name": "X", "parent_org_id": child.organisation_id}),
        (api, {"name": "X", "parent_org_id": child.organisation_id}),
    ):
        status, body = await asker.ask("POST", PATH, fields)
        assert (status, body["error"]["code"]) == (422, "organisation_too_deep")
        assert body["error"]["param"] == "parent_org_id"
    assert (await child.ask("POST", PATH, {"name": "X", "parent_org_id": api.organisation_id}))[
        0
    ] == 404
    async with api.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM organisations") == 3


async def test_organisation_and_key_are_made_together_or_not_at_all(api: Api) -> None:
    async with api.pool.acquire() as connection:
        await connection.execute(
            "ALTER TABLE api_keys ADD CONSTRAINT no CHECK (name <> 'first key')"
        )
        assert (await api.ask("POST", PATH, {"name": "Bakery"}))[0] == 500
        with pytest.raises(asyncpg.CheckViolationError):
            await found_organisation(connection, "Bakery")
        await connection.execute("ALTER TABLE api_keys DROP CONSTRAINT no")
        assert await connection.fetchval("SELECT count(*) FROM organisations") == 1


async def test_children_made_at_once_are_all_there(api: Api) -> None:
    made = await asyncio.gather(*(a_child(api, f"Client {n}") for n in range(8)))
    _, body = await api.ask("GET", f"{PATH}?include_children=true")
    assert {entry["id"] for entry in body["children"]} == {one.organisation_id for one in made}
    assert len({one.key for one in made}) == 8


async def test_the_same_request_twice_makes_one_child(api: Api) -> None:
    options: dict[str, Any] = {"headers": {"Idempotency-Key": "one"}}
    first = await api.ask("POST", PATH, {"name": "Bakery"}, **options)
    assert await api.ask("POST", PATH, {"name": "Bakery"}, **options) == first
    assert len((await api.ask("GET", f"{PATH}?include_children=true"))[1]["children"]) == 1


@pytest.mark.parametrize(
    ("method", "fields", "line"),
    [
        ("POST", {}, "name: is required"),
        ("POST", {"name": ""}, "name: "),
        ("POST", {"name": "x" * 256}, "name: "),
        ("POST", {"name": 7}, "name: "),
        ("POST", {"name": "X", "parent_org_id": "me"}, "parent_org_id: is not a UUID"),
        ("POST", {"name": "X", "parent_id": None},
         "parent_id: unknown field; did you mean parent_org_id?"),
        ("PATCH", {}, "content_retention_days: is required"),
        ("PATCH", {"content_retention_days": 30}, "metadata_retention_days: is required"),
        ("PATCH", {"metadata_retention_days": 30}, "content_retention_days: is required"),
        ("PATCH", {"content_retention_days": 30, "name": "X"},
         "metadata_retention_days: is required"),
        ("PATCH", {"content_retention_days": 60, "metadata_retention_days": 90},
         "content_retention_days: input should be 30, 90, 180 or 365"),
        ("PATCH", {"content_retention_days": 30, "metadata_retention_days": 100},
         "metadata_retention_days: input should be 30, 90, 180, 365 or 730"),
        ("PATCH", {"content_retention_days": 730, "metadata_retention_days": 730},
         "content_retention_days: "),
        ("PATCH", {"content_retention_days": 90, "metadata_retention_days": 30},
         "content_retention_days: 90 is longer than metadata_retention_days, 30"),
        ("PATCH", {"content_retention_days": "30", "metadata_retention_days": 30},
         "content_retention_days: "),
        ("PATCH", {"content_retention_days": True, "metadata_retention_days": 30},
         "content_retention_days: "),
        ("PATCH", {"content_retention_days": None, "metadata_retention_days": None},
         "content_retention_days: "),
        ("PATCH", {"name": None}, "name: "),
        ("PATCH", {"webhook_url": "ftp://example.com"},
         "webhook_url: is not an http or https URL"),
        ("PATCH", {"webhook_url": "http://127.0.0.1/x"},
         "webhook_url: 127.0.0.1 is not a public address"),
        ("PATCH", {"webhook_url": "https://user:pw@example.com"}, "webhook_url: "),
        ("PATCH", {"webhook_events": ["call-ended"]}, "webhook_events[0]: "),
        ("PATCH", {"webhook_secret": 5}, "webhook_secret: "),
        ("PATCH", {"webhook": "https://example.com"}, "webhook: unknown field; did you mean "),
        ("PATCH", {"minutes_balance": 5}, "minutes_balance: unknown field"),
    ],
)  # fmt: skip
async def test_a_bad_request_changes_nothing(
    api: Api, method: str, fields: dict[str, Any], line: str
) -> None:
    before = await api.ask("GET", f"{PATH}?include_children=true")
    status, body = await api.ask(method, PATH, fields)
    assert status == 400
    assert body["details"][0].startswith(line)
    assert body["error"]["code"] == ("missing_field" if "required" in line else "invalid_request")
    assert await api.ask("GET", f"{PATH}?include_children=true") == before


@pytest.mark.parametrize("content", [30, 90, 180, 365])
@pytest.mark.parametrize("metadata", [30, 90, 180, 365, 730])
async def test_every_pair_of_retentions_that_fits_is_echoed(
    api: Api, content: int, metadata: int
) -> None:
    pair = {"content_retention_days": content, "metadata_retention_days": metadata}
    status, body = await api.ask("PATCH", PATH, pair)
    assert status == (200 if content <= metadata else 400)
    if status == 200:
        assert {name: body[name] for name in pair} == pair
        assert (await api.ask("GET", PATH))[1] | {"updated_at": body["updated_at"]} == body


async def test_patch_changes_only_what_it_names_and_null_clears_webhooks(api: Api) -> None:
    webhook = {
        "webhook_url": "https://example.com/hook",
        "webhook_secret": "s3cret",
        "webhook_events": ["status-update", "end-of-call-report"],
    }
    status, body = await api.ask("PATCH", PATH, webhook)
    assert (status, {name: body[name] for name in webhook}) == (200, webhook)
    _, body = await api.ask("PATCH", PATH, {"name": "Agency", "webhook_secret": None})
    assert body["webhook_url"] == webhook["webhook_url"]
    assert (body["webhook_secret"], body["name"]) == (None, "Agency")
    _, body = await api.ask("PATCH", PATH, {"webhook_url": None, "webhook_events": None})
    assert (body["webhook_url"], body["webhook_events"], body["name"]) == (None, None, "Agency")


async def test_two_changes_at_once_both_hold(api: Api) -> None:
    pair = {"content_retention_days": 30, "metadata_retention_days": 90}
    await asyncio.gather(api.ask("PATCH", PATH, pair), api.ask("PATCH", PATH, {"name": "Agency"}))
    _, body = await api.ask("GET", PATH)
    assert (body["name"], body["content_retention_days"]) == ("Agency", 30)


async def test_the_operator_founds_lists_and_deletes(
    api: Api, connection: asyncpg.Connection
) -> None:
    made = await found_organisation(connection, "Alone")
    alone = Api(api.client, made.api_key, made.id, api.pool)
    child = await a_child(alone)
    assert [o.name for o in await list_organisations(connection)][-1] == "Operator"
    with pytest.raises(Conflict, match="has children"):
        await delete_organisation(connection, made.id)
    async with api.pool.acquire() as other:
        await an_assistant(other, child.organisation_id)
    await write_entries(
        connection,
        [opened(child.organisation_id), answered(), turn(0, "Hi", "Hello"), closed()],
    )
    await delete_organisation(connection, child.organisation_id)
    await delete_organisation(connection, made.id)
    assert (await alone.ask("GET", PATH))[0] == 401
    with pytest.raises(NotFound):
        await delete_organisation(connection, made.id)
    with pytest.raises(Conflict, match="operator"):
        await delete_organisation(connection, api.organisation_id)
    assert await create_organisation(connection, "Another")


def test_a_month_begins_at_midnight_of_its_first() -> None:
    assert month_of(NOON) == datetime(2026, 1, 1, tzinfo=UTC)
    assert month_of(later(86_400 * 20)) == datetime(2026, 1, 1, tzinfo=UTC)
