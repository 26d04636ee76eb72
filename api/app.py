"""Builds the application from plain values."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import cache

from aiohttp import web

from api import docs, health, problems
from api.access import access, add_headers
from api.authentication import count_strays
from api.endpoints import Endpoint, routes_of
from api.openapi import PREFIX, build_document
from api.parts import DOCUMENT, PARTS, Catalogue, Parts
from api.resources.analysis_templates import analysis_templates
from api.resources.api_keys import keys
from api.resources.assistants import aliases, assistants
from api.resources.byok import byok
from api.resources.call_control import call_control
from api.resources.call_webhooks import call_webhooks
from api.resources.calls import calls
from api.resources.campaigns import campaigns
from api.resources.catalogue import catalogue
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

LARGEST_BODY_BYTES = 1024 * 1024


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
    catalogue,
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


@cache
def _document(catalogue: Catalogue, version: str) -> bytes:
    """The OpenAPI document: half a second of work, and the same for every application."""
    return json.dumps(build_document(all_endpoints(), catalogue, version)).encode()


def build_app(parts: Parts) -> web.Application:
    """Build the REST API. It closes `parts.http`; the pool stays the caller's."""
    app = web.Application(client_max_size=LARGEST_BODY_BYTES, middlewares=[access])
    app[PARTS] = parts
    problems.install(app)
    health.install(app)
    app.middlewares.append(count_strays)

    async def close_http(_: web.Application) -> None:
        await parts.http.close()

    async def hear_answers(_: web.Application) -> AsyncIterator[None]:
        async with parts.answers.listening_on(parts.pool):
            yield

    app.on_cleanup.append(close_http)
    app.cleanup_ctx.append(hear_answers)
    app.on_response_prepare.append(add_headers)
    endpoints = all_endpoints()
    app[DOCUMENT] = _document(parts.catalogue, parts.version)
    app.add_routes(health.ROUTES)
    app.add_routes(docs.ROUTES)
    app.add_routes(routes_of(endpoints, PREFIX))
    app.add_routes(routes_of(web_calls.all, "/v1"))  # a second address of the public contract
    return app
