"""`sovereign orgs`: the tenants of this installation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncpg
import typer

from db.organisations import (
    PERMISSION,
    OrganisationRecord,
    delete_organisation,
    found_organisation,
    list_organisations,
    update_organisation,
)
from sovereign_ari.cli.resources import JSON
from sovereign_ari.cli.show import as_json, details, rows
from sovereign_ari.cli.workbench import ask, find_organisation, opened_parts, read_file
from sovereign_ari.errors import InvalidRequest, SetupFailed

app = typer.Typer(no_args_is_help=True)
_COLUMNS = (("id", "id"), ("name", "name"), ("parent", "parent_org_id"), ("made", "created_at"))
_ORG = typer.Argument(metavar="ORG", help="Id or name of an organisation.")
_LONGEST_NAME = 255
_PREFIX = re.compile(r"\+[1-9][0-9]{0,14}")
_T = TypeVar("_T")


@app.command("list")
def list_(json: bool = JSON) -> None:
    """List all organisations, newest first."""
    found = [_shown(record) for record in _on_database(list_organisations)]
    print(as_json({"organizations": found}) if json else rows(found, _COLUMNS))


@app.command()
def show(org: str = _ORG, json: bool = JSON) -> None:
    """Show an organisation with its totals and its children."""
    query = {"include_children": "true"}
    found = asyncio.run(ask("GET", "/organizations", organisation=org, query=query))
    print(as_json(found) if json else details(found))


@app.command()
def create(
    name: str = typer.Argument("", help="Of an independent organisation."),
    file: str = typer.Option("", "--file", help="A JSON file that names it instead, or -."),
    json: bool = JSON,
) -> None:
    """Create an organisation, and print its first API key; it is not shown again."""
    settings: dict[str, Any] = dict(read_file(file)) if file else {}
    chosen = name or settings.pop("name", None)
    if not isinstance(chosen, str) or not chosen.strip() or len(chosen) > _LONGEST_NAME:
        raise InvalidRequest(f"an organisation needs a name of 1 to {_LONGEST_NAME} characters")
    made = _on_database(lambda connection: found_organisation(connection, chosen))
    if settings:
        asyncio.run(ask("PATCH", "/organizations", organisation=made.id, body=settings))
    shown = {"id": made.id, "name": made.name, "api_key": made.api_key}
    print(as_json(shown) if json else details(shown))


@app.command()
def permit(
    org: str = _ORG,
    allow: list[str] = typer.Option([], help="Only these prefixes, e.g. +31; repeat it."),
    allow_all: bool = typer.Option(False, "--allow-all", help="Every country again."),
    refuse: list[str] = typer.Option([], help="Never these prefixes; repeat it."),
    refuse_none: bool = typer.Option(False, "--refuse-none", help="No refused prefixes."),
    concurrency: int = typer.Option(None, min=0, max=10000, help="Outgoing calls at one time."),
    rate: float = typer.Option(None, min=0.01, max=1000, help="New outgoing calls per second."),
) -> None:
    """Say what an organisation may call. What is not named stays as it is."""
    if wrong := [one for one in (*allow, *refuse) if _PREFIX.fullmatch(one) is None]:
        raise InvalidRequest(f"{wrong[0]} is not the beginning of a number, such as +31")
    given: dict[str, Any] = {
        "outbound_allowed_prefixes": allow or None,
        "outbound_refused_prefixes": refuse or None,
        "outbound_concurrency": concurrency,
        "outbound_calls_per_second": rate,
    }
    values = {name: value for name, value in given.items() if value is not None}
    if allow_all:
        values["outbound_allowed_prefixes"] = None
    if refuse_none:
        values["outbound_refused_prefixes"] = []

    async def work(connection: asyncpg.Connection) -> OrganisationRecord:
        tenant = await find_organisation(connection, org)
        return await update_organisation(connection, tenant, values)

    record = _on_database(work)
    print(details({name: getattr(record, name) for name in PERMISSION}))


@app.command()
def delete(
    org: str = _ORG,
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
) -> None:
    """Delete an organisation with its assistants, numbers, calls and keys."""

    async def work(connection: asyncpg.Connection) -> str:
        tenant = await find_organisation(connection, org)
        if not yes and not typer.confirm(f"Delete {org} and everything it has?"):
            raise SetupFailed("nothing was deleted")
        await delete_organisation(connection, tenant)
        return tenant

    print(f"deleted organisation {_on_database(work)}")


def _on_database(work: Callable[[asyncpg.Connection], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        async with opened_parts() as parts, parts.pool.acquire() as connection:
            return await work(connection)

    return asyncio.run(run())


def _shown(record: OrganisationRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "parent_org_id": record.parent_id,
        "created_at": f"{record.created_at:%Y-%m-%dT%H:%M:%S}.000Z",
    }
