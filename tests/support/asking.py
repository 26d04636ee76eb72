"""Integrators that answer `assistant-request`, and what asks them, on a real database."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import asyncpg
from aiohttp import web

from db.routing import find_route
from sovereign_ari.call_request import IntegratorRequests, Rules
from sovereign_ari.domain.agent import Assistant, Route
from sovereign_ari.domain.assistant_request import Resolution
from sovereign_ari.domain.webhook import Subject
from sovereign_ari.outgoing.http import OutgoingHttp
from sovereign_ari.outgoing.policy import OutgoingPolicy
from tests.support.api import CATALOGUE, DEFAULTS
from tests.support.webhook_receiver import Behaviour

CALLER = "+31612345678"


def answers(value: Any, *, code: int = 200) -> Behaviour:
    """Answer with a value as JSON, or with text as it is."""
    text = value if isinstance(value, str | bytes) else json.dumps(value)
    body = text.encode() if isinstance(text, str) else text

    async def behave(_request: web.Request) -> web.Response:
        return web.Response(status=code, body=body, content_type="application/json")

    return behave


@dataclass(frozen=True)
class Asker:
    """Asks as a controller does."""

    pool: asyncpg.Pool
    requests: IntegratorRequests

    async def route(self, number: str) -> Route:
        async with self.pool.acquire() as connection:
            return await find_route(connection, number, DEFAULTS)

    async def ask(self, number: str) -> Resolution:
        """Look a number up and ask whoever is to be asked about it."""
        route = await self.route(number)
        assert route.asks is not None, f"nobody is asked: {route}"
        subject = Subject(
            call_id="call-inbound-1",
            direction="inbound",
            status="ringing",
            number_id=route.number_id,
            number=number,
            number_name=route.number_name,
            customer=CALLER,
        )
        return await self.requests.ask(route, subject)


def _all_works(_assistant: Assistant) -> list[str]:
    return []


@asynccontextmanager
async def asker(
    pool: asyncpg.Pool,
    *allow: str,
    unusable: Callable[[Assistant], list[str]] = _all_works,
) -> AsyncIterator[Asker]:
    """Ask until the block ends; only these networks may be reached beside the public ones."""
    policy = OutgoingPolicy([ip_network(net) for net in allow])
    http = OutgoingHttp(policy)
    rules = Rules(CATALOGUE, policy, DEFAULTS)
    try:
        yield Asker(pool, IntegratorRequests(pool, http, rules, unusable))
    finally:
        await http.close()
