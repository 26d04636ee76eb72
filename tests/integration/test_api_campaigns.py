"""`/campaigns` over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from api.resources.campaign_bodies import MOST_LEADS
from tests.support.api import Api, running_api
from tests.support.lock_waits import until_somebody_waits

PATH = "/api/v1/campaigns"
ANNA, BERT = "+31612345678", "+31687654321"
SOMEBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


@pytest.fixture
async def assistant_id(api: Api) -> str:
    return await make(api, "assistants", {"name": "Reception"})


async def make(api: Api, things: str, fields: dict[str, Any]) -> str:
    status, body = await api.ask("POST", f"/api/v1/{things}", fields)
    assert status == 201, body
    made: str = body[things[:-1]]["id"]
    return made


async def make_campaign(api: Api, assistant_id: str, **fields: Any) -> str:
    """Make a campaign and give its path."""
    named = {"name": "Reminders", "assistant_id": assistant_id, **fields}
    return f"{PATH}/{await make(api, 'campaigns', named)}"


async def make_line(api: Api, **number: Any) -> str:
    """Give the organisation a number with a SIP trunk."""
    trunk = await api.pool.fetchval(
        "INSERT INTO sip_trunks (organisation_id, name, addresses)"
        " VALUES ($1, 'Carrier', '{sip.example.com:5060}') RETURNING id",
        api.organisation_id,
    )
    fields = {"phone_number": "+31201234567", "transfer_trunk_id": str(trunk), **number}
    return await make(api, "numbers", fields)


async def set_lead(api: Api, number: str, status: str) -> None:
    await api.pool.execute("UPDATE leads SET status = $2 WHERE phone_number = $1", number, status)


@pytest.mark.parametrize("spelling", ["agent_id", "assistant_id"])
async def test_a_campaign_needs_a_name_and_an_assistant(
    api: Api, assistant_id: str, spelling: str
) -> None:
    status, body = await api.ask("POST", PATH, {"name": "May", spelling: assistant_id.upper()})
    made = body["campaign"]
    assert status == 201
    assert await api.ask("GET", f"{PATH}/{made['id']}") == (200, {"campaign": made})
    assert await api.ask("GET", PATH) == (200, {"campaigns": [made]})
    for name in ("id", "created_at", "updated_at"):
        made.pop(name)
    assert made == {
        "name": "May",
        "assistant_id": assistant_id,
        "assistant_name": "Reception",
        "agent_id": assistant_id,
        "agent_name": "Reception",
        "status": "draft",
        "system_message_template": None,
        "schedule_start_time": "09:00:00",
        "schedule_end_time": "17:00:00",
        "timezone": "Europe/Amsterdam",
        "total_leads": 0,
        "completed_leads": 0,
        "failed_leads": 0,
    }


async def test_every_field_is_kept(api: Api, assistant_id: str) -> None:
    fields = {
        "name": "May",
        "agent_id": assistant_id,
        "assistant_id": assistant_id,
        "status": "draft",
        "system_message_template": "Hello {{first_name}}",
        "schedule_start_time": "08:30",
        "schedule_end_time": "23:59:59",
        "timezone": "America/Argentina/Ushuaia",
        "leads": [{"phone_number": ANNA}, {"phone_number": BERT, "variables": {"a b": ""}}],
    }
    status, body = await api.ask("POST", PATH, fields)
    assert status == 201
    kept = {name: body["campaign"][name] for name in fields if name != "leads"}
    assert kept == {n: v for n, v in fields.items() if n != "leads"} | {
        "schedule_start_time": "08:30:00"
    }
    assert body["campaign"]["total_leads"] == 2


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"name": None}, "name: "),
        ({"name": ""}, "name: "),
        ({"name": "x" * 256}, "name: "),
        ({"assistant_id": None}, "assistant_id: "),
        ({"assistant_id": "me"}, "assistant_id: is not a UUID"),
        ({"agent_id": SOMEBODY}, "assistant_id: assistant_id and agent_id have different values"),
        ({"status": "paused"}, "status: input should be 'draft' or 'scheduled'"),
        ({"status": "completed"}, "status: "),
        ({"status": "Draft"}, "status: "),
        ({"system_message_template": "x" * 20_001}, "system_message_template: "),
        ({"schedule_start_time": "9:00"}, "schedule_start_time: is not a time of day"),
        ({"schedule_start_time": "24:00:00"}, "schedule_start_time: is not a time of day"),
        ({"schedule_start_time": "09:00:60"}, "schedule_start_time: is not a time of day"),
        ({"schedule_start_time": "09:00:00\n"}, "schedule_start_time: is not a time of day"),
        ({"schedule_start_time": "09:00:00Z"}, "schedule_start_time: is not a time of day"),
        ({"schedule_start_time": "٠٩:٠٠"}, "schedule_start_time: is not a time of day"),
        ({"schedule_start_time": 9}, "schedule_start_time: is not a time of day"),
        ({"schedule_start_time": None}, "schedule_start_time: is not a time of day"),
        ({"schedule_start_time": "17:00"}, "schedule_end_time: 17:00:00 is not later than"),
        ({"schedule_end_time": "08:59:59"}, "schedule_end_time: 08:59:59 is not later than"),
        ({"timezone": "europe/amsterdam"},
         "timezone: is not the name of an IANA time zone; did you mean Europe/Amsterdam?"),
        ({"timezone": "+01:00"}, "timezone: is not the name of an IANA time zone"),
        ({"timezone": "../../etc/passwd"}, "timezone: is not the name of an IANA time zone"),
        ({"timezone": "x" * 10_000}, "timezone: "),
        ({"timezone": None}, "timezone: "),
        ({"leads": None}, "leads: "),
        ({"leads": {}}, "leads: "),
        ({"leads": ["+31612345678"]}, "leads[0]: "),
        ({"leads": [{}]}, "leads[0].phone_number: is required"),
        ({"leads": [{"phone_number": ANNA}] * 3 + [{"phone_number": "0612345678"}]},
         "leads[3].phone_number: is not a number in E.164 form"),
        ({"leads": [{"phone_number": ANNA}, {"phone_number": BERT}, {"phone_number": ANNA}]},
         f"leads[2].phone_number: {ANNA} stands at leads[0] already"),
        ({"leads": [{"phone_number": ANNA, "variables": {"a": 1}}]}, "leads[0].variables.a: "),
        ({"leads": [{"phone_number": ANNA, "variables": ["a"]}]}, "leads[0].variables: "),
        ({"leads": [{"phone_number": ANNA, "variables": {str(n): "" for n in range(101)}}]},
         "leads[0].variables: "),
        ({"leads": [{"phone_number": ANNA, "fone": 1}]}, "leads[0].fone: unknown field"),
        ({"leads": [{"phone_number": ANNA, "name": "x" * 256}]}, "leads[0].name: "),
        ({"leads": [{}] * (MOST_LEADS + 1)}, "leads: "),
        ({"sheduled_start_time": "09:00"},
         "sheduled_start_time: unknown field; did you mean schedule_start_time?"),
        ({"total_leads": 1}, "total_leads: unknown field"),
    ],
)  # fmt: skip
async def test_a_bad_campaign_is_refused_whole(
    api: Api, assistant_id: str, fields: dict[str, Any], line: str
) -> None:
    named = {"name": "May", "assistant_id": assistant_id, **fields}
    status, body = await api.ask("POST", PATH, named)
    assert (status, body["error"]["type"]) == (400, "validation_error")
    assert body["details"][0].startswith(line)
    assert await api.pool.fetchval("SELECT count(*) FROM campaigns") == 0
    assert await api.pool.fetchval("SELECT count(*) FROM leads") == 0


async def test_each_bad_lead_has_its_line(api: Api, assistant_id: str) -> None:
    leads = [{"phone_number": "1"}, {"phone_number": ANNA}, {"phone_number": ""}]
    fields = {"name": "May", "assistant_id": assistant_id, "leads": leads}
    details = (await api.ask("POST", PATH, fields))[1]["details"]
    assert [line.partition(":")[0] for line in details] == [
        "leads[0].phone_number",
        "leads[2].phone_number",
    ]


async def test_the_assistant_must_be_one_of_the_organisation(api: Api, assistant_id: str) -> None:
    other = await api.another_tenant()
    for tenant, wanted in ((api, SOMEBODY), (other, assistant_id)):
        status, body = await tenant.ask("POST", PATH, {"name": "May", "assistant_id": wanted})
        assert (status, body["message"]) == (404, f"assistant_id: no assistant {wanted}")


async def test_the_largest_campaign_keeps_its_leads_in_order(api: Api, assistant_id: str) -> None:
    numbers = [f"+3161{n:07}" for n in range(MOST_LEADS)]
    path = await make_campaign(api, assistant_id, leads=[{"phone_number": n} for n in numbers])
    leads = (await api.ask("GET", f"{path}/leads"))[1]["leads"]
    assert [lead["phone_number"] for lead in leads] == numbers


async def test_patch_changes_only_what_it_names(api: Api, assistant_id: str) -> None:
    path = await make_campaign(api, assistant_id, system_message_template="Hello")
    made = (await api.ask("GET", path))[1]["campaign"]
    changes = {"name": "June", "schedule_end_time": "18:00", "timezone": "UTC"}
    changed = (await api.ask("PATCH", path, changes))[1]["campaign"]
    expected = made | changes | {"schedule_end_time": "18:00:00"}
    assert changed | {"updated_at": made["updated_at"]} == expected
    cleared = (await api.ask("PATCH", path, {"system_message_template": None}))[1]["campaign"]
    assert (cleared["system_message_template"], cleared["name"]) == (None, "June")
    assert (await api.ask("PATCH", path, {}))[0] == 200


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"assistant_id": SOMEBODY}, "assistant_id: unknown field"),
        ({"agent_id": SOMEBODY}, "agent_id: unknown field"),
        ({"leads": []}, "leads: unknown field"),
        ({"status": "completed"}, "status: "),
        ({"status": None}, "status: "),
        ({"name": None}, "name: "),
        ({"timezone": "Mars/Olympus"}, "timezone: "),
        ({"schedule_start_time": "17:00"}, "schedule_end_time: 17:00:00 is not later than"),
        ({"schedule_end_time": "09:00"}, "schedule_end_time: 09:00:00 is not later than"),
    ],
)
async def test_a_bad_change_is_refused(
    api: Api, assistant_id: str, fields: dict[str, Any], line: str
) -> None:
    path = await make_campaign(api, assistant_id)
    before = await api.ask("GET", path)
    status, body = await api.ask("PATCH", path, {"name": "June", **fields})
    assert status == 400
    assert body["details"][0].startswith(line)
    assert await api.ask("GET", path) == before


async def test_scheduling_names_what_is_missing(api: Api, assistant_id: str) -> None:
    await api.ask("PATCH", f"/api/v1/assistants/{assistant_id}", {"is_active": False})
    path = await make_campaign(api, assistant_id)
    status, body = await api.ask("PATCH", path, {"status": "scheduled"})
    assert (status, body["error"]["code"]) == (422, "campaign_not_ready")
    assert body["error"]["param"] == "status"
    assert f"the assistant {assistant_id} is not active" in body["message"]
    assert "the organisation has no active phone number" in body["message"]
    await api.ask("PATCH", f"/api/v1/assistants/{assistant_id}", {"is_active": True})

    number = await make_line(api, transfer_trunk_id=None)
    status, body = await api.ask("PATCH", path, {"status": "scheduled"})
    assert (status, "not active" in body["message"]) == (422, False)
    assert "no active phone number has an active SIP trunk" in body["message"]

    await make_line(api, phone_number="+31207654321", is_active=False)
    assert (await api.ask("PATCH", path, {"status": "scheduled"}))[0] == 422
    trunk = str(await api.pool.fetchval("SELECT id FROM sip_trunks LIMIT 1"))
    await api.ask("PATCH", f"/api/v1/numbers/{number}", {"transfer_trunk_id": trunk})
    status, body = await api.ask("PATCH", path, {"status": "scheduled"})
    assert (status, body["campaign"]["status"]) == (200, "scheduled")


async def test_a_line_of_another_organisation_does_not_count(api: Api, assistant_id: str) -> None:
    await make_line(await api.another_tenant())
    path = await make_campaign(api, assistant_id)
    assert (await api.ask("PATCH", path, {"status": "scheduled"}))[0] == 422


async def test_a_campaign_may_begin_as_scheduled(api: Api, assistant_id: str) -> None:
    fields = {
        "name": "May",
        "assistant_id": assistant_id,
        "status": "scheduled",
        "leads": [{"phone_number": ANNA}],
    }
    assert (await api.ask("POST", PATH, fields))[0] == 422
    assert await api.ask("GET", PATH) == (200, {"campaigns": []})
    await make_line(api)
    status, body = await api.ask("POST", PATH, fields)
    assert (status, body["campaign"]["status"]) == (201, "scheduled")


async def test_a_campaign_is_stopped_and_started_until_it_is_cancelled(
    api: Api, assistant_id: str
) -> None:
    await make_line(api)
    path = await make_campaign(api, assistant_id)
    for wanted in ("scheduled", "paused", "scheduled", "draft", "scheduled", "cancelled"):
        status, body = await api.ask("PATCH", path, {"status": wanted})
        assert (status, body["campaign"]["status"]) == (200, wanted)


@pytest.mark.parametrize("finished", ["completed", "cancelled"])
async def test_a_finished_campaign_is_not_changed_but_deleted(
    api: Api, assistant_id: str, finished: str
) -> None:
    path = await make_campaign(api, assistant_id, leads=[{"phone_number": ANNA}])
    await api.pool.execute("UPDATE campaigns SET status = $1", finished)
    for change in ({"name": "June"}, {"status": "scheduled"}, {"status": "cancelled"}):
        status, body = await api.ask("PATCH", path, change)
        assert (status, body["error"]["code"]) == (409, "conflict")
        assert body["message"] == f"the campaign is {finished}: it can no longer be changed"
    status, body = await api.ask("POST", f"{path}/leads", {"phone_number": BERT})
    assert (status, body["message"]) == (
        409,
        f"the campaign is {finished}: it takes no more leads",
    )
    lead = (await api.ask("GET", f"{path}/leads"))[1]["leads"][0]
    assert await api.ask("DELETE", f"{path}/leads/{lead['id']}") == (200, {"success": True})
    assert await api.ask("DELETE", path) == (200, {"success": True})


async def test_leads_are_added_listed_and_removed(api: Api, assistant_id: str) -> None:
    path = await make_campaign(api, assistant_id)
    fields = {"phone_number": ANNA, "name": "Anna", "variables": {"first_name": "Anna"}}
    status, body = await api.ask("POST", f"{path}/leads", fields)
    anna = body["lead"]
    assert status == 201
    bert = (await api.ask("POST", f"{path}/leads", {"phone_number": BERT}))[1]["lead"]
    assert await api.ask("GET", f"{path}/leads") == (200, {"leads": [anna, bert]})
    assert await api.ask("DELETE", f"{path}/leads/{bert['id']}") == (200, {"success": True})
    assert (await api.ask("DELETE", f"{path}/leads/{bert['id']}"))[0] == 404
    assert (await api.ask("GET", path))[1]["campaign"]["total_leads"] == 1
    assert anna.pop("id") != bert["id"]
    anna.pop("created_at")
    assert anna == fields | {
        "campaign_id": path.rpartition("/")[2],
        "status": "pending",
        "call_id": None,
        "attempts": 0,
        "last_attempt_at": None,
    }
    assert (bert["name"], bert["variables"]) == (None, {})


async def test_a_number_stands_once_in_a_campaign(api: Api, assistant_id: str) -> None:
    path = await make_campaign(api, assistant_id, leads=[{"phone_number": ANNA}])
    status, body = await api.ask("POST", f"{path}/leads", {"phone_number": ANNA})
    assert (status, body["message"]) == (409, f"the campaign has a lead with {ANNA} already")
    await make_campaign(api, assistant_id, leads=[{"phone_number": ANNA}])
    again = [api.ask("POST", f"{path}/leads", {"phone_number": BERT}) for _ in range(5)]
    assert sorted([status for status, _ in await asyncio.gather(*again)]) == [201, *[409] * 4]


async def test_leads_are_counted_by_what_became_of_them(api: Api, assistant_id: str) -> None:
    numbers = [f"+3161234567{n}" for n in range(7)]
    path = await make_campaign(api, assistant_id, leads=[{"phone_number": n} for n in numbers])
    await make_campaign(api, assistant_id, leads=[{"phone_number": BERT}])
    states = ["pending", "calling", "completed", "completed", "completed", "failed", "skipped"]
    for number, state in zip(numbers, states, strict=True):
        await set_lead(api, number, state)
    expected = {"total_leads": 7, "completed_leads": 3, "failed_leads": 1}
    shown = (await api.ask("GET", path))[1]["campaign"]
    assert {name: shown[name] for name in expected} == expected
    listed = (await api.ask("GET", PATH))[1]["campaigns"]
    assert [campaign["total_leads"] for campaign in listed] == [1, 7]
    assert listed[1] == shown


async def test_what_is_being_called_is_not_removed(api: Api, assistant_id: str) -> None:
    path = await make_campaign(
        api, assistant_id, leads=[{"phone_number": ANNA}, {"phone_number": BERT}]
    )
    await set_lead(api, BERT, "calling")
    leads = (await api.ask("GET", f"{path}/leads"))[1]["leads"]
    for there in (path, f"{path}/leads/{leads[1]['id']}"):
        status, body = await api.ask("DELETE", there)
        assert (status, body["error"]["code"]) == (409, "conflict")
    assert (await api.ask("GET", f"{path}/leads"))[1]["leads"] == leads
    await set_lead(api, BERT, "completed")
    assert await api.ask("DELETE", path) == (200, {"success": True})
    assert await api.pool.fetchval("SELECT count(*) FROM leads") == 0


async def test_a_lead_that_is_called_while_its_campaign_is_deleted_keeps_it(
    api: Api, assistant_id: str
) -> None:
    path = await make_campaign(api, assistant_id, leads=[{"phone_number": ANNA}])
    async with api.pool.acquire() as dialler, dialler.transaction():
        await dialler.execute("UPDATE leads SET status = 'calling'")
        deletion = asyncio.create_task(api.ask("DELETE", path))
        await until_somebody_waits(api.pool)
    assert (await deletion)[0] == 409
    assert (await api.ask("GET", path))[1]["campaign"]["total_leads"] == 1


async def test_a_lead_is_added_before_its_campaign_is_cancelled_or_not_at_all(
    api: Api, assistant_id: str
) -> None:
    path = await make_campaign(api, assistant_id)
    async with api.pool.acquire() as other, other.transaction():
        await other.execute("UPDATE campaigns SET status = 'cancelled'")
        addition = asyncio.create_task(api.ask("POST", f"{path}/leads", {"phone_number": ANNA}))
        await until_somebody_waits(api.pool)
    assert (await addition)[0] == 409


async def test_two_changes_at_once_both_hold(api: Api, assistant_id: str) -> None:
    path = await make_campaign(api, assistant_id)
    changes: list[dict[str, Any]] = [
        {"name": "June"},
        {"timezone": "UTC"},
        {"system_message_template": "Hi"},
    ]
    answers = await asyncio.gather(*(api.ask("PATCH", path, change) for change in changes))
    assert [status for status, _ in answers] == [200, 200, 200]
    shown = (await api.ask("GET", path))[1]["campaign"]
    assert all(shown[name] == value for change in changes for name, value in change.items())


async def test_another_tenant_sees_nothing_of_it(api: Api, assistant_id: str) -> None:
    path = await make_campaign(api, assistant_id, leads=[{"phone_number": ANNA}])
    lead = (await api.ask("GET", f"{path}/leads"))[1]["leads"][0]
    other = await api.another_tenant()
    assert await other.ask("GET", PATH) == (200, {"campaigns": []})
    for method, there, body in (
        ("GET", path, None),
        ("PATCH", path, {"name": "Mine"}),
        ("DELETE", path, None),
        ("GET", f"{path}/leads", None),
        ("POST", f"{path}/leads", {"phone_number": BERT}),
        ("DELETE", f"{path}/leads/{lead['id']}", None),
    ):
        assert (await other.ask(method, there, body))[0] == 404
    theirs = await make_campaign(
        other, await make(other, "assistants", {"name": "Theirs"}), leads=[{"phone_number": ANNA}]
    )
    assert (await other.ask("DELETE", f"{theirs}/leads/{lead['id']}"))[0] == 404
    assert (await api.ask("GET", f"{path}/leads"))[1]["leads"] == [lead]


@pytest.mark.parametrize("wrong", [SOMEBODY, "me"])
async def test_what_does_not_exist_is_not_found(api: Api, assistant_id: str, wrong: str) -> None:
    path = await make_campaign(api, assistant_id)
    for method, there, body in (
        ("GET", f"{PATH}/{wrong}", None),
        ("PATCH", f"{PATH}/{wrong}", {}),
        ("DELETE", f"{PATH}/{wrong}", None),
        ("GET", f"{PATH}/{wrong}/leads", None),
        ("POST", f"{PATH}/{wrong}/leads", {"phone_number": ANNA}),
        ("DELETE", f"{PATH}/{wrong}/leads/{SOMEBODY}", None),
        ("DELETE", f"{path}/leads/{wrong}", None),
    ):
        assert (await api.ask(method, there, body))[0] == 404
