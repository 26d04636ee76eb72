"""The API on a real server and a real database, with a key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import sovereign_ari.speech
from api.app import build_app
from api.parts import Parts
from db.keys import create_key
from db.organisations import create_organisation, ensure_operator_organisation
from sovereign_ari.domain.catalogue import Catalogue
from sovereign_ari.outgoing.http import OutgoingHttp
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.vault import Vault

VERSION = "1.2.3"
CATALOGUE = Catalogue(
    json.loads((Path(sovereign_ari.speech.__file__).parent / "catalogue.json").read_text())
)
VAULT = Vault([bytes(range(32))])
DEFAULTS = CATALOGUE.default_blocks(openai=False)
Client = TestClient[web.Request, web.Application]


@dataclass(frozen=True)
class Api:
    """A running API, the key that opens it, and the database behind it."""

    client: Client
    key: str
    organisation_id: str
    pool: asyncpg.Pool

    async def ask(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> tuple[int, Any]:
        """Send a request with our key; give the status and the decoded answer."""
        headers = {"Authorization": f"Bearer {self.key}"} | options.pop("headers", {})
        if body is not None:
            options["json"] = body
        async with self.client.request(method, path, headers=headers, **options) as response:
            return response.status, await response.json()

    async def another_tenant(self) -> Api:
        """The same API for somebody else."""
        async with self.pool.acquire() as connection:
            tenant = await create_organisation(connection, "Another")
            _, key = await create_key(connection, tenant, name="theirs")
        return Api(self.client, key, tenant, self.pool)


def an_app(
    pool: asyncpg.Pool,
    rate_limit_per_minute: int = 100_000,
    allow: Sequence[str] = (),
    **more: Any,
) -> web.Application:
    """The application as shipped, with the catalogue as shipped.

    `allow` are networks, such as `127.0.0.0/8`, that outgoing requests may reach though they are
    not public; `more` are other `Parts`.
    """
    policy = OutgoingPolicy([ip_network(net) for net in allow])
    return build_app(
        Parts(
            pool=pool,
            catalogue=CATALOGUE,
            defaults=DEFAULTS,
            version=VERSION,
            vault=VAULT,
            outgoing=policy,
            http=OutgoingHttp(policy),
            allowed_per_minute=rate_limit_per_minute,
            **more,
        )
    )


@asynccontextmanager
async def running_api(
    pool: asyncpg.Pool,
    rate_limit_per_minute: int = 100_000,
    allow: Sequence[str] = (),
    **more: Any,
) -> AsyncIterator[Api]:
    """Serve the API for the operator's organisation; `allow` and `more` as in `an_app`."""
    async with pool.acquire() as connection:
        organisation = await ensure_operator_organisation(connection)
        _, key = await create_key(connection, organisation, name="tests")
    app = an_app(pool, rate_limit_per_minute, allow, **more)
    async with TestClient(TestServer(app)) as client:
        yield Api(client, key, organisation, pool)
