"""`sovereign keys`: API keys, of the operator unless another tenant is named; master keys."""

from __future__ import annotations

import asyncio
import os
import uuid
from dataclasses import asdict
from datetime import UTC, datetime

import typer

from api.kinds import iso_ms
from db.keys import SCOPES, KeyRecord, create_key, in_order, list_keys, revoke_key
from sovereign_ari.cli.database import database_url, opened
from sovereign_ari.cli.resources import JSON, ORG
from sovereign_ari.cli.rotation import rotate_master
from sovereign_ari.cli.show import as_json
from sovereign_ari.cli.table import table
from sovereign_ari.cli.workbench import find_organisation
from sovereign_ari.errors import SetupFailed
from sovereign_ari.settings import read_settings

app = typer.Typer(no_args_is_help=True)
app.command("rotate-master")(rotate_master)

LONGEST_NAME = 255


@app.command()
def create(
    name: str = typer.Argument(help="For people: what the key is for."),
    scope: list[str] = typer.Option(
        ["admin"],
        help="What it may do, once or more: read, calls (place and control calls), admin (all).",
    ),
    expires: str | None = typer.Option(
        None, help="A day or a moment, e.g. 2027-01-01 or 2027-01-01T09:00:00+01:00."
    ),
    org: str | None = ORG,
) -> None:
    """Make a key and print it; it is not shown again."""
    if not name.strip() or len(name) > LONGEST_NAME:
        raise SetupFailed(f"the name of a key has 1 to {LONGEST_NAME} characters")
    if unknown := [given for given in scope if given not in SCOPES]:
        raise SetupFailed(
            f"{unknown[0]!r} is no scope of a key", hint=f"one of {', '.join(SCOPES)}"
        )
    expires_at = None if expires is None else _moment(expires)

    async def work() -> str:
        async with opened(_url()) as connection:
            organisation_id = await find_organisation(connection, org)
            _, key = await create_key(
                connection,
                organisation_id,
                name=name,
                scopes=in_order(scope),
                expires_at=expires_at,
            )
            return key

    print(asyncio.run(work()))


def _moment(text: str) -> datetime:
    """Read a day, which is midnight UTC, or a moment; one without an offset is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SetupFailed(
            f"{text!r} is neither a day nor a moment",
            hint="e.g. 2027-01-01 or 2027-01-01T09:00:00+01:00",
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= datetime.now(UTC):
        raise SetupFailed(f"{text} has passed already", hint="a key ends in the future")
    return moment


@app.command("list")
def list_(org: str | None = ORG, json: bool = JSON) -> None:
    """List all keys, revoked ones too."""

    async def work() -> list[KeyRecord]:
        async with opened(_url()) as connection:
            organisation_id = await find_organisation(connection, org)
            return await list_keys(connection, organisation_id)

    found = asyncio.run(work())
    header = ("id", "key", "name", "scopes", "made", "last used", "expires", "state")
    shown = (
        as_json({"keys": list(map(_fields, found))}) if json else table(header, map(_row, found))
    )
    print(shown)


def _fields(key: KeyRecord) -> dict[str, object]:
    moments = {
        name: iso_ms(value) if isinstance(value, datetime) else value
        for name, value in asdict(key).items()
    }
    return {**moments, "state": _state(key)}


def _row(key: KeyRecord) -> tuple[str, ...]:
    return (
        key.id,
        f"{key.prefix}…",
        key.name,
        " ".join(key.scopes),
        _shown(key.created_at),
        _shown(key.last_used_at),
        _shown(key.expires_at),
        _state(key),
    )


def _shown(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "never"


def _state(key: KeyRecord) -> str:
    if key.revoked_at is not None:
        return "revoked"
    expired = key.expires_at is not None and key.expires_at <= datetime.now(UTC)
    return "expired" if expired else "valid"


@app.command()
def revoke(
    key_id: str = typer.Argument(help="The id that `sovereign keys list` shows."),
    org: str | None = ORG,
) -> None:
    """Make a key useless from now on."""
    try:
        uuid.UUID(key_id)
    except ValueError:
        raise SetupFailed(
            f"{key_id} is not the id of a key", hint="`sovereign keys list` shows the ids"
        ) from None

    async def work() -> str:
        async with opened(_url()) as connection:
            organisation_id = await find_organisation(connection, org)
            return (await revoke_key(connection, organisation_id, key_id)).name

    print(f"revoked {asyncio.run(work())}")


def _url() -> str:
    return database_url(read_settings(os.environ))
