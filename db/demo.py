"""The demo assistant that a new installation answers with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from db.assistants import ASSISTANTS

EXTENSION = "1000"
NAME = "Demo"


async def ensure_demo(
    connection: asyncpg.Connection, organisation_id: str, demo: Mapping[str, Any]
) -> None:
    """Create the assistant and its extension unless the extension exists.

    What the operator changed, or deleted from the extension, stays as it is.

    Args:
        connection: Where to write.
        organisation_id: The operator's.
        demo: Columns of `assistants` that differ from the platform's defaults.
    """
    async with connection.transaction():
        made = await connection.fetchval(
            """
            INSERT INTO extensions (extension, organisation_id) VALUES ($1, $2)
            ON CONFLICT (extension) DO NOTHING RETURNING extension
            """,
            EXTENSION,
            organisation_id,
        )
        if made is None:
            return
        assistant = await ASSISTANTS.create(connection, organisation_id, {"name": NAME, **demo})
        await connection.execute(
            "UPDATE extensions SET assistant_id = $3"
            " WHERE extension = $1 AND organisation_id = $2",
            EXTENSION,
            organisation_id,
            assistant.id,
        )
