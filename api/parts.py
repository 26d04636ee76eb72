"""What the application is built from, and what a handler is given."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import asyncpg
from aiohttp import web

from api.command_answers import CommandAnswers
from api.instruments import Instruments
from db.tenancy import acting_for
from sovereign_ari.domain.agent import Config
from sovereign_ari.outgoing.http import OutgoingHttp
from sovereign_ari.outgoing.key_checks import KeyChecks
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.vault import Vault


class Catalogue(Hashable, Protocol):
    """What the API asks of the catalogue of providers. `kind` is `llm`, `stt` or `tts`."""

    def validate(self, kind: str, block: Mapping[str, Any]) -> list[str]:
        """Say what is wrong with a block, one line `<kind>_config.path: what` per fault."""

    def with_defaults(self, kind: str, block: Mapping[str, Any]) -> Mapping[str, Any]:
        """Complete a valid block."""

    def json_schema(self, kind: str) -> Mapping[str, Any]:
        """Describe the blocks that `validate` accepts."""

    def providers(self, kind: str) -> Sequence[str]:
        """Names of all providers of a kind, usable or not."""

    def is_realtime(self, provider: object) -> bool:
        """Whether a model of this provider hears and speaks itself, without STT and TTS."""

    def byok_providers(self) -> tuple[str, ...]:
        """Whose keys an organisation may store."""

    def byok_names(self) -> Mapping[str, str]:
        """What those providers may be called, and the provider's own name."""

    def slot(self, provider: str) -> str:
        """Name the place of a stored key: `<provider>_secret_id`."""

    def keys_for(self, kind: str, block: Mapping[str, Any]) -> tuple[str, ...]:
        """Whose stored keys run the model of a valid block; any one of them will do."""

    def urls(self, kind: str, block: Mapping[str, Any]) -> Mapping[str, str]:
        """Addresses of servers in a valid block, by their paths: we will connect to them."""

    def voices(self, provider: str) -> Sequence[Mapping[str, Any]] | None:
        """List the voices of a provider, None when it has no list of them."""

    def providers_with_voices(self) -> Sequence[str]:
        """The providers that `voices` knows."""

    def listing(self) -> Mapping[str, Any]:
        """Everything that may be chosen."""


class ChatModel(Protocol):
    """Asks an assistant's language model."""

    async def reply(
        self, llm: Config, messages: Sequence[Mapping[str, str]], keys: Mapping[str, str | None]
    ) -> str:
        """Answer the last of the messages `{role, content}`; tools are not offered.

        Args:
            llm: The complete `llm_config`.
            messages: System messages, what was said, and the new message.
            keys: The organisation's own keys, by provider; None for one that does not open.

        Raises:
            ProviderError: If there is no answer, with a sentence for the client.
        """


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that handlers share.

    Attributes:
        pool: Where everything is stored.
        catalogue: What provider blocks may say.
        defaults: The platform's blocks `llm`, `stt` and `tts`.
        version: Shown by `/health` and in the OpenAPI document.
        vault: Seals what is stored of secrets.
        outgoing: Where requests that clients configure may go.
        http: Makes such requests.
        allowed_per_minute: Requests per key in any 60 s.
        instruments: Metrics.
        now: The wall clock.
        price_per_minute: What `/usage` says calls cost.
        resend_url: Where Resend is.
        public_url: How clients reach this API, None when they are to be asked; without `/`.
        chat_model: Answers chats; a command has none.
        key_checks: Asks vendors about keys before they are stored.
    """

    pool: asyncpg.Pool
    catalogue: Catalogue
    defaults: Mapping[str, Config]
    version: str
    vault: Vault
    outgoing: OutgoingPolicy
    http: OutgoingHttp
    allowed_per_minute: int = 100
    instruments: Instruments = field(default_factory=Instruments)
    now: Callable[[], datetime] = utc_now
    answers: CommandAnswers = field(default_factory=CommandAnswers)
    price_per_minute: float = 0.0
    resend_url: str = "https://api.resend.com"
    public_url: str | None = None
    chat_model: ChatModel | None = None
    key_checks: KeyChecks = field(default_factory=KeyChecks)


PARTS = web.AppKey("PARTS", Parts)
DOCUMENT = web.AppKey("DOCUMENT", bytes)
REQUEST_ID = web.RequestKey("REQUEST_ID", str)
ORGANISATION_ID = web.RequestKey("ORGANISATION_ID", str)


@dataclass(frozen=True, slots=True)
class Asked:
    """One authenticated request: for whom, and over which connection.

    Attributes:
        connection: In a transaction that sees the tenant's rows alone, and that is rolled back
            whole when the handler raises. None for a detached handler, which waits for others
            and meanwhile holds no transaction: it opens its own with `tenant()`.
        origin: `scheme://host` that the client asked; empty for a command.
        sees_secrets: Whether answers may hold what signs webhooks; `admin` keys see it.
    """

    parts: Parts
    organisation_id: str
    connection: asyncpg.Connection = None
    origin: str = ""
    sees_secrets: bool = True

    def tenant(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """Open a transaction of the tenant, for a detached handler."""
        return acting_for(self.parts.pool, self.organisation_id)
