"""Builds the application from plain values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime

import asyncpg
from aiohttp import web

from api import docs, problems
from api.access import access, add_headers
from api.endpoints import Endpoint, routes_of
from api.health import ROUTES
from api.instruments import Instruments
from api.openapi import PREFIX, build_document
from api.parts import DOCUMENT, PARTS, Catalogue, Parts, utc_now
from api.resources.analysis_templates import analysis_templates
from api.resources.api_keys import keys
from api.resources.assistants import aliases, assistants
from api.resources.byok import byok
from api.resources.call_control import call_control
from api.resources.call_webhooks import call_webhooks
from api.resources.calls import calls
from api.resources.campaigns import campaigns
from api.resources.chats import chats
from api.resources.domains import domains
from api.resources.mcp_servers import mcp_servers
from api.resources.numbers import numbers
from api.resources.organisations import organisations
from api.resources.outbound import outbound
from api.resources.sip_trunks import sip_trunks
from api.resources.tool_templates import tool_templates
from api.resources.usage import usage
from api.resources.voices import voices
from api.resources.web_calls import web_calls
from api.resources.workflows import workflows
from sovereign_ari.domain.agent import Config
from sovereign_ari.outgoing.http import OutgoingHttp
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.vault import Vault

LARGEST_BODY_BYTES = 1024 * 1024
RATE_LIMIT_PER_MINUTE = 100


RESOURCES = (
    assistants,
    calls,
    outbound,
    call_control,
    call_webhooks,
    numbers,
    sip_trunks,
    tool_templates,
    analysis_templates,
    campaigns,
    workflows,
    mcp_servers,
    voices,
    usage,
    byok,
    domains,
    organisations,
    keys,
    web_calls,
    chats,
)


def all_endpoints() -> list[Endpoint]:
    """Every operation that needs a key, in the order of the document."""
    found = [endpoint for resource in RESOURCES for endpoint in resource.all]
    return [*found, *aliases()]


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
    http = OutgoingHttp(outgoing)
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
        http=http,
    )
    problems.install(app)

    async def close_http(_: web.Application) -> None:
        await http.close()

    app.on_cleanup.append(close_http)
    app.on_response_prepare.append(add_headers)
    endpoints = all_endpoints()
    app[DOCUMENT] = json.dumps(build_document(endpoints, catalogue, version)).encode()
    app.add_routes(ROUTES)
    app.add_routes(docs.ROUTES)
    app.add_routes(routes_of(endpoints, PREFIX))
    return app
