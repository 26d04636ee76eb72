"""The work after calls: from the last entry of a journal to the report on a receiver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from db import reports as table
from db.byok import bound_to, put_key
from db.calls import get_call
from db.journal import write_entries
from db.organisations import ensure_operator_organisation, update_organisation
from sovereign_ari.chat_model import RegistryChatModel
from sovereign_ari.domain.records import EndReason, JournalEntry
from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.speech.registry import ProviderRegistry
from sovereign_ari.work.retention import erase_expired
from tests.support.api import VAULT, running_api
from tests.support.fake_openai import fake_openai
from tests.support.report_world import (
    MESSAGES,
    PLAN,
    REPORT,
    SAID,
    SCHEMA,
    TRANSCRIPT,
    Scripted,
    a_call,
    another_pool,
    notes,
    reporting,
    until_reported,
)
from tests.support.rows import a_call_id, answered, closed, turn
from tests.support.webhook_receiver import (
    SECRET,
    WebhookReceiver,
    is_signed,
    stall,
    status,
    webhook_receiver,
)
from tests.support.webhook_world import (
    an_assistant_that_tells,
    rings,
    until_settled,
    write,
)


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


async def test_a_call_is_summarised_analysed_and_reported(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    models = Scripted(["A caller asked for the hours.", '```json\n{"satisfied": true}\n```'])
    await a_call(pool, receiver, analysis_plan=PLAN, metadata={"crm_id": "12345"})
    async with reporting(pool, models):
        (report,) = await receiver.until(1)
        await until_reported(pool)
    message = report.message
    assert is_signed(report, SECRET)
    assert report.headers["X-Webhook-Event"] == REPORT
    assert message["assistant"]["metadata"] == {"crm_id": "12345"}
    told = {name: message[name] for name in message if name not in ("assistant", "timestamp")}
    assert told == {
        "type": REPORT,
        "call": {
            "id": a_call_id(),
            "type": "inbound_phone_call",
            "status": "ended",
            "pipeline": "standard",
        },
        "phone_number": message["phone_number"],
        "customer": {"number": "+31612345678"},
        "duration_seconds": 60,
        "summary": "A caller asked for the hours.",
        "analysis": {"satisfied": True},
        "end_reason": "user_hangup",
        "started_at": "2026-01-01T12:00:01.000Z",
        "ended_at": "2026-01-01T12:01:01.000Z",
        "messages": MESSAGES,
        "recording_url": None,
    }
    summary, analysis = (messages for _, messages, _ in models.asked)
    stored = message["assistant"]["analysis_plan"]["structured_data_plan"]["schema"]
    assert stored == SCHEMA
    assert summary[-1] == {"role": "user", "content": TRANSCRIPT}
    assert any(json.dumps(stored) in message["content"] for message in analysis)
    assert [kind for kind, _ in await notes(pool)] == ["summary", "analysis"]
    assert (await notes(pool))[0][1]["input_tokens"] == 20


async def test_the_api_shows_what_was_made_of_a_call(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    await a_call(pool, receiver, analysis_plan=PLAN)
    async with reporting(pool, Scripted(["Hours.", '{"satisfied": false}'])):
        await until_reported(pool)
    async with running_api(pool) as api:
        shown = (await api.ask("GET", f"/api/v1/calls/{a_call_id()}"))[1]
        (listed,) = (await api.ask("GET", "/api/v1/calls"))[1]["calls"]
        usage = (await api.ask("GET", "/api/v1/usage"))[1]["summary"]
        timeline = (await api.ask("GET", f"/api/v1/calls/{a_call_id()}/timeline"))[1]
    for call in (shown, listed):
        assert (call["summary"], call["analysis_result"]) == ("Hours.", {"satisfied": False})
    assert (usage["total_calls"], usage["total_duration_seconds"]) == (1, 60)
    assert [event["kind"] for event in timeline["events"]] == ["summary", "analysis"]


@pytest.mark.parametrize("plan", [None, {}, {"structured_data_plan": {"enabled": False}}])
async def test_without_a_plan_a_report_has_no_analysis(
    pool: asyncpg.Pool, receiver: WebhookReceiver, plan: Any
) -> None:
    models = Scripted()
    await a_call(pool, receiver, analysis_plan=plan)
    async with reporting(pool, models):
        (report,) = await receiver.until(1)
        await until_reported(pool)
    assert "analysis" not in report.message
    assert len(models.asked) == 1


@pytest.mark.parametrize(("least", "analysed"), [(3, True), (4, False), (0, True), (None, True)])
async def test_analysis_begins_at_its_threshold(
    pool: asyncpg.Pool, receiver: WebhookReceiver, least: int | None, analysed: bool
) -> None:
    models = Scripted(["Summary.", '{"satisfied": true}'])
    plan = PLAN if least is None else {**PLAN, "min_messages_threshold": least}
    await a_call(pool, receiver, analysis_plan=plan)
    async with reporting(pool, models):
        (report,) = await receiver.until(1)
        await until_reported(pool)
    assert report.message["analysis"] == ({"satisfied": True} if analysed else None)
    assert len(models.asked) == 1 + analysed


@pytest.mark.parametrize(
    "entries",
    [
        [closed()],
        [*SAID, closed()],
        [answered(), closed()],
        [answered(), turn(0, None, "Good day.", heard_text=""), closed()],
    ],
    ids=["never answered", "words before no answer", "no turn", "nothing heard"],
)
async def test_a_call_without_words_asks_no_model_and_is_reported(
    pool: asyncpg.Pool, receiver: WebhookReceiver, entries: list[Any]
) -> None:
    models = Scripted()
    async with pool.acquire() as connection:
        await an_assistant_that_tells(
            connection, receiver.url, webhook_events=[REPORT], analysis_plan=PLAN
        )
        entry = await rings(connection)
    await write(pool, entry, *entries)
    async with reporting(pool, models):
        (report,) = await receiver.until(1)
        await until_reported(pool)
    assert models.asked == []
    assert (report.message["summary"], report.message["analysis"]) == (None, None)
    assert await notes(pool) == []


@pytest.mark.parametrize(
    ("message", "left", "summary"),
    [
        ("Call us back, please.", True, "Left message: Call us back, please."),
        ("Call us back, please.", False, "No message was left."),
        (None, False, "No message was left."),
    ],
)
async def test_a_voicemail_is_summarised_without_a_model(
    pool: asyncpg.Pool, receiver: WebhookReceiver, message: str | None, left: bool, summary: str
) -> None:
    models = Scripted()
    async with pool.acquire() as connection:
        await an_assistant_that_tells(
            connection, receiver.url, webhook_events=[REPORT], voicemail_message=message
        )
        entry = await rings(connection)
    said = [turn(0, None, "Hello, this is"), turn(1, "Bob. Leave a message.", "", heard_text="")]
    if left:
        said.append(turn(2, None, "Call us back, please."))
    ended = closed(end_reason=EndReason.VOICEMAIL)
    await write(pool, entry, answered(), *said, ended)
    async with reporting(pool, models):
        (report,) = await receiver.until(1)
        await until_reported(pool)
    assert models.asked == []
    assert report.message["summary"] == f"Voicemail detected. {summary}"
    assert report.message["end_reason"] == "voicemail"
    roles = [one["role"] for one in report.message["messages"]]
    assert roles == ["assistant", "user", *(["assistant"] if left else [])]


async def test_an_answer_that_does_not_fit_is_repaired_once(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    models = Scripted(["Summary.", '{"satisfied": "perhaps"}', '{"satisfied": true}'])
    await a_call(pool, receiver, analysis_plan=PLAN)
    async with reporting(pool, models):
        (report,) = await receiver.until(1)
        await until_reported(pool)
    assert report.message["analysis"] == {"satisfied": True}
    first, second = (messages for _, messages, _ in models.asked[1:])
    assert second[: len(first)] == first
    assert second[len(first)]["content"] == '{"satisfied": "perhaps"}'
    assert "properties.satisfied.type" in second[-1]["content"]
    assert (await notes(pool))[-1][1]["repaired"] is True


@pytest.mark.parametrize(
    "answer",
    ["I would rather not.", "[1]", '{"satisfied": 1}', "{}", '{"satisfied": NaN}', "[" * 5000],
)
async def test_an_answer_that_never_fits_is_noted_and_the_report_sent(
    pool: asyncpg.Pool, receiver: WebhookReceiver, answer: str
) -> None:
    models = Scripted(["Summary.", answer, answer])
    await a_call(pool, receiver, analysis_plan=PLAN)
    async with reporting(pool, models):
        (report,) = await receiver.until(1)
        await until_reported(pool)
    assert len(models.asked) == 3
    assert (report.message["summary"], report.message["analysis"]) == ("Summary.", None)
    kind, detail = (await notes(pool))[-1]
    assert (kind, detail["outcome"], detail["code"]) == ("analysis", "failed", "unfit_answer")


async def test_a_model_that_is_away_is_asked_again(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    away = ProviderUnavailable("it is away")
    models = Scripted([away, away, "Summary."])
    await a_call(pool, receiver)
    async with reporting(pool, models):
        (report,) = await receiver.until(1)
        await until_reported(pool)
    assert report.message["summary"] == "Summary."
    assert len(models.asked) == 3


@pytest.mark.parametrize(
    ("error", "asked"),
    [(ProviderUnavailable("it is away"), 3), (ProviderRefused("the key is bad"), 1)],
)
async def test_a_model_that_stays_away_or_refuses_is_noted_and_the_report_sent(
    pool: asyncpg.Pool, receiver: WebhookReceiver, error: ProviderError, asked: int
) -> None:
    models = Scripted([*[error] * asked, '{"satisfied": true}'])
    await a_call(pool, receiver, analysis_plan=PLAN)
    async with reporting(pool, models):
        (report,) = await receiver.until(1)
        await until_reported(pool)
    assert len(models.asked) == asked + 1
    assert report.message["summary"] is None
    assert report.message["analysis"] == {"satisfied": True}
    kind, detail = (await notes(pool))[0]
    assert (kind, detail) == (
        "summary", {"outcome": "failed", "code": error.code, "message": str(error)},
    )  # fmt: skip


async def test_placeholders_are_filled_in_both_styles_and_only_once(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    text = (
        "{{transcript}}|{transcript}|{{ ended_reason }}|{summary}|{{summary}}|{duration}|"
        "{{duration}}|{caller_number}|{{caller_number}}|{{schema}}|{schema}|{other}|{{other}}"
    )
    plan = {
        "structured_data_plan": {
            **PLAN["structured_data_plan"],
            "messages": [{"role": "user", "content": text}],
        }
    }
    models = Scripted(["Sum {schema}.", '{"satisfied": true}'])
    await a_call(pool, receiver, analysis_plan=plan)
    async with reporting(pool, models):
        await receiver.until(1)
        await until_reported(pool)
    stored = await pool.fetchval("SELECT analysis_plan FROM assistants")
    schema = json.dumps(stored["structured_data_plan"]["schema"])
    assert models.asked[1][1] == [
        {
            "role": "user",
            "content": "|".join(
                [TRANSCRIPT, TRANSCRIPT, "user_hangup", "Sum {schema}.", "Sum {schema}.", "60",
                 "60", "+31612345678", "+31612345678", schema, schema, "{other}", "{{other}}"]
            ),
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("llm", "postcall", "block"),
    [
        (
            {"provider": "openai", "model": "gpt-5.4", "messages": [], "tools": []},
            None,
            {"provider": "openai", "model": "gpt-5.4-mini"},
        ),
        (
            {"provider": "parrot", "model": "parrot-1"},
            {"provider": "openai", "model": "gpt-4.1"},
            {"provider": "openai", "model": "gpt-4.1"},
        ),
        (
            {"provider": "xai_realtime", "model": "grok-voice-think-fast-2.0"},
            None,
            {"provider": "xai", "model": "grok-4.3"},
        ),
        (
            {"provider": "openai_compatible", "model": "m", "base_url": "http://x", "tools": []},
            None,
            {"provider": "openai_compatible", "model": "m", "base_url": "http://x"},
        ),
    ],
)
async def test_the_model_is_the_chosen_one_or_the_providers(
    pool: asyncpg.Pool,
    receiver: WebhookReceiver,
    llm: dict[str, Any],
    postcall: dict[str, Any] | None,
    block: dict[str, Any],
) -> None:
    models = Scripted()
    await a_call(pool, receiver, llm_config=llm, postcall_llm=postcall)
    async with reporting(pool, models):
        await until_reported(pool)
    assert models.asked[0][0] == block


async def test_the_organisations_own_keys_are_used(
    pool: asyncpg.Pool, receiver: WebhookReceiver, connection: asyncpg.Connection
) -> None:
    owner = await ensure_operator_organisation(connection)
    sealed = VAULT.seal(b"sk-own", bound_to(owner, "openai"))
    await put_key(connection, owner, "openai", sealed)
    await put_key(connection, owner, "deepgram", b"garbage")
    models = Scripted()
    await a_call(pool, receiver)
    async with reporting(pool, models):
        await until_reported(pool)
    assert models.asked[0][2] == {"openai": "sk-own", "deepgram": None}


async def test_the_offline_model_summarises_what_the_caller_said(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    script = [
        {"match": "fits this JSON Schema|caller:", "say": '{"satisfied": true}'},
    ]
    llm = {"provider": "parrot", "model": "parrot-1", "script": script}
    await a_call(pool, receiver, llm_config=llm, analysis_plan=PLAN)
    async with (
        ProviderRegistry(openai_api_key=None, openai_base_url="http://127.0.0.1:1") as registry,
        reporting(pool, RegistryChatModel(registry)),
    ):
        (report,) = await receiver.until(1)
        await until_reported(pool)
    assert report.message["summary"] == "The caller said: When are you open?"
    assert report.message["analysis"] == {"satisfied": True}


async def test_a_vendor_is_asked_over_its_real_protocol(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    await a_call(
        pool, receiver, llm_config={"provider": "openai", "model": "gpt-5.4"}, analysis_plan=PLAN
    )
    async with fake_openai() as vendor:
        vendor.reply = lambda messages, _tools: (
            '{"satisfied": true}' if "Schema" in str(messages) else "They asked for the hours."
        )
        async with (
            ProviderRegistry(
                openai_api_key="a-key-of-the-tests", openai_base_url=vendor.base_url
            ) as registry,
            reporting(pool, RegistryChatModel(registry)),
        ):
            (report,) = await receiver.until(1)
            await until_reported(pool)
        assert {body["model"] for body in vendor.chat.bodies} == {"gpt-5.4-mini"}
    assert report.message["summary"] == "They asked for the hours."
    assert report.message["analysis"] == {"satisfied": True}
    assert (await notes(pool))[0][1]["output_tokens"] == 7


@pytest.mark.parametrize("done", ["nothing", "summary", "analysis"])
async def test_a_worker_that_dies_between_two_steps_is_followed_by_another(
    pool: asyncpg.Pool, receiver: WebhookReceiver, connection: asyncpg.Connection, done: str
) -> None:
    """The first takes the call, does some steps, and is never heard of again."""
    await a_call(pool, receiver, analysis_plan=PLAN)
    (job,) = await table.take(connection, most=1, lasts_s=0.3)
    steps: list[tuple[table.Step, Any]] = [
        ("summary", "First."), ("analysis", {"satisfied": False}),
    ]  # fmt: skip
    for step, value in steps[: ["nothing", "summary", "analysis"].index(done)]:
        assert await table.record(
            connection, job, step, "written", value=value, at=closed().at, lasts_s=0.3
        )
    models = Scripted([*["Second."] * (done == "nothing"), '{"satisfied": true}'])
    async with reporting(pool, models):
        (report,) = await receiver.until(1)
        await until_reported(pool)
    summary = "Second." if done == "nothing" else "First."
    assert report.message["summary"] == summary
    assert report.message["analysis"] == {"satisfied": done != "analysis"}
    assert len(models.asked) == {"nothing": 2, "summary": 1, "analysis": 0}[done]
    assert len(receiver.received) == 1
    assert not await table.record(
        connection, job, "summary", "written", value="Late.", at=closed().at, lasts_s=1
    )
    assert not await table.finish(connection, job)
    assert await pool.fetchval("SELECT summary FROM calls") == summary
    assert await pool.fetchval("SELECT count(*) FROM webhook_deliveries") == 1


async def test_a_step_that_kills_its_workers_is_given_up(
    pool: asyncpg.Pool, receiver: WebhookReceiver, connection: asyncpg.Connection
) -> None:
    await a_call(pool, receiver)
    for _ in range(3):
        assert len(await table.take(connection, most=1, lasts_s=0)) == 1
    models = Scripted()
    async with reporting(pool, models):
        (report,) = await receiver.until(1)
        await until_reported(pool)
    assert models.asked == []
    assert report.message["summary"] is None
    assert (await notes(pool))[0][1]["message"] == "the workers were gone before they finished"


async def test_two_workers_report_each_call_once(
    pool: asyncpg.Pool, receiver: WebhookReceiver, connection: asyncpg.Connection
) -> None:
    await an_assistant_that_tells(connection, receiver.url, webhook_events=[REPORT])
    calls = [a_call_id(n) for n in range(1, 21)]
    for call in calls:
        said = turn(0, None, "Hello.", call_id=call)
        await write(pool, await rings(connection, call), answered(call), said, closed(call))
    models = Scripted()
    async with (
        another_pool(connection) as other,
        reporting(pool, models),
        reporting(other, models),
    ):
        await until_reported(pool)
    assert sorted(one.call_id for one in receiver.received) == sorted(calls)
    assert len(models.asked) == len(calls)


async def test_the_report_comes_last(pool: asyncpg.Pool, receiver: WebhookReceiver) -> None:
    await a_call(pool, receiver, webhook_events=None)
    receiver.behaviours.extend([status(500), status(500)])
    async with reporting(pool, Scripted()):
        await until_reported(pool)
        await receiver.wait_for(lambda: len(receiver.received) == 5)
        await until_settled(pool)
    told = [(one.event, one.status) for one in receiver.received]
    assert told == [
        *[("status-update", "in-progress")] * 3,
        ("status-update", "ended"),
        (REPORT, "ended"),
    ]


async def test_a_journal_written_twice_is_reported_once(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    async with pool.acquire() as connection:
        await an_assistant_that_tells(connection, receiver.url, webhook_events=[REPORT])
        entries = [await rings(connection), answered(), *SAID, closed()]
    models = Scripted()
    async with reporting(pool, models):
        await write(pool, *entries)
        await until_reported(pool)
        await write(pool, *entries)
        await asyncio.sleep(0.2)
        await until_reported(pool)
    assert (len(receiver.received), len(models.asked)) == (1, 1)


async def content(pool: asyncpg.Pool) -> tuple[Any, ...]:
    row = await pool.fetchrow(
        "SELECT (SELECT count(*) FROM turns), summary, analysis_result,"
        " content_erased_at IS NOT NULL FROM calls"
    )
    return tuple(row)


GONE = (0, None, None, True)


@pytest.mark.parametrize("failures", [0, 3, 8])
async def test_gdpr_content_lives_until_its_report_is_delivered_or_given_up(
    pool: asyncpg.Pool, receiver: WebhookReceiver, failures: int
) -> None:
    release = asyncio.Event()
    receiver.behaviours.append(stall(release))
    receiver.behaviours.extend([status(500)] * (failures - 1))
    if failures:
        receiver.behaviours.insert(1, status(500))
    models = Scripted(["Summary.", '{"satisfied": true}'])
    await a_call(pool, receiver, gdpr_mode=True, analysis_plan=PLAN)
    async with reporting(pool, models):
        (report,) = await receiver.until(1)
        assert report.message["messages"] == MESSAGES
        assert report.message["summary"] == "Summary."
        assert await content(pool) == (2, "Summary.", {"satisfied": True}, False)
        release.set()
        await until_reported(pool)
    assert await content(pool) == GONE
    stored = await pool.fetch(
        "SELECT to_jsonb(t)::text AS row FROM call_notes AS t UNION ALL"
        " SELECT to_jsonb(t)::text FROM webhook_deliveries AS t UNION ALL"
        " SELECT to_jsonb(t)::text FROM webhook_attempts AS t UNION ALL"
        " SELECT to_jsonb(t)::text FROM call_reports AS t"
    )
    assert "nine" not in str([row["row"] for row in stored])
    async with running_api(pool) as api:
        shown = (await api.ask("GET", f"/api/v1/calls/{a_call_id()}"))[1]
        again = await api.ask("POST", f"/api/v1/calls/{a_call_id()}/webhooks/1/retry")
    assert (shown["messages"], shown["summary"], shown["analysis_result"]) == (None, None, None)
    assert again[0] == 409


async def test_gdpr_content_of_a_report_that_is_given_up_goes(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    receiver.behaviours.extend([status(500)] * 8)
    await a_call(pool, receiver, gdpr_mode=True)
    async with reporting(pool, Scripted()):
        await until_reported(pool)
    assert len(receiver.received) == 8
    assert await pool.fetchval("SELECT state FROM webhook_deliveries") == "given_up"
    assert await content(pool) == GONE


async def test_gdpr_content_that_nobody_gets_goes_to_no_model_and_goes_at_once(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    models = Scripted()
    await a_call(pool, receiver, gdpr_mode=True, webhook_events=["status-update"])
    async with reporting(pool, models):
        await until_reported(pool)
    assert models.asked == []
    assert await content(pool) == GONE


async def test_what_was_erased_is_not_brought_back_by_a_journal(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    async with pool.acquire() as connection:
        await an_assistant_that_tells(
            connection, receiver.url, webhook_events=[REPORT], gdpr_mode=True
        )
        entries: list[JournalEntry] = [await rings(connection), answered(), *SAID, closed()]
    await write(pool, *entries)
    async with reporting(pool, Scripted()):
        await until_reported(pool)
    async with pool.acquire() as connection:
        assert await write_entries(connection, entries) == 0
    assert await content(pool) == GONE


async def test_without_gdpr_mode_content_stays(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    await a_call(pool, receiver)
    async with reporting(pool, Scripted(["Summary."])):
        await until_reported(pool)
    assert await content(pool) == (2, "Summary.", None, False)


async def test_retention_erases_what_was_made_of_a_call(
    pool: asyncpg.Pool, receiver: WebhookReceiver, connection: asyncpg.Connection
) -> None:
    owner = await ensure_operator_organisation(connection)
    days = {"content_retention_days": 30, "metadata_retention_days": 90}
    await update_organisation(connection, owner, days)
    await a_call(pool, receiver, analysis_plan=PLAN)
    async with reporting(pool, Scripted(["Summary.", '{"satisfied": true}'])):
        await until_reported(pool)
    await connection.execute("UPDATE calls SET ended_at = now() - interval '31 days'")
    await erase_expired(connection, asyncio.Event())
    assert await content(pool) == GONE
    await connection.execute("UPDATE calls SET ended_at = now() - interval '91 days'")
    await erase_expired(connection, asyncio.Event())
    assert await pool.fetchval("SELECT count(*) FROM call_reports") == 0
    assert (await get_call(connection, owner, a_call_id())).summary is None


async def test_a_call_that_is_removed_meanwhile_ends_its_jobs_without_a_fault(
    pool: asyncpg.Pool, receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    async def removes() -> str:
        await pool.execute("DELETE FROM calls")
        return "Summary."

    models = Scripted([removes])
    await a_call(pool, receiver, analysis_plan=PLAN)
    async with reporting(pool, models):
        await until_reported(pool)
    assert (len(models.asked), receiver.received) == (1, [])
    assert "a job failed" not in caplog.text


async def test_a_call_that_is_removed_during_its_report_ends_it(
    pool: asyncpg.Pool, receiver: WebhookReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    release = asyncio.Event()
    receiver.behaviours.append(stall(release))
    await a_call(pool, receiver)
    async with reporting(pool, Scripted()):
        await receiver.until(1)
        await pool.execute("DELETE FROM calls")
        release.set()
    assert "a job failed" not in caplog.text
    assert await pool.fetchval("SELECT count(*) FROM webhook_attempts") == 0


async def test_a_database_that_cuts_connections_loses_no_report(
    pool: asyncpg.Pool, receiver: WebhookReceiver, connection: asyncpg.Connection
) -> None:
    async def cuts() -> str:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return "Summary."

    models = Scripted([cuts, "Summary again."])
    await a_call(pool, receiver)
    async with reporting(pool, models, taken_for_s=1.0):
        (report,) = await receiver.until(1)
        await asyncio.sleep(0.1)
    assert report.message["summary"] in ("Summary.", "Summary again.")
