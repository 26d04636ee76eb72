"""Chat servers that speak OpenAI's protocol, and what each of them wants otherwise."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

MISTRAL_URL = "https://api.mistral.ai/v1"
XAI_URL = "https://api.x.ai/v1"
_MISTRAL_ID = re.compile(r"[A-Za-z0-9]{9}")

NO_REASONING = frozenset(
    {
        "gpt-5.4", "gpt-5.4-mini", "gpt-5.4-nano",
        "gpt-5.6-luna", "gpt-5.6-terra", "gpt-5.6-sol",
    }
)  # fmt: skip
"""Models that think before they speak unless told not to; a telephone cannot wait for that."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of server wants its requests.

    Attributes:
        provider: Its name in the catalogue.
        limit: Field of the longest reply.
        counts: Whether it takes `stream_options`, and counts tokens only then.
        no_reasoning: Models that are told not to think first.
        short_ids: Whether ids of tool calls are nine letters or digits, and nothing else.
    """

    provider: str
    limit: str = "max_tokens"
    counts: bool = True
    no_reasoning: frozenset[str] = frozenset()
    short_ids: bool = False

    @property
    def what(self) -> str:
        """The server, for messages."""
        return f"{self.provider} chat"

    def call_id(self, call_id: str) -> str:
        """An id of a tool call as this server takes it; it may be another server's."""
        if not self.short_ids or _MISTRAL_ID.fullmatch(call_id):
            return call_id
        return hashlib.sha256(call_id.encode()).hexdigest()[:9]


OPENAI = Dialect("openai", limit="max_completion_tokens", no_reasoning=NO_REASONING)
XAI = Dialect("xai", no_reasoning=frozenset({"grok-4.3"}))
MISTRAL = Dialect("mistral", counts=False, short_ids=True)  # refuses fields it does not know
COMPATIBLE = Dialect("openai_compatible")
_MISTRAL_AS_COMPATIBLE = Dialect("openai_compatible", counts=False, short_ids=True)


def dialect_at(base_url: str) -> Dialect:
    """Choose the dialect of an organisation's own server; Mistral's may be that too."""
    host = urlsplit(base_url).hostname
    return _MISTRAL_AS_COMPATIBLE if host == urlsplit(MISTRAL_URL).hostname else COMPATIBLE


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The operator's policy for servers that organisations name.

    Attributes:
        fault: Says what is wrong with a URL, None when nothing is.
        connector: Makes connections to what the policy admits, and to nothing else.
    """

    fault: Callable[[str], str | None]
    connector: Callable[[], aiohttp.BaseConnector]

    def session(self) -> aiohttp.ClientSession:
        """Open a session for such servers; deadlines are the caller's."""
        return aiohttp.ClientSession(
            connector=self.connector(),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(None),
            auto_decompress=False,
            trust_env=False,
        )
