"""`sovereign keys`: the operator's API keys."""

from __future__ import annotations

import asyncio
import os

import typer

from db.keys import create_key, list_keys, revoke_key
from db.organisations import ensure_operator_organisation
from db.pool import connect
from sovereign_ari.cli.database import APPLICATION_NAME, database_url
from sovereign_ari.cli.table import table
from sovereign_ari.settings import read_settings

app = typer.Typer(no_args_is_help=True)


@app.command()
def create(name: str = typer.Argument(help="For people: what the key is for.")) -> None:
    """Make a key and print it; it is not shown again."""

    async def work() -> str:
        connection = await connect(_url(), application_name=APPLICATION_NAME)
        try:
            organisation_id = await ensure_operator_organisation(connection)
            _, key = await create_key(connection, organisation_id, name=name)
            return key
        finally:
            await connection.close()

    print(asyncio.run(work()))


@app.command("list")
def list_() -> None:
    """List all keys, revoked ones too."""

    async def work() -> list[tuple[str, ...]]:
        connection = await connect(_url(), application_name=APPLICATION_NAME)
        try:
            organisation_id = await ensure_operator_organisation(connection)
            return [
                (
                    key.id,
                    f"{key.prefix}…",
                    key.name,
                    f"{key.created_at:%Y-%m-%d %H:%M}",
                    f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never",
                    "revoked" if key.revoked_at else "valid",
                )
                for key in await list_keys(connection, organisation_id)
            ]
        finally:
            await connection.close()

    print(table(("id", "key", "name", "made", "last used", "state"), asyncio.run(work())))


@app.command()
def revoke(key_id: str = typer.Argument(help="The id that `sovereign keys list` shows.")) -> None:
    """Make a key useless from now on."""

    async def work() -> str:
        connection = await connect(_url(), application_name=APPLICATION_NAME)
        try:
            organisation_id = await ensure_operator_organisation(connection)
            return (await revoke_key(connection, organisation_id, key_id)).name
        finally:
            await connection.close()

    print(f"revoked {asyncio.run(work())}")


def _url() -> str:
    return database_url(read_settings(os.environ))
