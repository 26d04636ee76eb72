"""`/mcp-servers`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, cast

from api.bodies import refusal
from api.endpoints import Deleted, Endpoints
from api.parts import Asked
from api.resources.mcp_server_bodies import (
    CreateMcpServer,
    McpServerView,
    McpTestFailed,
    McpTestPassed,
    McpToolView,
    TestMcpServer,
    UpdateMcpServer,
)
from db import mcp_servers as table
from sovereign_ari.errors import OutgoingFailed, VaultClosed
from sovereign_ari.outgoing.mcp import McpServer, McpTransport, list_tools
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.outgoing.urls import Target, UrlFault, read_target

mcp_servers = Endpoints("MCP servers")


async def _read_url(policy: OutgoingPolicy, url: str) -> str:
    """Check a URL that is to be saved, and look its host up.

    Raises:
        InvalidRequest: If a request to it would be refused now.
    """
    try:
        target = read_target(url)
    except UrlFault as fault:
        raise refusal([f"url: {fault}"]) from None
    if (words := policy.fault_of(target)) is not None:
        raise refusal([f"url: {words}"])
    try:
        await policy.addresses(target.host, target.port)
    except OutgoingFailed as error:
        raise refusal([f"url: {error}"]) from None
    await _check_encrypted(policy, target)
    return target.url


async def _check_encrypted(policy: OutgoingPolicy, target: Target) -> None:
    """Plain http only to networks that the operator allows."""
    if target.scheme == "http":
        try:
            await policy.addresses(target.host, target.port, allowed_only=True)
        except OutgoingFailed:
            raise refusal(["url: must begin with https://"]) from None


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that are not secret; null is nowhere allowed."""
    return {name: value for name, value in given.items() if name != "headers"}


def _sealed(asked: Asked, server_id: str, headers: Mapping[str, str]) -> dict[str, Any]:
    if not headers:
        return {"header_names": [], "headers": None}
    place = table.bound_to(asked.organisation_id, server_id)
    sealed = asked.parts.vault.seal(json.dumps(headers).encode(), place)
    return {"header_names": list(headers), "headers": sealed}


@mcp_servers.add("GET", "/mcp-servers", "List MCP servers, newest first", envelope="mcp_servers")
async def list_mcp_servers(asked: Asked) -> list[McpServerView]:
    """All of the organisation, without the values of their headers."""
    records = await table.MCP_SERVERS.list(asked.connection, asked.organisation_id)
    return [McpServerView.showing(record) for record in records]


@mcp_servers.add(
    "POST",
    "/mcp-servers",
    "Add an MCP server",
    envelope="mcp_server",
    status=201,
    also=(409,),
    detached=True,
)
async def create_mcp_server(asked: Asked, body: CreateMcpServer) -> McpServerView:
    """Its host is looked up now, but the server is not connected to: see `test`."""
    values = _columns(body.model_dump())
    values["url"] = await _read_url(asked.parts.outgoing, body.url)
    async with asked.tenant() as connection:
        made = await table.create_server(connection, asked.organisation_id, values)
        if body.headers:  # they are sealed for the id, which exists only now
            sealed = _sealed(asked, made.id, body.headers)
            made = await table.update_server(connection, asked.organisation_id, made.id, sealed)
    return McpServerView.showing(made)


@mcp_servers.add(
    "GET", "/mcp-servers/{mcp_server_id}", "Read an MCP server", envelope="mcp_server"
)
async def show_mcp_server(asked: Asked, mcp_server_id: str) -> McpServerView:
    """One of the organisation, without the values of its headers."""
    return McpServerView.showing(
        await table.MCP_SERVERS.get(asked.connection, asked.organisation_id, mcp_server_id)
    )


@mcp_servers.add(
    "PATCH",
    "/mcp-servers/{mcp_server_id}",
    "Change an MCP server",
    envelope="mcp_server",
    also=(409,),
    detached=True,
)
async def update_mcp_server(
    asked: Asked, mcp_server_id: str, body: UpdateMcpServer
) -> McpServerView:
    """`headers` replaces all of them and `{}` clears them.

    A `url` on another host needs `headers` in the same call when some are stored, so that secrets
    of one server never reach another.
    """
    place = (asked.organisation_id, mcp_server_id)
    async with asked.tenant() as connection:
        await table.MCP_SERVERS.get(connection, *place)
    given = body.given()
    values = _columns(given)
    if "url" in given:
        values["url"] = await _read_url(asked.parts.outgoing, body.url)
    if "headers" in given:
        values |= _sealed(asked, mcp_server_id, body.headers)
    async with asked.tenant() as connection:
        stored = await table.MCP_SERVERS.get(connection, *place, lock=True)
        moves = "url" in values and _host(values["url"]) != _host(stored.url)
        if moves and stored.header_names and "headers" not in given:
            raise refusal(["headers: are needed in the same call, for url is on another host"])
        return McpServerView.showing(await table.update_server(connection, *place, values))


def _host(url: str) -> str:
    return read_target(url).host


@mcp_servers.add("DELETE", "/mcp-servers/{mcp_server_id}", "Remove an MCP server", also=(409,))
async def delete_mcp_server(asked: Asked, mcp_server_id: str) -> Deleted:
    """One that assistants or workflows use stays: the answer names them."""
    await table.delete_server(asked.connection, asked.organisation_id, mcp_server_id)
    return Deleted()


@mcp_servers.add(
    "POST", "/mcp-servers/{mcp_server_id}/test", "Connect to an MCP server", detached=True
)
async def test_mcp_server(
    asked: Asked, mcp_server_id: str, body: TestMcpServer
) -> McpTestPassed | McpTestFailed:
    """Connects for real and lists the tools, within `timeout_seconds` of the server.

    What goes wrong there is an answer with `ok: false`, not an error.
    """
    async with asked.tenant() as connection:
        place = (connection, asked.organisation_id, mcp_server_id)
        stored = await table.MCP_SERVERS.get(*place)
        sealed = await table.MCP_SERVERS.sealed(*place, "headers")
    begun_s = time.monotonic()
    try:
        server = McpServer(
            stored.url,
            cast("McpTransport", stored.transport),
            _merged(_opened(asked, mcp_server_id, sealed), body.headers),
        )
        tools = await list_tools(
            asked.parts.outgoing, server, timeout_s=float(stored.timeout_seconds)
        )
    except VaultClosed:
        error = "the stored headers cannot be opened; store them again"
    except OutgoingFailed as failure:
        error = str(failure)
    else:
        return McpTestPassed.model_construct(
            ok=True,
            duration_ms=_since_ms(begun_s),
            tools=[McpToolView.showing(tool) for tool in tools],
        )
    return McpTestFailed.model_construct(ok=False, duration_ms=_since_ms(begun_s), error=error)


def _opened(asked: Asked, server_id: str, sealed: bytes | None) -> dict[str, str]:
    """The stored headers in the clear.

    Raises:
        VaultClosed: If their master key is gone.
    """
    if sealed is None:
        return {}
    place = table.bound_to(asked.organisation_id, server_id)
    return cast("dict[str, str]", json.loads(asked.parts.vault.open(sealed, place)))


def _merged(stored: Mapping[str, str], tried: Mapping[str, str]) -> dict[str, str]:
    """Put the tried headers in the place of stored ones, whatever the case of their names."""
    names = {name.lower() for name in tried}
    kept = {name: value for name, value in stored.items() if name.lower() not in names}
    return {**kept, **tried}


def _since_ms(begun_s: float) -> int:
    return round((time.monotonic() - begun_s) * 1000)
