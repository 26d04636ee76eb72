"""What `/mcp-servers` takes and answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from api.bodies import Body, without_defaults
from api.kinds import JsonObject, Name, Timestamp, Uuid
from api.views import View

MOST_HEADERS = 10
_TOKEN = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"  # RFC 9110 section 5.6.2
_VALUE = r"^[\x21-\x7e]([\x20-\x7e]{0,4094}[\x21-\x7e])?$"
# They frame the message, choose its receiver or belong to the protocol (RFC 9110 section 7.6.1).
_RESERVED = (
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)


def _in_any_case(name: str) -> str:
    return "".join(f"[{c.upper()}{c}]" if c.isalpha() else c for c in name)


_RESERVED_PATTERN = f"^({'|'.join(map(_in_any_case, _RESERVED))})$"


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    """Refuse what cannot be sent; values are not repeated."""
    seen: set[str] = set()
    for name, value in headers.items():
        shown = name[:80]
        if re.fullmatch(_TOKEN, name) is None:
            raise ValueError(f"no header can have the name {shown!r}")
        if name.lower() in _RESERVED:
            raise ValueError(f"the header {shown} is set by us")
        if name.lower() in seen:
            raise ValueError(
                f"the header {shown} is there twice; the case of its name does not count"
            )
        if re.fullmatch(_VALUE, value) is None:
            raise ValueError(
                f"the value of {shown} needs 1 to 4096 printable ASCII characters,"
                " with no space at either end"
            )
        seen.add(name.lower())
    return headers


Headers = Annotated[
    dict[str, str],
    Field(max_length=MOST_HEADERS),
    AfterValidator(_check_headers),
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MOST_HEADERS,
            "propertyNames": {"pattern": _TOKEN, "not": {"pattern": _RESERVED_PATTERN}},
            "additionalProperties": {"type": "string", "pattern": _VALUE},
            "description": "Sent with every request. Write-only: answers show the names alone.",
        }
    ),
]
McpUrl = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000),
    WithJsonSchema(
        {
            "type": "string",
            "format": "uri",
            "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^\\x00-\\x20]+$",
            "maxLength": 2000,
            "description": "An https URL; its host must have a public address now, and is checked"
            " again whenever it is connected to. Plain http is taken for hosts whose address the"
            " operator allows. Stored normalised.",
        }
    ),
]
Timeout = Annotated[
    int, Field(ge=5, le=60, description="Seconds that the server has for its answer.")
]
Transport = Literal["streamable_http", "sse"]
_EXAMPLE = {
    "name": "Order system",
    "url": "https://mcp.example.com/mcp",
    "transport": "streamable_http",
    "headers": {"Authorization": "Bearer example-token"},
    "timeout_seconds": 20,
}


class CreateMcpServer(Body):
    """A server whose tools assistants may use."""

    example: ClassVar[Mapping[str, Any]] = _EXAMPLE

    name: Name = Field(description="Unique in the organisation.")
    url: McpUrl
    transport: Transport = "streamable_http"
    headers: Headers = Field(default_factory=dict)
    timeout_seconds: Timeout = 20


class UpdateMcpServer(Body):
    """Changes of a server: only what is named; `headers` replaces all of them, `{}` clears."""

    model_config = ConfigDict(json_schema_extra=without_defaults)
    example: ClassVar[Mapping[str, Any]] = _EXAMPLE

    name: Name = Field(default="", description="Unique in the organisation.")
    url: McpUrl = Field(
        default="",
        description="On another host, stored headers must be given again in the same call.",
    )
    transport: Transport = "streamable_http"
    headers: Headers = Field(default_factory=dict)
    timeout_seconds: Timeout = 20


class TestMcpServer(Body):
    """Headers to try: over those stored, and not kept."""

    example: ClassVar[Mapping[str, Any]] = {"headers": {"Authorization": "Bearer another-token"}}
    optional: ClassVar[bool] = True

    headers: Headers = Field(default_factory=dict)


class McpServerView(View):
    """An MCP server, without the values of its headers."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "name": "Order system",
        "url": "https://mcp.example.com/mcp",
        "transport": "streamable_http",
        "header_names": ["Authorization"],
        "timeout_seconds": 20,
        "created_at": "2026-01-01T12:00:00.000Z",
        "updated_at": "2026-01-01T12:00:00.000Z",
    }

    id: Uuid
    name: str
    url: str
    transport: Transport
    header_names: list[str]
    timeout_seconds: int
    created_at: Timestamp
    updated_at: Timestamp


class McpToolView(View):
    """A tool that a server offers."""

    example: ClassVar[Mapping[str, Any]] = {
        "name": "find_order",
        "description": "Finds an order by its number.",
        "input_schema": {"type": "object", "properties": {"number": {"type": "string"}}},
    }

    name: str
    description: str | None
    input_schema: JsonObject


class McpTestView(View):
    """How a test went: `tools` when `ok`, `error` when not."""

    example: ClassVar[Mapping[str, Any]] = {
        "ok": True,
        "duration_ms": 184,
        "tools": [McpToolView.example],
    }

    ok: bool
    duration_ms: int


class McpTestPassed(McpTestView):
    """The server answered and offers these tools."""

    ok: Literal[True]
    tools: list[McpToolView]


class McpTestFailed(McpTestView):
    """The server could not be used, and why."""

    example: ClassVar[Mapping[str, Any]] = {
        "ok": False,
        "duration_ms": 97,
        "error": "mcp.example.com answers 401 Unauthorized",
    }

    ok: Literal[False]
    error: str
