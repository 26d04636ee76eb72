"""`sovereign keys`: the operator's API keys."""

from __future__ import annotations

import asyncio
import os
import uuid

import typer

from db.keys import create_key, list_keys, revoke_key
from db.organisations import ensure_operator_organisation
from sovereign_ari.cli.database import database_url, opened
from sovereign_ari.cli.table import table
from sovereign_ari.errors import SetupFailed
from sovereign_ari.settings import read_settings

app = typer.Typer(no_args_is_help=True)

LONGEST_NAME = 255


@app.command()
def create(name: str = typer.Argument(help="For people: what the key is for.")) -> None:
    """Make a key and print it; it is not shown again."""
    if not name.strip() or len(name) > LONGEST_NAME:
        raise SetupFailed(f"the name of a key has 1 to {LONGEST_NAME} characters")

    async def work() -> str:
        async with opened(_url()) as connection:
            organisation_id = await ensure_operator_organisation(connection)
            _, key = await create_key(connection, organisation_id, name=name)
            return key

    print(asyncio.run(work()))


@app.command("list")
def list_() -> None:
    """List all keys, revoked ones too."""

    async def work() -> list[tuple[str, ...]]:
        async with opened(_url()) as connection:
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

    print(table(("id", "key", "name", "made", "last used", "state"), asyncio.run(work())))


@app.command()
def revoke(key_id: str = typer.Argument(help="The id that `sovereign keys list` shows.")) -> None:
    """Make a key useless from now on."""
    try:
        uuid.UUID(key_id)
    except ValueError:
        raise SetupFailed(
            f"{key_id} is not the id of a key", hint="`sovereign keys list` shows the ids"
        ) from None

    async def work() -> str:
        async with opened(_url()) as connection:
            organisation_id = await ensure_operator_organisation(connection)
            return (await revoke_key(connection, organisation_id, key_id)).name

    print(f"revoked {asyncio.run(work())}")


def _url() -> str:
    return database_url(read_settings(os.environ))
