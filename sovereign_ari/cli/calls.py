"""`sovereign calls`: what happened, who said what, placing a call, and erasing one."""

from __future__ import annotations

import asyncio
from typing import Any

import typer

from db.erasure import erase_call
from sovereign_ari.cli.resources import JSON, ORG
from sovereign_ari.cli.show import as_json, details, rows
from sovereign_ari.cli.workbench import ask, find_organisation, opened_parts, read_file
from sovereign_ari.domain.ids import is_call_id
from sovereign_ari.errors import InvalidRequest

app = typer.Typer(no_args_is_help=True)
_COLUMNS = (
    ("id", "id"), ("began", "created_at"), ("status", "status"), ("end", "end_reason"),
    ("caller", "caller_phone"), ("assistant", "assistant_name"), ("seconds", "duration_seconds"),
)  # fmt: skip
_ID = typer.Argument(metavar="ID", help="The id that `sovereign calls list` shows.")


@app.command("list")
def list_(
    limit: int = typer.Option(25, min=1, max=1000, help="How many, newest first."),
    offset: int = typer.Option(0, min=0, help="How many to pass over."),
    status: str = typer.Option("", help="Only with this status, e.g. in-progress."),
    since: str = typer.Option("", help="Only from this date or time on (ISO 8601, UTC)."),
    until: str = typer.Option("", help="Only to this date or time (ISO 8601, UTC)."),
    number: str = typer.Option("", help="Only with this number on either side."),
    org: str | None = ORG,
    json: bool = JSON,
) -> None:
    """List calls, newest first."""
    wanted = {
        "limit": str(limit), "offset": str(offset), "status": status, "start_date": since,
        "end_date": until, "phone_number": number,
    }  # fmt: skip
    query = {name: value for name, value in wanted.items() if value}
    found = asyncio.run(ask("GET", "/calls", organisation=org, query=query))
    if json:
        print(as_json(found))
        return
    print(rows(found["calls"], _COLUMNS))
    print(f"{len(found['calls'])} of {found['pagination']['total']}")


@app.command()
def show(call: str = _ID, org: str | None = ORG, json: bool = JSON) -> None:
    """Show one call with what was said."""
    ids = {"call_id": _checked(call)}
    found = asyncio.run(ask("GET", "/calls/{call_id}", organisation=org, ids=ids))
    if json:
        print(as_json(found))
        return
    messages: list[dict[str, Any]] = found.pop("messages") or []
    print(details(found))
    for message in messages:
        print(f"\n{message['role']}: {message['content']}")


@app.command()
def create(
    file: str = typer.Argument(help="A JSON file as POST /calls/outbound takes it, or -."),
    org: str | None = ORG,
    json: bool = JSON,
) -> None:
    """Place a call."""
    found = asyncio.run(ask("POST", "/calls/outbound", organisation=org, body=read_file(file)))
    print(as_json(found) if json else details(found))


@app.command()
def delete(call: str = _ID, org: str | None = ORG) -> None:
    """Erase a call that has ended, with everything that was said in it."""
    call_id = _checked(call)

    async def work() -> None:
        async with opened_parts() as parts, parts.pool.acquire() as connection:
            tenant = await find_organisation(connection, org)
            await erase_call(connection, tenant, call_id)

    asyncio.run(work())
    print(f"erased {call_id}")


def _checked(call: str) -> str:
    if not is_call_id(call):
        raise InvalidRequest(
            f"{call} is not the id of a call: `sovereign calls list` shows the ids"
        )
    return call
