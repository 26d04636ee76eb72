"""`/domains` over HTTP, against a server that speaks as Resend does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.support.api import Api
from tests.support.fake_resend import FakeResend, fake_resend
from tests.support.sending_domain import NAME, PATH, made, own, sending_api, store_key


@pytest.fixture
async def resend() -> AsyncIterator[FakeResend]:
    async with fake_resend() as server:
        yield server


@pytest.fixture
async def api(pool: asyncpg.Pool, resend: FakeResend) -> AsyncIterator[Api]:
    async with sending_api(pool, resend) as api:
        yield api


async def test_without_a_domain_there_is_null(api: Api, resend: FakeResend) -> None:
    assert await own(api) is None
    for method, path in (("DELETE", ""), ("POST", "/verify"), ("POST", "/refresh")):
        status, body = await api.ask(method, PATH + path)
        assert (status, body["error"]["code"]) == (404, "not_found")
        assert "POST /domains" in body["message"]
    assert resend.seen == []


@pytest.mark.parametrize("spelling", ["domain_name", "domain"])
async def test_a_domain_is_added_at_resend(api: Api, resend: FakeResend, spelling: str) -> None:
    status, body = await api.ask("POST", PATH, {spelling: NAME})
    assert status == 201
    domain = body["domain"]
    [theirs] = resend.domains.values()
    assert theirs["region"] == "eu-west-1"
    assert await own(api) == domain
    assert domain.pop("id") != theirs["id"]
    assert domain.pop("created_at") == domain.pop("updated_at")
    assert domain == {
        "org_id": api.organisation_id,
        "domain_name": NAME,
        "resend_domain_id": theirs["id"],
        "status": "not_started",
        "region": "eu-west-1",
        "records": [{"priority": None} | record for record in theirs["records"]],
        "verified_at": None,
    }


async def test_two_spellings_may_agree_but_not_contradict(api: Api) -> None:
    status, body = await api.ask("POST", PATH, {"domain_name": NAME, "domain": "b.example"})
    assert status == 400
    assert body["details"] == ["domain_name: domain_name and domain have different values"]
    assert (await api.ask("POST", PATH, {"domain_name": NAME, "domain": NAME}))[0] == 201


async def test_a_region_may_be_chosen(api: Api) -> None:
    fields = {"domain_name": NAME, "region": "sa-east-1"}
    assert (await api.ask("POST", PATH, fields))[1]["domain"]["region"] == "sa-east-1"


@pytest.mark.parametrize(
    ("given", "asked"),
    [("Mail.Example.COM", NAME), ("mail.example.com.", NAME),
     ("bäckerei.example", "xn--bckerei-5wa.example")],
)  # fmt: skip
async def test_names_are_written_in_ascii(api: Api, given: str, asked: str) -> None:
    assert (await made(api, given))["domain_name"] == asked


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "domain_name: is required"),
        ({"domain_name": 5}, "domain_name: "),
        ({"domain_name": None}, "domain_name: "),
        ({"domain_name": ""}, "domain_name: is not the name of a domain"),
        ({"domain_name": "localhost"}, "domain_name: is not the name of a domain"),
        ({"domain_name": "192.0.2.1"}, "domain_name: is not the name of a domain"),
        ({"domain_name": "https://example.com"}, "domain_name: is not the name of a domain"),
        ({"domain_name": "a@example.com"}, "domain_name: is not the name of a domain"),
        ({"domain_name": "a..example.com"}, "domain_name: is not the name of a domain"),
        ({"domain_name": "-a.example.com"}, "domain_name: is not the name of a domain"),
        ({"domain_name": "a_b.example.com"}, "domain_name: is not the name of a domain"),
        ({"domain_name": "xn--\xe4.example"}, "domain_name: is not the name of a domain"),
        ({"domain_name": NAME + "\n"}, "domain_name: is not the name of a domain"),
        ({"domain_name": "a" * 64 + ".example"}, "domain_name: is not the name of a domain"),
        ({"domain_name": "a." * 130 + "example"}, "domain_name: "),
        ({"domain_name": NAME, "region": "mars"}, "region: "),
        ({"domain_nme": NAME}, "domain_name: is required"),
    ],
)
async def test_a_bad_domain_is_refused(
    api: Api, resend: FakeResend, fields: dict[str, Any], line: str
) -> None:
    status, body = await api.ask("POST", PATH, fields)
    assert status == 400
    assert body["details"][0].startswith(line)
    assert resend.seen == []


async def test_an_organisation_has_one_domain(api: Api, resend: FakeResend) -> None:
    domain = await made(api)
    for name in (NAME, "other.example.com"):
        status, body = await api.ask("POST", PATH, {"domain_name": name})
        assert (status, body["error"]["code"]) == (409, "conflict")
        assert NAME in body["message"]
    assert await own(api) == domain
    assert len(resend.domains) == 1


async def test_a_deleted_domain_is_gone_here_and_there(api: Api, resend: FakeResend) -> None:
    await made(api)
    assert await api.ask("DELETE", PATH) == (200, {"success": True})
    assert resend.domains == {}
    assert await own(api) is None
    assert (await api.ask("DELETE", PATH))[0] == 404
    await made(api)
    resend.domains.clear()
    assert await api.ask("DELETE", PATH) == (200, {"success": True})
    assert await own(api) is None


async def test_verifying_asks_resend_to_look_and_then_what_it_saw(
    api: Api, resend: FakeResend
) -> None:
    domain = await made(api)
    status, body = await api.ask("POST", PATH + "/verify")
    assert status == 200
    assert (body["domain"]["status"], body["domain"]["verified_at"]) == ("pending", None)
    assert {record["status"] for record in body["domain"]["records"]} == {"pending"}
    resend.dns_is_set = True
    body = (await api.ask("POST", PATH + "/verify"))[1]
    verified_at = body["domain"]["verified_at"]
    assert (body["domain"]["status"], verified_at is None) == ("verified", False)
    assert body["domain"]["id"] == domain["id"]
    assert await own(api) == body["domain"]
    theirs = domain["resend_domain_id"]
    assert resend.seen[-2:] == [
        ("POST", f"/domains/{theirs}/verify"),
        ("GET", f"/domains/{theirs}"),
    ]
    body = (await api.ask("POST", PATH + "/verify"))[1]
    assert body["domain"]["verified_at"] == verified_at


async def test_refreshing_reads_without_verifying(api: Api, resend: FakeResend) -> None:
    domain = await made(api)
    resend.domains[domain["resend_domain_id"]]["status"] = "failed"
    status, body = await api.ask("POST", PATH + "/refresh")
    assert (status, body["domain"]["status"]) == (200, "failed")
    assert resend.seen[-1] == ("GET", f"/domains/{domain['resend_domain_id']}")
    assert body["domain"]["verified_at"] is None


async def test_the_domains_of_the_account_are_listed(api: Api, resend: FakeResend) -> None:
    assert await api.ask("GET", PATH + "/sync") == (
        200,
        {"domains": [], "selected_domain_id": None},
    )
    other = resend.add("other.example.com", "verified")
    domain = await made(api)
    status, body = await api.ask("GET", PATH + "/sync")
    assert (status, body["selected_domain_id"]) == (200, domain["resend_domain_id"])
    assert body["domains"] == [
        {"id": other, "name": "other.example.com", "status": "verified", "region": "us-east-1"},
        {
            "id": domain["resend_domain_id"],
            "name": NAME,
            "status": "not_started",
            "region": "eu-west-1",
        },
    ]


async def test_every_page_of_a_long_list_is_read(api: Api, resend: FakeResend) -> None:
    ids = [resend.add(f"d{number}.example.com") for number in range(250)]
    _, body = await api.ask("GET", PATH + "/sync")
    assert [domain["id"] for domain in body["domains"]] == ids


@pytest.mark.parametrize("spelling", ["resendDomainId", "resend_domain_id", "domain_id"])
async def test_one_of_the_accounts_domains_is_selected(
    api: Api, resend: FakeResend, spelling: str
) -> None:
    first, second = resend.add("a.example.com", "verified"), resend.add("b.example.com")
    status, body = await api.ask("POST", PATH + "/sync", {spelling: first})
    assert (status, body["message"]) == (200, "Domain synced successfully from Resend")
    assert (body["domain"]["domain_name"], body["domain"]["status"]) == (
        "a.example.com", "verified",
    )  # fmt: skip
    assert body["domain"]["verified_at"] is not None
    assert await own(api) == body["domain"]
    _, again = await api.ask("POST", PATH + "/sync", {spelling: first})
    assert again["domain"]["verified_at"] == body["domain"]["verified_at"]
    _, body = await api.ask("POST", PATH + "/sync", {spelling: second})
    assert (body["domain"]["domain_name"], body["domain"]["verified_at"]) == (
        "b.example.com", None,
    )  # fmt: skip
    assert len(resend.domains) == 2


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, "resendDomainId: is required"),
        ({"resendDomainId": ""}, "resendDomainId: "),
        ({"resendDomainId": "../api-keys"}, "resendDomainId: "),
        ({"resendDomainId": "a?b"}, "resendDomainId: "),
        ({"resendDomainId": 5}, "resendDomainId: "),
        ({"resendDomainId": "a", "domain_id": "b"},
         "resendDomainId: resendDomainId and domain_id have different values"),
        ({"resendDomain": "a"}, "resendDomainId: is required"),
    ],
)  # fmt: skip
async def test_a_bad_selection_is_refused(
    api: Api, resend: FakeResend, fields: dict[str, Any], line: str
) -> None:
    status, body = await api.ask("POST", PATH + "/sync", fields)
    assert status == 400
    assert body["details"][0].startswith(line)
    assert resend.seen == []


async def test_a_domain_that_the_account_lacks_cannot_be_selected(
    api: Api, resend: FakeResend
) -> None:
    domain = await made(api)
    status, body = await api.ask("POST", PATH + "/sync", {"resendDomainId": "nowhere"})
    assert (status, body["error"]["code"]) == (404, "not_found")
    assert "nowhere" in body["message"]
    assert await own(api) == domain


async def test_nobody_sees_or_moves_the_domain_of_another(api: Api, resend: FakeResend) -> None:
    domain = await made(api)
    stranger = await api.another_tenant()
    await store_key(stranger)
    assert await own(stranger) is None
    for method, path in (("DELETE", ""), ("POST", "/verify"), ("POST", "/refresh")):
        assert (await stranger.ask(method, PATH + path))[0] == 404
    assert await own(api) == domain
    await made(stranger, "theirs.example.com")
    assert await own(api) == domain


async def test_a_repeated_request_adds_one_domain(api: Api, resend: FakeResend) -> None:
    options: dict[str, Any] = {"headers": {"Idempotency-Key": "one"}}
    first = await api.ask("POST", PATH, {"domain_name": NAME}, **options)
    assert first[0] == 201
    assert await api.ask("POST", PATH, {"domain_name": NAME}, **options) == first
    assert len(resend.domains) == 1
