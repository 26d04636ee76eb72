"""Keys, rate limits, error shapes, bad requests: what every endpoint has in common."""

from __future__ import annotations

import asyncio
import gzip
import io
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from db.byok import put_key
from db.keys import create_key, revoke_key
from sovereign_ari.vault import Vault
from tests.support.api import Api, running_api
from tests.support.lock_waits import until_somebody_waits
from tests.support.postgres import PostgresServer, fresh_pool

SOMEBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer "}, {"Authorization": "Basic abc"},
     {"Authorization": "Bearer fl_live_wrong"}, {"Authorization": "Bearer \u00e9"}],
    ids=["none", "empty", "another scheme", "unknown", "not ascii"],
)  # fmt: skip
async def test_a_request_without_a_valid_key_is_refused(api: Api, headers: dict[str, str]) -> None:
    response = await api.client.get("/api/v1/assistants", headers=headers)
    message = "Invalid or missing API key"
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert await response.json() == {
        "error": {
            "code": "unauthorized",
            "message": message,
            "param": None,
            "type": "authentication_error",
        },
        "message": message,
    }


async def test_a_revoked_key_is_told_so(api: Api) -> None:
    async with api.pool.acquire() as connection:
        record, secret = await create_key(connection, api.organisation_id, name="old")
        await revoke_key(connection, api.organisation_id, record.id)
    status, body = await api.ask(
        "GET", "/api/v1/calls", headers={"Authorization": f"Bearer {secret}"}
    )
    assert (status, body["error"]["code"]) == (401, "api_key_revoked")


async def test_the_vendors_own_client_reads_flat_errors(api: Api) -> None:
    status, body = await api.ask(
        "POST", "/api/v1/assistants", {}, headers={"User-Agent": "hmsovereign-node/2.0.1"}
    )
    assert status == 400
    assert body == {
        "error": "name: is required",
        "message": "name: is required",
        "code": "missing_field",
        "param": "name",
        "type": "validation_error",
        "details": ["name: is required"],
    }


async def test_other_clients_read_nested_errors(api: Api) -> None:
    status, body = await api.ask("POST", "/api/v1/assistants", {"frist_message": 1, "name": 2})
    assert status == 400
    assert body["error"] == {
        "code": "invalid_request",
        "message": "name: input should be a valid string (and 1 more)",
        "param": "name",
        "type": "validation_error",
    }
    assert body["message"] == body["error"]["message"]
    assert body["details"] == [
        "name: input should be a valid string",
        "frist_message: unknown field; did you mean first_message?",
    ]


async def test_the_code_is_that_of_the_field_the_error_names(api: Api) -> None:
    status, body = await api.ask("POST", "/api/v1/assistants", {"is_active": 3})
    assert (status, body["details"][1]) == (400, "name: is required")
    assert (body["error"]["code"], body["error"]["param"]) == ("invalid_request", "is_active")


async def test_the_window_of_a_key_is_counted_and_closed(pool: asyncpg.Pool) -> None:
    async with running_api(pool, rate_limit_per_minute=3) as api:
        headers = {"Authorization": f"Bearer {api.key}"}
        answers = [await api.client.get("/api/v1/calls", headers=headers) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        left = [answer.headers["X-RateLimit-Remaining"] for answer in answers]
        assert left == ["2", "1", "0", "0"]
        refused = answers[-1]
        body = await refused.json()
        assert refused.headers["X-RateLimit-Limit"] == "3"
        reset_in_s = int(refused.headers["X-RateLimit-Reset"]) - time.time()
        assert 50 < reset_in_s < 62
        assert 50 < body["retry_after"] <= 60
        assert refused.headers["Retry-After"] == str(body["retry_after"])
        assert body["error"]["code"] == "rate_limit_exceeded"
        other = await api.another_tenant()
        assert (await other.ask("GET", "/api/v1/calls"))[0] == 200


async def test_the_window_is_exact_across_two_processes(pool: asyncpg.Pool) -> None:
    async with (
        running_api(pool, rate_limit_per_minute=10) as first,
        running_api(pool, rate_limit_per_minute=10) as second,
    ):
        headers = {"Authorization": f"Bearer {first.key}"}
        asked = [
            api.ask("GET", "/api/v1/numbers", headers=headers)
            for api in (first, second)
            for _ in range(15)
        ]
        statuses = [status for status, _ in await asyncio.gather(*asked)]
    assert (statuses.count(200), statuses.count(429)) == (10, 20)


@pytest.mark.parametrize(
    "path", ["/health", "/api/v1/health", "/healthz", "/nowhere", "/metrics", "/api/v1/calls"]
)
async def test_every_answer_names_the_limit_and_the_request(api: Api, path: str) -> None:
    response = await api.client.get(path, headers={"X-Request-Id": "mine-1"})
    assert response.headers["X-RateLimit-Limit"] == "100000"
    assert response.headers["X-RateLimit-Remaining"] == "100000"
    assert int(response.headers["X-RateLimit-Reset"]) > time.time()
    assert response.headers["X-Request-Id"] == "mine-1"


async def test_a_request_id_that_could_forge_a_log_line_is_replaced(api: Api) -> None:
    response = await api.client.get("/healthz", headers={"X-Request-Id": "a b"})
    assert response.headers["X-Request-Id"] != "a b"


BODIES = {
    "empty": (b"", "the body is empty"),
    "not json": (b"{name", "the body is not JSON"),
    "not utf-8": (b'{"name": "\xff"}', "the body is not UTF-8 (byte 10)"),
    "a list": (b"[]", "the body is not a JSON object"),
    "a text": (b'"name"', "the body is not a JSON object"),
    "NUL": (b'{"name": "a\\u0000"}', "name: a text holds a NUL"),
    "NUL in a key": (b'{"a\\u0000": 1}', "the name of a field holds a NUL"),
    "half a pair": (b'{"name": "\\ud800"}', "name: a text holds a NUL character or half"),
    "NaN": (b'{"name": NaN}', "NaN is not JSON"),
    "infinity": (b'{"name": -Infinity}', "-Infinity is not JSON"),
    "huge float": (b'{"name": 1e999}', "the body holds a number that is too large"),
    "huge int": (b'{"name": ' + b"9" * 5000 + b"}", "the body holds a number that is too long"),
    "deep": (b'{"a":' * 40 + b"1" + b"}" * 40, "the body is nested more than 32 levels deep"),
    "very deep": (b"[" * 100_000 + b"]" * 100_000, "the body is nested more than 32 levels deep"),
    "two values": (b"{} {}", "the body is not JSON"),
    "byte order mark": (b"\xef\xbb\xbf{}", "the body is not JSON"),
}


@pytest.mark.parametrize("name", list(BODIES))
async def test_a_bad_body_is_refused_with_its_reason(api: Api, name: str) -> None:
    raw, reason = BODIES[name]
    status, body = await api.ask("POST", "/api/v1/assistants", data=raw)
    assert status == 400
    assert body["message"].startswith(reason)
    assert body["error"]["type"] == "validation_error"
    assert (await api.ask("GET", "/api/v1/assistants"))[1] == {"assistants": []}


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
async def test_a_body_of_5_megabytes_is_refused(api: Api, chunked: bool) -> None:
    big = b'{"name": "' + b"a" * 5_000_000 + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 65536):
            yield big[start : start + 65536]

    status, body = await api.ask(
        "POST", "/api/v1/assistants", data=pieces() if chunked else io.BytesIO(big)
    )
    assert (status, body["error"]["code"]) == (413, "body_too_large")
    assert (await api.ask("GET", "/api/v1/assistants"))[0] == 200


async def test_a_small_body_that_unpacks_to_megabytes_is_refused(api: Api) -> None:
    bomb = gzip.compress(b'{"name": "' + b"a" * 20_000_000 + b'"}')
    status, _ = await api.ask(
        "POST", "/api/v1/assistants", data=bomb, headers={"Content-Encoding": "gzip"}
    )
    assert status == 413


async def test_a_body_that_is_not_packed_as_it_says_is_refused(api: Api) -> None:
    status, _ = await api.ask(
        "POST", "/api/v1/assistants", data=b"{}", headers={"Content-Encoding": "gzip"}
    )
    assert status == 400


async def test_the_last_of_two_equal_keys_counts(api: Api) -> None:
    raw = b'{"name": "first", "name": "second"}'
    status, body = await api.ask("POST", "/api/v1/assistants", data=raw)
    assert (status, body["assistant"]["name"]) == (201, "second")


@pytest.mark.parametrize("resource", ["assistants", "agents", "numbers", "keys"])
@pytest.mark.parametrize("given", ["nothing", "1", "a'%20OR%201=1", "%00", SOMEBODY[:-1], "é"])
async def test_an_id_that_is_not_a_uuid_names_nothing(api: Api, resource: str, given: str) -> None:
    status, body = await api.ask("DELETE", f"/api/v1/{resource}/{given}")
    assert (status, body["error"]["code"]) == (404, "not_found")
    assert "is not a UUID" in body["message"]


async def test_a_path_that_does_not_exist_is_not_found(api: Api) -> None:
    status, body = await api.ask("GET", "/api/v1/everything")
    assert (status, body["message"]) == (404, "there is no /api/v1/everything")


async def test_a_method_that_a_path_does_not_take_is_refused(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.key}"}
    response = await api.client.put("/api/v1/assistants", headers=headers, json={})
    assert response.status == 405
    assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}
    assert (await response.json())["error"]["code"] == "method_not_allowed"


async def test_a_tenant_sees_and_touches_only_its_own(api: Api) -> None:
    mine = (await api.ask("POST", "/api/v1/assistants", {"name": "Mine"}))[1]["assistant"]
    number = {"phone_number": "+31201234567"}
    owned = (await api.ask("POST", "/api/v1/numbers", number))[1]["number"]
    other = await api.another_tenant()
    for path in ("assistants", "agents", "numbers", "calls"):
        listed = (await other.ask("GET", f"/api/v1/{path}"))[1][path]
        assert listed == []
    for path in (f"assistants/{mine['id']}", f"numbers/{owned['id']}"):
        for method, body in (("GET", None), ("PATCH", {"name": "Theirs"}), ("DELETE", None)):
            assert (await other.ask(method, f"/api/v1/{path}", body))[0] == 404
    taken = {"phone_number": "+31207654321", "assistant_id": mine["id"]}
    assert (await other.ask("POST", "/api/v1/numbers", taken))[0] == 404


async def test_a_database_that_goes_away_is_a_503_and_comes_back(
    postgres_server: PostgresServer,
) -> None:
    async with fresh_pool(postgres_server) as pool, running_api(pool) as api:
        assert (await api.ask("GET", "/health"))[0] == 200
        await pool.close()
        status, body = await api.ask("GET", "/health")
        assert (status, body["status"]) == (503, "error")
        assert body["checks"] == {"database": {"status": "error", "latency_ms": None}}
        status, body = await api.ask("GET", "/api/v1/calls")
        assert (status, body["error"]["code"]) == (503, "database_unavailable")
        assert (await api.ask("GET", "/readyz"))[0] == 503
        assert (await api.ask("GET", "/healthz"))[0] == 200


async def test_two_transactions_that_wait_for_each_other_are_a_503_that_changed_nothing(
    api: Api,
) -> None:
    made = (await api.ask("POST", "/api/v1/assistants", {"name": "Reception"}))[1]["assistant"]
    body = {"phone_number": "+31201234567", "assistant_id": made["id"]}
    assert (await api.ask("POST", "/api/v1/numbers", body))[0] == 201
    path = f"/api/v1/assistants/{made['id']}"
    async with api.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL deadlock_timeout = '60s'")  # the other one gives up
        await connection.execute("SELECT FROM phone_numbers FOR UPDATE")
        deleting = asyncio.create_task(api.ask("DELETE", path))
        await until_somebody_waits(api.pool)
        await connection.execute("SELECT FROM assistants FOR UPDATE")
        status, answer = await deleting
    assert (status, answer["error"]["code"]) == (503, "database_unavailable")
    assert (await api.ask("GET", path))[0] == 200
    assert (await api.ask("DELETE", path))[0] == 200


async def test_a_request_for_which_no_connection_becomes_free_is_a_503(
    postgres_server: PostgresServer,
) -> None:
    async with fresh_pool(postgres_server, max_size=3) as pool, running_api(pool) as api:
        async with pool.acquire(), pool.acquire():  # the third hears answers of controllers
            status, body = await api.ask("GET", "/api/v1/calls")
        assert (status, body["error"]["code"]) == (503, "database_unavailable")
        assert (await api.ask("GET", "/api/v1/calls"))[0] == 200


async def test_health_has_the_documented_shape(api: Api) -> None:
    for path in ("/health", "/api/v1/health"):
        status, body = await api.ask("GET", path, headers={"Authorization": ""})
        assert status == 200
        assert body.keys() == {"status", "timestamp", "version", "checks"}
        assert (body["status"], body["version"]) == ("ok", "1.2.3")
        assert body["checks"]["database"]["status"] == "ok"
        assert body["checks"]["database"]["latency_ms"] >= 0
    assert (await api.ask("GET", "/readyz"))[1]["migrated"] is True


async def test_metrics_count_requests_by_route(api: Api) -> None:
    await api.ask("GET", f"/api/v1/assistants/{SOMEBODY}")
    await api.ask("GET", "/somewhere/else")
    text = await (await api.client.get("/metrics")).text()
    route = 'method="GET",route="/api/v1/assistants/{assistant_id}",status="404"'
    assert f"sovereign_api_requests_total{{{route}}} 1.0" in text
    assert 'route="unmatched",status="404"} 1.0' in text


async def test_keys_are_made_listed_and_revoked(api: Api) -> None:
    status, body = await api.ask("POST", "/api/v1/keys", {"name": "phone app"})
    key = body["key"]
    secret = key.pop("secret")
    assert status == 201
    assert secret.startswith(key["prefix"])
    listed = (await api.ask("GET", "/api/v1/keys"))[1]["keys"]
    assert key in listed
    assert all("secret" not in each for each in listed)
    mine = {"Authorization": f"Bearer {secret}"}
    assert (await api.ask("GET", "/api/v1/calls", headers=mine))[0] == 200
    assert await api.ask("DELETE", f"/api/v1/keys/{key['id']}") == (200, {"success": True})
    assert (await api.ask("GET", "/api/v1/calls", headers=mine))[0] == 401


async def test_a_secret_whose_master_key_is_gone_is_said_and_no_mistake_of_ours(api: Api) -> None:
    lost = Vault([bytes(32)]).seal(b"re_secret", "elsewhere")
    async with api.pool.acquire() as connection:
        await put_key(connection, api.organisation_id, "resend", lost)
    status, body = await api.ask("GET", "/api/v1/domains/sync")
    assert (status, body["error"]["code"]) == (503, "secret_unreadable")
    assert body["retry_after"] == 60
