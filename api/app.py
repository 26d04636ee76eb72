"""Builds the application from plain values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime

import asyncpg
from aiohttp import web

from api import problems
from api.access import access, add_headers
from api.endpoints import Endpoint, routes_of
from api.health import ROUTES
from api.instruments import Instruments
from api.openapi import PREFIX, build_document
from api.parts import DOCUMENT, PARTS, Catalogue, Parts, utc_now
from api.resources.api_keys import keys
from api.resources.assistants import aliases, assistants
from api.resources.calls import calls
from api.resources.numbers import numbers
from sovereign_ari.domain.agent import Config
from sovereign_ari.outgoing import OutgoingPolicy
from sovereign_ari.vault import Vault

LARGEST_BODY_BYTES = 1024 * 1024
RATE_LIMIT_PER_MINUTE = 100


def all_endpoints() -> list[Endpoint]:
    """Every operation that needs a key, in the order of the document."""
    return [*assistants.all, *aliases(), *numbers.all, *calls.all, *keys.all]


def build_app(
    pool: asyncpg.Pool,
    *,
    catalogue: Catalogue,
    defaults: Mapping[str, Config],
    version: str,
    vault: Vault,
    outgoing: OutgoingPolicy,
    rate_limit_per_minute: int = RATE_LIMIT_PER_MINUTE,
    instruments: Instruments | None = None,
    now: Callable[[], datetime] = utc_now,
) -> web.Application:
    """Build the REST API.

    Args:
        pool: Where everything is stored. The caller closes it.
        catalogue: What provider blocks may say.
        defaults: The platform's blocks `llm`, `stt` and `tts`.
        version: Shown by `/health` and in the OpenAPI document.
        vault: Seals what is stored of secrets.
        outgoing: Where requests that clients configure may go.
        rate_limit_per_minute: Requests per key in any 60 s.
        instruments: Metrics, to share a registry with others.
        now: The wall clock.
    """
    assert rate_limit_per_minute >= 1
    app = web.Application(client_max_size=LARGEST_BODY_BYTES, middlewares=[access])
    app[PARTS] = Parts(
        pool=pool,
        catalogue=catalogue,
        defaults=defaults,
        version=version,
        allowed_per_minute=rate_limit_per_minute,
        now=now,
        instruments=instruments or Instruments(),
        vault=vault,
        outgoing=outgoing,
    )
    problems.install(app)
    app.on_response_prepare.append(add_headers)
    endpoints = all_endpoints()
    app[DOCUMENT] = json.dumps(build_document(endpoints, catalogue, version)).encode()
    app.add_routes(ROUTES)
    app.add_routes(routes_of(endpoints, PREFIX))
    return app
