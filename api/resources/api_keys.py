"""`/keys` (ours): API keys of the organisation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from api.authentication import Scope
from api.bodies import Body, refusal
from api.endpoints import Deleted, Endpoints
from api.kinds import Name, Timestamp, Uuid
from api.parts import Asked
from api.views import View
from db import keys as table

keys = Endpoints("Keys")

MOST_SCOPES = 16
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_KEY: Mapping[str, Any] = {
    "id": "0d9f5b0e-5e0f-4a43-9a55-4a3f7e0b6c11",
    "name": "Reporting",
    "prefix": "fl_live_Ab3d",
    "scopes": ["read"],
    "created_at": "2026-11-21T09:30:00.000Z",
    "last_used_at": None,
    "expires_at": "2027-11-21T00:00:00.000Z",
    "revoked_at": None,
}


def _moment(value: Any) -> datetime:
    """Read a moment with its offset, and give it in UTC."""
    if isinstance(value, str) and _RFC_3339.fullmatch(value) is not None:
        with suppress(ValueError, OverflowError):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    raise ValueError("is not a moment such as 2027-01-01T00:00:00Z")


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class CreateKey(Body):
    """A new key."""

    example: ClassVar[Mapping[str, Any]] = {
        "name": "Reporting",
        "scopes": ["read"],
        "expires_at": "2027-11-21T00:00:00Z",
    }

    name: Name
    scopes: list[Scope] = Field(
        ["admin"],
        min_length=1,
        max_length=MOST_SCOPES,
        description="`read` for every GET, `calls` to place and control calls, `admin` for all.",
    )
    expires_at: Moment | None = Field(None, description="In the future; null is never.")


class KeyView(View):
    """A key without its secret."""

    example: ClassVar[Mapping[str, Any]] = _KEY

    id: Uuid
    name: str
    prefix: str
    scopes: list[Scope]
    created_at: Timestamp
    last_used_at: Timestamp | None
    expires_at: Timestamp | None
    revoked_at: Timestamp | None


class NewKeyView(KeyView):
    """A key with its secret, shown this once."""

    example: ClassVar[Mapping[str, Any]] = {
        **_KEY,
        "secret": "fl_live_Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4zAb7cDe0f",
    }

    secret: str


@keys.add("GET", "/keys", "List API keys, newest first", envelope="keys")
async def list_keys(asked: Asked) -> list[KeyView]:
    """Revoked ones too."""
    records = await table.list_keys(asked.connection, asked.organisation_id)
    return [KeyView.showing(record) for record in records]


@keys.add("POST", "/keys", "Create an API key", envelope="key", status=201)
async def create_key(asked: Asked, body: CreateKey) -> NewKeyView:
    """The secret is in this answer and nowhere else."""
    if body.expires_at is not None and body.expires_at <= asked.parts.now():
        raise refusal(["expires_at: has passed already; give a moment in the future, or null"])
    record, secret = await table.create_key(
        asked.connection,
        asked.organisation_id,
        name=body.name,
        scopes=table.in_order(body.scopes),
        expires_at=body.expires_at,
    )
    return NewKeyView.showing(record, secret=secret)


@keys.add("DELETE", "/keys/{key_id}", "Revoke an API key")
async def revoke_key(asked: Asked, key_id: str) -> Deleted:
    """It is useless from the next request on, even if it is the one that this request uses."""
    await table.revoke_key(asked.connection, asked.organisation_id, key_id)
    return Deleted()
