"""What commands do to the database: find it, bring it up to date, make sure of a key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from db.keys import create_key, find_key
from db.migrate import load_migrations, migrate
from db.organisations import ensure_operator_organisation
from db.pool import UNAVAILABLE, connect
from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.cli.demo import ensure_demo_assistant
from sovereign_ari.errors import SetupFailed
from sovereign_ari.settings import Settings

APPLICATION_NAME = "sovereign-cli"
_KEY_NAME = "first key"
_UNREACHABLE = (
    *UNAVAILABLE,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


def read_ready(data_dir: Path) -> dict[str, Any] | None:
    """Read `ready.json` of a data folder; None when nothing is up there."""
    try:
        found = json.loads((data_dir / "ready.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def database_url(settings: Settings) -> str:
    """Find the database: the setting, or the one of a running `sovereign up`.

    Raises:
        SetupFailed: When there is neither.
    """
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    ready = read_ready(settings.data_dir)
    if ready is None:
        raise SetupFailed(
            f"no database: nothing is running in {settings.data_dir} and DATABASE_URL is not set",
            hint="start `sovereign up`, or set DATABASE_URL or SOVEREIGN_DATA_DIR",
        )
    return str(ready["database_url"])


@contextmanager
def reaching_it() -> Iterator[None]:
    """Say in one sentence that the database cannot be reached.

    Raises:
        SetupFailed: For whatever is wrong with its address, its server or our rights.
    """
    try:
        yield
    except _UNREACHABLE as error:
        raise SetupFailed(
            f"the database cannot be reached: {str(error) or type(error).__name__}",
            hint="check DATABASE_URL, or `sovereign status` when it is not set",
        ) from None


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Lend one connection.

    Raises:
        SetupFailed: When the database cannot be reached.
    """
    with reaching_it():
        connection = await connect(url, application_name=APPLICATION_NAME)
    try:
        yield connection
    finally:
        await connection.close()


async def prepare_database(settings: Settings, url: str, data: DataDir) -> str | None:
    """Apply migrations, make the demo, and make sure of a working key in the data folder.

    Returns:
        The key, when it was made just now.
    """
    async with opened(url) as connection:
        await migrate(connection, load_migrations())
        organisation_id = await ensure_operator_organisation(connection)
        has_provider = settings.openai_api_key is not None
        await ensure_demo_assistant(connection, organisation_id, has_provider=has_provider)
        kept = data.api_key_file.read_text().strip() if data.api_key_file.is_file() else ""
        if settings.api_key is not None:
            chosen = settings.api_key.get_secret_value()
            await create_key(connection, organisation_id, name="SOVEREIGN_API_KEY", secret=chosen)
            data.write_private(data.api_key_file, chosen + "\n")
            return None
        if kept and await find_key(connection, kept) is not None:
            return None
        _, key = await create_key(connection, organisation_id, name=_KEY_NAME)
        data.write_private(data.api_key_file, key + "\n")
        return key
