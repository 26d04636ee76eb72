"""`/byok`: keys of vendors that an organisation brings. They go in and never come out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import Field, RootModel, WithJsonSchema

from api.bodies import Body, refusal
from api.endpoints import Endpoints
from api.kinds import JsonObject, Timestamp, Uuid
from api.parts import Asked
from api.views import View
from db import byok as table
from sovereign_ari.domain.schema import nearest
from sovereign_ari.errors import Impossible, NotFound
from sovereign_ari.outgoing.key_checks import VERTEX
from sovereign_ari.outgoing.service_account import LONGEST, read_service_account

byok = Endpoints("BYOK")

LONGEST_KEY = 1024
MOST_NAMES = 64
LONGEST_NAME = 64
LARGEST_CONFIG_BYTES = 16 * 1024
_KEY = re.compile(r"[!-~]+")
_ID = "5b0e7c1a-93d4-4d0e-8f57-2a6b1c9d0e34"
_SLOTS_EXAMPLE: Mapping[str, str | None] = {
    "deepgram_secret_id": None,
    "openai_secret_id": _ID,
    "elevenlabs_secret_id": None,
    "resend_secret_id": None,
}

Provider = Annotated[str, WithJsonSchema({"x-byok": True})]
Slots = Annotated[
    dict[str, Uuid | None],
    WithJsonSchema(
        {
            "type": "object",
            "description": "`<provider>_secret_id` of every provider: an opaque id where a key is"
            " stored, a new one after each replacement, else null.",
            "additionalProperties": {"type": ["string", "null"], "format": "uuid"},
        }
    ),
]


class SetByokKey(Body):
    """A vendor's key."""

    example: ClassVar[Mapping[str, Any]] = {
        "provider": "openai",
        "api_key": "sk-proj-0123456789abcdef",
        "verify": True,
    }

    provider: Provider
    api_key: str = Field(
        repr=False,
        min_length=1,
        max_length=LONGEST,
        description="The key alone, printable ASCII without spaces; for `google_vertex` the JSON"
        " document of a service account, as a text.",
        json_schema_extra={"writeOnly": True, "pattern": r"^([!-~]+|\s*\{[\s\S]*\}\s*)$"},
    )
    verify: bool | None = Field(
        None, description="Ask the provider first, and store the key only if it takes it."
    )


class DeleteByokKey(Body):
    """Whose key goes."""

    example: ClassVar[Mapping[str, Any]] = {"provider": "openai"}

    provider: Provider


class SetByokConfig(Body):
    """Settings of a provider."""

    example: ClassVar[Mapping[str, Any]] = {
        "provider": "openai",
        "config": {"region": "eu", "project": None},
    }

    provider: Provider
    config: JsonObject = Field(
        description=f"Merged name by name; null removes a name. At most {MOST_NAMES} names and"
        f" {LARGEST_CONFIG_BYTES // 1024} KiB in all. It is stored and shown as it is: no place"
        " for secrets.",
        json_schema_extra={
            "maxProperties": MOST_NAMES,
            "propertyNames": {"minLength": 1, "maxLength": LONGEST_NAME},
        },
    )


class ByokView(View):
    """Which keys are stored."""

    example: ClassVar[Mapping[str, Any]] = {
        "byok_keys": _SLOTS_EXAMPLE,
        "byok_config": {"openai": {"region": "eu"}},
        "byok_verified_at": {"openai": "2026-11-21T09:30:00.000Z"},
    }

    byok_keys: Slots
    byok_config: dict[str, JsonObject]
    byok_verified_at: dict[str, Timestamp | None]


class ByokKeysView(View):
    """Which keys are stored now."""

    example: ClassVar[Mapping[str, Any]] = {"success": True, "byok_keys": _SLOTS_EXAMPLE}

    success: bool
    byok_keys: Slots


class ByokConfigView(RootModel[dict[str, JsonObject]]):
    """What is stored now, by the provider's name."""

    example: ClassVar[Mapping[str, Any]] = {"openai": {"region": "eu"}}


@byok.add("GET", "/byok", "List the stored keys of vendors")
async def list_byok_keys(asked: Asked) -> ByokView:
    """Ids only; `byok_config` and `byok_verified_at` name the providers that have a key.

    A key of one's own goes before the platform's, from the next call on.
    """
    records = await table.list_keys(asked.connection, asked.organisation_id)
    return ByokView.model_construct(
        byok_keys=_slots(asked, records),
        byok_config={record.provider: dict(record.config) for record in records},
        byok_verified_at={record.provider: record.verified_at for record in records},
    )


@byok.add("POST", "/byok", "Store a vendor's key", also=(422,), detached=True)
async def set_byok_key(asked: Asked, body: SetByokKey) -> ByokKeysView:
    """Adds or replaces it; the provider's config stays. It is encrypted and never shown again.

    With `verify` the provider is asked first: a key that it refuses is `byok_key_refused`, and one
    that could not be verified `byok_key_unverified`; either changes nothing.
    """
    provider = _provider(asked, body.provider)
    _check(provider, body.api_key)
    verified_at: datetime | None = None
    if body.verify:
        await asked.parts.key_checks.check(provider, body.api_key)
        verified_at = asked.parts.now()
    bound_to = table.bound_to(asked.organisation_id, provider)
    async with asked.tenant() as connection:
        # Within the transaction: whoever drops older master keys waits for those that are open.
        sealed = asked.parts.vault.seal(body.api_key.encode(), bound_to)
        await table.put_key(
            connection, asked.organisation_id, provider, sealed, verified_at=verified_at
        )
        records = await table.list_keys(connection, asked.organisation_id)
    return ByokKeysView.model_construct(success=True, byok_keys=_slots(asked, records))


@byok.add("DELETE", "/byok", "Remove a vendor's key", also=(404,))
async def delete_byok_key(asked: Asked, body: DeleteByokKey) -> ByokKeysView:
    """Its config goes too. The platform's key serves from the next call on, if there is one."""
    provider = _provider(asked, body.provider)
    if not await table.delete_key(asked.connection, asked.organisation_id, provider):
        raise NotFound(f"no key of {provider} is stored")
    records = await table.list_keys(asked.connection, asked.organisation_id)
    return ByokKeysView.model_construct(success=True, byok_keys=_slots(asked, records))


@byok.add("POST", "/byok/config", "Set a provider's settings", envelope="byok_config", also=(422,))
async def set_byok_config(asked: Asked, body: SetByokConfig) -> ByokConfigView:
    """A key of the provider must already be stored. Not for secrets: `GET /byok` shows it."""
    provider = _provider(asked, body.provider)
    if long := [name for name in body.config if not 1 <= len(name) <= LONGEST_NAME]:
        raise refusal([f"config: the name {long[0][:20]!r} needs 1 to {LONGEST_NAME} characters"])
    config = await table.merge_config(
        asked.connection, asked.organisation_id, provider, body.config
    )
    if config is None:
        raise Impossible(
            f"provider: a key of {provider} must already be stored; POST /byok does it",
            code="byok_key_missing",
            param=provider,
        )
    if len(config) > MOST_NAMES:
        raise refusal([f"config: holds {len(config)} names then; {MOST_NAMES} are allowed"])
    if len(json.dumps(config, ensure_ascii=False).encode()) > LARGEST_CONFIG_BYTES:
        raise refusal([f"config: is larger than {LARGEST_CONFIG_BYTES} bytes then"])
    return ByokConfigView({provider: dict(config)})


def _provider(asked: Asked, name: str) -> str:
    """The provider's own name."""
    names = asked.parts.catalogue.byok_names()
    if name not in names:
        raise refusal([f"provider: {name[:60]!r} is unknown{nearest(name, list(names))}"])
    return names[name]


def _check(provider: str, api_key: str) -> None:
    """Refuse what cannot be a key, without repeating any of it."""
    if provider == VERTEX:
        read_service_account(api_key)
    elif len(api_key) > LONGEST_KEY:
        raise refusal([f"api_key: is longer than {LONGEST_KEY} characters"])
    elif _KEY.fullmatch(api_key) is None:
        raise refusal(["api_key: holds spaces, controls or non-ASCII letters; send the key alone"])


def _slots(asked: Asked, records: list[table.ByokRecord]) -> dict[str, str | None]:
    catalogue = asked.parts.catalogue
    ids = {record.provider: record.id for record in records}
    return {catalogue.slot(name): ids.get(name) for name in catalogue.byok_providers()}
