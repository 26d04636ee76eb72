"""`/keys` (ours): API keys of the organisation."""

from __future__ import annotations

from api.bodies import Body
from api.endpoints import Deleted, Endpoints
from api.kinds import Name, Timestamp, Uuid
from api.parts import Asked
from api.views import View
from db import keys as table

keys = Endpoints("Keys")


class CreateKey(Body):
    """A new key."""

    name: Name


class KeyView(View):
    """A key without its secret."""

    id: Uuid
    name: str
    prefix: str
    created_at: Timestamp
    last_used_at: Timestamp | None
    revoked_at: Timestamp | None


class NewKeyView(KeyView):
    """A key with its secret, shown this once."""

    secret: str


@keys.add("GET", "/keys", "List API keys, newest first", envelope="keys")
async def list_keys(asked: Asked) -> list[KeyView]:
    """Revoked ones too."""
    records = await table.list_keys(asked.connection, asked.organisation_id)
    return [KeyView.showing(record) for record in records]


@keys.add("POST", "/keys", "Create an API key", envelope="key", status=201)
async def create_key(asked: Asked, body: CreateKey) -> NewKeyView:
    """The secret is in this answer and nowhere else."""
    record, secret = await table.create_key(
        asked.connection, asked.organisation_id, name=body.name
    )
    return NewKeyView.showing(record, secret=secret)


@keys.add("DELETE", "/keys/{key_id}", "Revoke an API key")
async def revoke_key(asked: Asked, key_id: str) -> Deleted:
    """It is useless from the next request on."""
    await table.revoke_key(asked.connection, asked.organisation_id, key_id)
    return Deleted()
