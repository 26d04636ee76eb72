"""What the application is built from, and what a handler is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import asyncpg
from aiohttp import web

from api.instruments import Instruments
from sovereign_ari.domain.agent import Config


class Catalogue(Protocol):
    """What the API asks of the catalogue of providers. `kind` is `llm`, `stt` or `tts`."""

    def validate(self, kind: str, block: Mapping[str, Any]) -> list[str]:
        """Say what is wrong with a block, one line `<kind>_config.path: what` per fault."""

    def with_defaults(self, kind: str, block: Mapping[str, Any]) -> Mapping[str, Any]:
        """Complete a valid block."""

    def json_schema(self, kind: str) -> Mapping[str, Any]:
        """Describe the blocks that `validate` accepts."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that handlers share.

    Attributes:
        defaults: The platform's blocks `llm`, `stt` and `tts`.
        allowed_per_minute: Requests per key in any 60 s.
    """

    pool: asyncpg.Pool
    catalogue: Catalogue
    defaults: Mapping[str, Config]
    version: str
    allowed_per_minute: int
    now: Callable[[], datetime]
    instruments: Instruments


PARTS = web.AppKey("PARTS", Parts)
DOCUMENT = web.AppKey("DOCUMENT", bytes)
REQUEST_ID = web.RequestKey("REQUEST_ID", str)
ORGANISATION_ID = web.RequestKey("ORGANISATION_ID", str)


@dataclass(frozen=True, slots=True)
class Asked:
    """One authenticated request: for whom, and over which connection."""

    parts: Parts
    connection: asyncpg.Connection
    organisation_id: str
