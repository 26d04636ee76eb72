"""Vendors' keys: in, never out, and verified when asked."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from db.byok import open_keys, sealed_keys
from sovereign_ari.outgoing.key_checks import QUESTIONS, KeyChecks
from tests.support.api import CATALOGUE, VAULT, Api, running_api
from tests.support.fake_vendor_keys import WIRE, FakeVendors, fake_vendors

SECRET = "sk-a-very-secret-key-0123456789"
SLOTS = {
    f"{provider}_secret_id"
    for provider in (
        "deepgram", "openai", "elevenlabs", "resend", "xai", "gladia", "mistral", "inworld",
        "google", "google_vertex",
    )
}  # fmt: skip
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


ACCOUNT = {
    "type": "service_account",
    "project_id": "ours",
    "private_key_id": "abc123",
    "private_key": pem(RSA),
    "client_email": "agent@ours.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.googleapis.com/token",
}


@pytest.fixture
async def vendors() -> AsyncIterator[FakeVendors]:
    async with fake_vendors(SECRET) as vendors:
        yield vendors


@pytest.fixture
async def api(pool: asyncpg.Pool, vendors: FakeVendors) -> AsyncIterator[Api]:
    async with running_api(pool, key_checks=KeyChecks(at=vendors.at)) as api:
        yield api


async def ask(api: Api, method: str, body: Any = None, **options: Any) -> tuple[int, Any]:
    return await api.ask(method, "/api/v1/byok", body, **options)


async def stored(api: Api) -> dict[str, str]:
    async with api.pool.acquire() as connection:
        sealed = await sealed_keys(connection, api.organisation_id)
    return open_keys(VAULT, api.organisation_id, sealed)


# Keys go in, are replaced and removed.


async def test_every_documented_slot_is_there_and_empty(api: Api) -> None:
    status, body = await ask(api, "GET")
    assert status == 200
    assert set(body["byok_keys"]) >= SLOTS
    assert set(body["byok_keys"].values()) == {None}
    assert (body["byok_config"], body["byok_verified_at"]) == ({}, {})


async def test_a_key_is_stored_replaced_under_a_new_id_and_removed(api: Api) -> None:
    status, first = await ask(api, "POST", {"provider": "openai", "api_key": SECRET})
    assert (status, first["success"]) == (200, True)
    first_id = first["byok_keys"]["openai_secret_id"]
    assert first_id is not None
    assert await stored(api) == {"openai": SECRET}
    _, second = await ask(api, "POST", {"provider": "openai", "api_key": "sk-2", "verify": None})
    assert second["byok_keys"]["openai_secret_id"] not in (None, first_id)
    assert (await ask(api, "GET"))[1]["byok_keys"] == second["byok_keys"]
    assert await stored(api) == {"openai": "sk-2"}
    status, gone = await ask(api, "DELETE", {"provider": "openai"})
    assert (status, gone["success"]) == (200, True)
    assert set(gone["byok_keys"].values()) == {None}
    assert await stored(api) == {}
    status, body = await ask(api, "DELETE", {"provider": "openai"})
    assert (status, body["error"]["code"]) == (404, "not_found")
    assert "openai" in body["message"]


@pytest.mark.parametrize("name", sorted(CATALOGUE.byok_names()))
async def test_every_provider_has_its_slot_by_every_name(api: Api, name: str) -> None:
    key = json.dumps(ACCOUNT) if name == "google_vertex" else SECRET
    _, body = await ask(api, "POST", {"provider": name, "api_key": key})
    provider = {"11labs": "elevenlabs"}.get(name, name)
    filled = {slot for slot, value in body["byok_keys"].items() if value is not None}
    assert filled == {f"{provider}_secret_id"}
    assert await stored(api) == {provider: key}
    status, _ = await ask(api, "DELETE", {"provider": name})
    assert status == 200


async def test_tenants_see_and_touch_their_own_keys_alone(api: Api) -> None:
    other = await api.another_tenant()
    await ask(api, "POST", {"provider": "openai", "api_key": SECRET})
    assert set((await ask(other, "GET"))[1]["byok_keys"].values()) == {None}
    assert (await ask(other, "DELETE", {"provider": "openai"}))[0] == 404
    config = {"provider": "openai", "config": {"a": 1}}
    assert (await other.ask("POST", "/api/v1/byok/config", config))[0] == 422
    await ask(other, "POST", {"provider": "openai", "api_key": "sk-theirs"})
    assert await stored(api) == {"openai": SECRET}
    assert await stored(other) == {"openai": "sk-theirs"}


async def test_replacements_at_once_leave_one_whole_key(api: Api) -> None:
    keys = [f"sk-{n}" for n in range(12)]
    answers = await asyncio.gather(
        *(ask(api, "POST", {"provider": "openai", "api_key": key}) for key in keys)
    )
    assert {status for status, _ in answers} == {200}
    assert (await stored(api))["openai"] in keys


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({}, "provider: is required"),
        ({"provider": "openai"}, "api_key: is required"),
        ({"provider": "opnai", "api_key": "k"}, "did you mean 'openai'?"),
        ({"provider": "acme", "api_key": "k"}, "provider: 'acme' is unknown; known are"),
        ({"provider": "openai_secret_id", "api_key": "k"}, "is unknown"),
        ({"provider": "openai", "api_key": ""}, "api_key: "),
        ({"provider": "openai", "api_key": None}, "api_key: "),
        ({"provider": "openai", "api_key": f" {SECRET}"}, "api_key: holds spaces"),
        ({"provider": "openai", "api_key": f"{SECRET}\n"}, "api_key: holds spaces"),
        ({"provider": "openai", "api_key": f"{SECRET}\r\nX-Evil: 1"}, "api_key: holds spaces"),
        ({"provider": "openai", "api_key": f"{SECRET}é"}, "api_key: holds spaces"),
        ({"provider": "openai", "api_key": SECRET * 40}, "longer than 1024"),
        ({"provider": "openai", "api_key": SECRET, "verify": "yes"}, "verify: "),
        ({"provider": "openai", "api_key": SECRET, "verfy": True}, "did you mean verify?"),
    ],
)
async def test_a_bad_body_is_refused_by_name_and_stores_nothing(
    api: Api, body: dict[str, Any], line: str
) -> None:
    status, answer = await ask(api, "POST", body)
    assert status == 400
    assert any(line in detail for detail in answer["details"])
    assert SECRET not in json.dumps(answer)
    assert await stored(api) == {}


# Google's service accounts.


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"type": "authorized_user"}, "api_key.type"),
        ({"project_id": None}, "api_key.project_id: is missing"),
        ({"client_email": 7}, "api_key.client_email"),
        ({"private_key_id": ""}, "api_key.private_key_id"),
        ({"private_key": "-----BEGIN PRIVATE KEY-----\nnope"}, "api_key.private_key: is not"),
        (
            {"private_key": pem(ec.generate_private_key(ec.SECP256R1()))},
            "api_key.private_key: is not",
        ),
        ({"private_key": pem(rsa.generate_private_key(65537, 1024))}, "2048"),
        ({"token_uri": "https://evil.example/token"}, "api_key.token_uri: must be Google's own"),
        ({"token_uri": ["x"]}, "api_key.token_uri"),
        ({"type": 1, "project_id": 2}, "(and 1 more)"),
    ],
)
async def test_a_service_account_of_the_wrong_form_is_refused_without_its_words(
    api: Api, change: dict[str, Any], line: str
) -> None:
    document = json.dumps(ACCOUNT | change)
    status, body = await ask(api, "POST", {"provider": "google_vertex", "api_key": document})
    assert status == 400
    assert line in body["message"]
    assert body["error"]["param"] == "api_key"
    assert "PRIVATE KEY" not in json.dumps(body)
    assert "evil" not in json.dumps(body)
    assert await stored(api) == {}


@pytest.mark.parametrize("text", [SECRET, "[]", "{", "[" * 15_000, '{"a":' * 3000, "x" * 16_384])
async def test_what_is_no_document_is_refused(api: Api, text: str) -> None:
    status, body = await ask(api, "POST", {"provider": "google_vertex", "api_key": text})
    assert status == 400
    assert body["details"] == [
        "api_key: must be the JSON document of a service account, as a text"
    ]


async def test_a_service_account_is_verified_at_google_with_a_grant_that_it_signed(
    api: Api, vendors: FakeVendors
) -> None:
    body = {"provider": "google_vertex", "api_key": json.dumps(ACCOUNT, indent=2), "verify": True}
    assert (await ask(api, "POST", body))[0] == 200
    (form,) = vendors.forms
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    head, claims, signature = form["assertion"].split(".")
    RSA.public_key().verify(
        base64.urlsafe_b64decode(signature + "=="),
        f"{head}.{claims}".encode(),
        PKCS1v15(),
        hashes.SHA256(),
    )
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert (said["iss"], said["aud"]) == (ACCOUNT["client_email"], ACCOUNT["token_uri"])
    assert 0 < said["exp"] - said["iat"] <= 3600
    assert json.loads(base64.urlsafe_b64decode(head + "=="))["kid"] == "abc123"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((400, {"error": "invalid_grant"}), "byok_key_refused"),
        ((401, {"error": "invalid_client"}), "byok_key_refused"),
        ((400, {"error": "invalid_scope"}), "byok_key_unverified"),
        ((200, {"id_token": "x"}), "byok_key_unverified"),
        ((200, ["x"]), "byok_key_unverified"),
        ((503, {}), "byok_key_unverified"),
    ],
)
async def test_what_google_says_decides(
    api: Api, vendors: FakeVendors, answer: tuple[int, Any], code: str
) -> None:
    vendors.answers["google_vertex"] = answer
    body = {"provider": "google_vertex", "api_key": json.dumps(ACCOUNT), "verify": True}
    status, refusal = await ask(api, "POST", body)
    assert (status, refusal["error"]["code"]) == (422, code)
    assert await stored(api) == {}


# Verification.


def test_the_fakes_and_the_table_know_the_same_vendors() -> None:
    assert set(QUESTIONS) == set(WIRE)
    assert all(question.url.startswith("https://") for question in QUESTIONS.values())


@pytest.mark.parametrize("provider", sorted(WIRE))
async def test_a_vendor_that_takes_the_key_gets_it_stored(
    api: Api, vendors: FakeVendors, provider: str
) -> None:
    body = {"provider": provider, "api_key": SECRET, "verify": True}
    assert (await ask(api, "POST", body))[0] == 200
    assert vendors.asked == [provider]
    assert await stored(api) == {provider: SECRET}
    _, listed = await ask(api, "GET")
    assert listed["byok_verified_at"][provider].endswith("Z")


@pytest.mark.parametrize("provider", sorted(WIRE))
async def test_a_vendor_that_refuses_the_key_leaves_the_old_one(
    api: Api, vendors: FakeVendors, provider: str
) -> None:
    await ask(api, "POST", {"provider": provider, "api_key": "sk-before"})
    assert vendors.asked == []
    body = {"provider": provider, "api_key": "sk-wrong-key", "verify": True}
    status, answer = await ask(api, "POST", body)
    assert (status, answer["error"]["code"]) == (422, "byok_key_refused")
    assert answer["error"]["param"] == "api_key"
    assert provider in answer["message"]
    assert "sk-wrong-key" not in json.dumps(answer)
    assert await stored(api) == {provider: "sk-before"}


@pytest.mark.parametrize(
    ("provider", "answer"),
    [
        ("elevenlabs", (401, {"detail": {"status": "missing_permissions"}})),
        ("resend", (401, {"name": "restricted_api_key"})),
    ],
)
async def test_a_genuine_key_with_few_rights_is_taken(
    api: Api, vendors: FakeVendors, provider: str, answer: tuple[int, Any]
) -> None:
    vendors.answers[provider] = answer
    body = {"provider": provider, "api_key": SECRET, "verify": True}
    assert (await ask(api, "POST", body))[0] == 200


async def test_a_key_that_its_vendor_blocked_is_refused(api: Api, vendors: FakeVendors) -> None:
    vendors.answers["xai"] = (200, {"api_key_blocked": True})
    body = {"provider": "xai", "api_key": SECRET, "verify": True}
    assert (await ask(api, "POST", body))[1]["error"]["code"] == "byok_key_refused"


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
async def test_an_answer_that_says_nothing_about_the_key_stores_nothing(
    api: Api, vendors: FakeVendors, status: int
) -> None:
    vendors.answers["openai"] = (status, {"error": "busy"})
    body = {"provider": "openai", "api_key": SECRET, "verify": True}
    found, answer = await ask(api, "POST", body)
    assert (found, answer["error"]["code"]) == (422, "byok_key_unverified")
    assert str(status) in answer["message"]
    assert await stored(api) == {}


async def test_a_vendor_that_is_away_stores_nothing(
    pool: asyncpg.Pool, vendors: FakeVendors
) -> None:
    checks = KeyChecks("http://127.0.0.1:9/v1")
    async with running_api(pool, key_checks=checks) as api:
        body = {"provider": "openai", "api_key": SECRET, "verify": True}
        status, answer = await ask(api, "POST", body)
        assert (status, answer["error"]["code"]) == (422, "byok_key_unverified")
        assert "127.0.0.1" not in answer["message"]
        assert await stored(api) == {}


async def test_the_operators_own_server_is_asked_in_openais_place(
    pool: asyncpg.Pool, vendors: FakeVendors
) -> None:
    checks = KeyChecks(f"{vendors.url}/openai/v1/")
    async with running_api(pool, key_checks=checks) as api:
        body = {"provider": "openai", "api_key": SECRET, "verify": True}
        assert (await ask(api, "POST", body))[0] == 200
        assert vendors.asked == ["openai"]


async def test_a_provider_that_cannot_be_asked_says_so(api: Api) -> None:
    unknown = set(CATALOGUE.byok_providers()) - set(QUESTIONS) - {"google_vertex"}
    for provider in unknown:
        body = {"provider": provider, "api_key": SECRET, "verify": True}
        status, answer = await ask(api, "POST", body)
        assert (status, answer["error"]["code"]) == (422, "byok_key_unverified")
        assert "cannot be verified" in answer["message"]
    assert await stored(api) == {}


async def test_a_verification_is_done_once_for_one_idempotency_key(
    api: Api, vendors: FakeVendors
) -> None:
    body = {"provider": "openai", "api_key": SECRET, "verify": True}
    headers = {"Idempotency-Key": "one"}
    first = await ask(api, "POST", body, headers=headers)
    assert await ask(api, "POST", body, headers=headers) == first
    assert vendors.asked == ["openai"]


# Settings.


async def set_config(api: Api, provider: str, config: Any) -> tuple[int, Any]:
    body = {"provider": provider, "config": config}
    return await api.ask("POST", "/api/v1/byok/config", body)


async def test_settings_are_merged_by_name(api: Api) -> None:
    await ask(api, "POST", {"provider": "11labs", "api_key": SECRET})
    assert await set_config(api, "11labs", {"a": 1, "b": {"c": None}}) == (
        200,
        {"byok_config": {"elevenlabs": {"a": 1, "b": {"c": None}}}},
    )
    _, body = await set_config(api, "elevenlabs", {"a": None, "d": ["é"]})
    assert body == {"byok_config": {"elevenlabs": {"b": {"c": None}, "d": ["é"]}}}
    await ask(api, "POST", {"provider": "elevenlabs", "api_key": "sk-2"})
    assert (await ask(api, "GET"))[1]["byok_config"] == body["byok_config"]
    await ask(api, "DELETE", {"provider": "elevenlabs"})
    await ask(api, "POST", {"provider": "elevenlabs", "api_key": "sk-3"})
    assert await set_config(api, "elevenlabs", {}) == (200, {"byok_config": {"elevenlabs": {}}})


async def test_settings_need_a_stored_key(api: Api) -> None:
    status, body = await set_config(api, "openai", {"a": 1})
    assert (status, body["error"]["code"]) == (422, "byok_key_missing")
    assert body["error"]["param"] == "openai"
    assert "a key of openai must already be stored" in body["message"]


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ([], "config: "),
        (None, "config: "),
        ({"": 1}, "config: the name ''"),
        ({"n" * 65: 1}, "1 to 64 characters"),
        ({f"n{n}": n for n in range(65)}, "config: holds 66 names"),
        ({"a": "é" * 8200}, "config: is larger than 16384 bytes"),
    ],
)
async def test_bad_settings_change_nothing(api: Api, config: Any, line: str) -> None:
    await ask(api, "POST", {"provider": "openai", "api_key": SECRET})
    await set_config(api, "openai", {"kept": True})
    status, body = await set_config(api, "openai", config)
    assert status == 400
    assert line in body["message"]
    assert (await ask(api, "GET"))[1]["byok_config"] == {"openai": {"kept": True}}


async def test_settings_merged_at_once_lose_no_name(api: Api) -> None:
    await ask(api, "POST", {"provider": "openai", "api_key": SECRET})
    await asyncio.gather(*(set_config(api, "openai", {f"n{n}": n}) for n in range(12)))
    _, body = await set_config(api, "openai", {})
    assert body["byok_config"]["openai"] == {f"n{n}": n for n in range(12)}


# Secrets stay in.


async def test_no_answer_log_line_or_row_shows_a_key(
    api: Api, vendors: FakeVendors, caplog: pytest.LogCaptureFixture
) -> None:
    vendors.answers["gladia"] = (401, {"message": f"bad key {SECRET}"})
    seen: list[Any] = []
    with caplog.at_level(logging.DEBUG):
        for provider in (*CATALOGUE.byok_providers(), "nobody"):
            for verify in (False, True):
                body = {"provider": provider, "api_key": SECRET, "verify": verify}
                headers = {"Idempotency-Key": f"{provider}-{verify}"}
                for _ in range(2):
                    seen.append(await ask(api, "POST", body, headers=headers))
                    seen.append(await ask(api, "POST", body | {"api_key": SECRET + " "}))
            seen.append(await set_config(api, provider, {"a": 1}))
            seen.append(await ask(api, "GET"))
        seen.append(await ask(api, "DELETE", {"provider": "openai"}))
        seen.append(await api.ask("GET", "/api/v1/keys"))
    assert {status for status, _ in seen} <= {200, 400, 404, 422}
    assert SECRET not in json.dumps(seen)
    assert SECRET not in caplog.text
    assert all(SECRET not in repr(record.__dict__) for record in caplog.records)
    for table in ("byok_keys", "idempotent_requests"):
        rows = await api.pool.fetch(f"SELECT * FROM {table}")
        assert rows
        assert SECRET not in repr(rows)
