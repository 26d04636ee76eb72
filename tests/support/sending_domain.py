"""The API with an account at a server that speaks as Resend does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from tests.support.api import Api, running_api
from tests.support.fake_resend import KEY, FakeResend

PATH = "/api/v1/domains"
NAME = "mail.example.com"


@asynccontextmanager
async def sending_api(pool: asyncpg.Pool, resend: FakeResend) -> AsyncIterator[Api]:
    """Serve the API for an organisation with a key of Resend."""
    async with running_api(pool, allow=["127.0.0.0/8"], resend_url=resend.url) as api:
        await store_key(api)
        yield api


async def store_key(api: Api, key: str = KEY) -> None:
    """Store a key of Resend for an organisation."""
    fields = {"provider": "resend", "api_key": key}
    assert (await api.ask("POST", "/api/v1/byok", fields))[0] == 200


async def own(api: Api) -> Any:
    """The organisation's domain, as it is shown."""
    status, body = await api.ask("GET", PATH)
    assert (status, body.keys()) == (200, {"domain"})
    return body["domain"]


async def made(api: Api, name: str = NAME) -> Any:
    """Add a domain."""
    status, body = await api.ask("POST", PATH, {"domain_name": name})
    assert status == 201
    return body["domain"]
