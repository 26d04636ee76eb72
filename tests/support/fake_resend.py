"""Resend's API about domains on a real port: accounts, statuses, errors and pages as the vendor's.

async with fake_resend() as server:
    server.faults.append(Fault(503))
    ... resend_url=server.url
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from aiohttp import web
from aiohttp.test_utils import TestServer

KEY = "re_123456789_abcdefghijklmnop"


@dataclass
class Fault:
    """What the next request gets instead of an answer.

    Attributes:
        status: Of the answer; 0 cuts the connection in the midst of it.
        body: Sent as it is.
        method: Which requests it waits for, None for any.
        acts: Whether the request is done all the same, before it is answered so.
    """

    status: int
    body: bytes = b'{"statusCode":500,"name":"application_error","message":"Oops"}'
    method: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    acts: bool = False


@dataclass
class FakeResend:
    """The account's domains by id, the faults to come, and every request there was."""

    url: str = ""
    key: str = KEY
    domains: dict[str, dict[str, Any]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    dns_is_set: bool = False
    gate: asyncio.Event | None = None

    def add(self, name: str, status: str = "not_started", region: str = "us-east-1") -> str:
        """Add a domain, as the dashboard would; give its id."""
        domain_id = str(uuid4())
        self.domains[domain_id] = {
            "id": domain_id,
            "name": name,
            "created_at": "2026-03-17T09:30:00.000000+00:00",
            "status": status,
            "region": region,
            "records": _records(name, status, region),
            "capabilities": {"sending": "enabled", "receiving": "disabled"},
        }
        return domain_id

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path_qs))
        if self.gate is not None:
            await self.gate.wait()
        fault = self._fault(request.method)
        if fault is not None and not fault.acts:
            return await _as_told(request, fault)
        if not request.headers.get("User-Agent"):
            return _error(403, "validation_error", "User-Agent is missing")
        given = request.headers.get("Authorization", "")
        if not given.startswith("Bearer "):
            return _error(401, "missing_api_key", "Missing API key in the authorization header")
        if given != f"Bearer {self.key}":
            return _error(400, "validation_error", "API key is invalid")
        answer = await self._serve(request)
        return answer if fault is None else await _as_told(request, fault)

    def _fault(self, method: str) -> Fault | None:
        for index, fault in enumerate(self.faults):
            if fault.method in (None, method):
                return self.faults.pop(index)
        return None

    async def _serve(self, request: web.Request) -> web.Response:
        domain_id = request.match_info.get("domain_id")
        if domain_id is None:
            return await self._create(request) if request.method == "POST" else self._list(request)
        if (domain := self.domains.get(domain_id)) is None:
            return _error(404, "not_found", "Domain not found")
        if request.path.endswith("/verify"):
            status = "verified" if self.dns_is_set else "pending"
            self._settle(domain, status)
            return web.json_response({"object": "domain", "id": domain_id})
        if request.method == "DELETE":
            del self.domains[domain_id]
            return web.json_response({"object": "domain", "id": domain_id, "deleted": True})
        return web.json_response({"object": "domain", **domain})

    @staticmethod
    def _settle(domain: dict[str, Any], status: str) -> None:
        domain["status"] = status
        domain["records"] = _records(domain["name"], status, domain["region"])

    async def _create(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        name = body.get("name")
        if not isinstance(name, str):
            return _error(422, "missing_required_field", "Missing `name` field.")
        known = {domain["name"] for domain in self.domains.values()} | self.taken
        if name in known:
            return _error(
                403, "validation_error", f"The {name} domain has been registered already."
            )
        domain_id = self.add(name, region=body.get("region", "us-east-1"))
        return web.json_response(self.domains[domain_id], status=201)

    def _list(self, request: web.Request) -> web.Response:
        limit = int(request.query.get("limit", "1000"))
        found = [
            {key: value for key, value in domain.items() if key != "records"}
            for domain in self.domains.values()
        ]
        if (after := request.query.get("after")) is not None:
            ids = [domain["id"] for domain in found]
            found = found[ids.index(after) + 1 :]
        return web.json_response(
            {"object": "list", "has_more": len(found) > limit, "data": found[:limit]}
        )


async def _as_told(request: web.Request, fault: Fault) -> web.StreamResponse:
    if fault.status == 0:
        cut = web.StreamResponse()
        cut.content_length = 100
        await cut.prepare(request)
        await cut.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return cut
    return web.Response(
        status=fault.status,
        body=fault.body,
        headers=fault.headers,
        content_type="application/json",
    )


def _error(status: int, name: str, message: str) -> web.Response:
    return web.json_response(
        {"statusCode": status, "name": name, "message": message}, status=status
    )


def _records(name: str, status: str, region: str) -> list[dict[str, Any]]:
    label = name.split(".")[0]
    common = {"ttl": "Auto", "status": status}
    feedback = f"feedback-smtp.{region}.amazonses.com"
    return [
        {"record": "SPF", "name": f"send.{label}", "type": "MX", "value": feedback,
         "priority": 10, **common},
        {"record": "SPF", "name": f"send.{label}", "type": "TXT",
         "value": "v=spf1 include:amazonses.com ~all", **common},
        {"record": "DKIM", "name": f"resend._domainkey.{label}", "type": "TXT",
         "value": "p=MIGfMA0GCSqGSIb3DQEB", **common},
    ]  # fmt: skip


@asynccontextmanager
async def fake_resend() -> AsyncIterator[FakeResend]:
    """Serve one account."""
    fake = FakeResend()
    app = web.Application()
    app.router.add_route("*", "/domains", fake.handle)
    app.router.add_route("*", "/domains/{domain_id}", fake.handle)
    app.router.add_route("*", "/domains/{domain_id}/verify", fake.handle)
    async with TestServer(app) as server:
        fake.url = str(server.make_url("")).rstrip("/")
        yield fake
