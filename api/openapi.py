"""The OpenAPI 3.1 document, from the endpoints and their models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, TypeAdapter

from api import idempotency
from api.endpoints import CALL_ID, NUMBER, Endpoint
from api.error_codes import as_markdown
from api.health import HealthView
from api.openapi_parts import (
    REF,
    Components,
    error_responses,
    errors,
    example_of,
    header_refs,
    headers,
    without_null,
)
from api.parts import Catalogue

PREFIX = "/api/v1"
_CALL_ID_SCHEMA = {"type": "string", "pattern": "^call-(inbound|outbound|web)-[0-9a-z]{26}$"}
_CALL_ID_EXAMPLE = "call-inbound-01kah0zq7me4s1v9w2x3y4z5a6"
_UUID_EXAMPLE = "3f0c2b52-7f4f-4d0e-9b7e-0a4f6d1c9e21"
_IDEMPOTENCY_KEY = {
    "name": idempotency.HEADER,
    "in": "header",
    "required": False,
    "description": "Any text of yours: the same request with the same key is done once within 24"
    " hours and answered the same.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "example": "order-4711",
}
DESCRIPTION = """\
Assistants that answer telephone calls, and everything they need.

**Authentication.** Send `Authorization: Bearer <key>` on every request. A key belongs to one
organisation and has scopes: `read` for every GET, `calls` to place and control calls, `admin` for
everything. Create keys with `POST /keys` or `sovereign keys create`. What signs webhooks
(`webhook_secret`, `server_secret`, `server.secret`) is null for keys without `admin`.

**Bodies** are JSON objects in UTF-8 of at most 1 MiB and 32 levels. Unknown fields are refused;
the message names the nearest known one. Texts hold no NUL characters; names of tools are unique
in a list. PATCH changes only the fields it names; a config block is replaced whole; null clears.

**Limits.** 100 requests per key in any 60 seconds, unless the operator set another number;
`X-RateLimit-*` stand on every answer.

**Errors** have one shape; clients should act on `code`. A client whose `User-Agent` begins with
`hmsovereign-node/` gets `error` as a text, with the other keys beside it.

**Who takes a call.** Before an incoming call is answered, `assistant-request` is sent once to the
assistant's server, or to the account's for a number without an assistant. Within 5 seconds it may
answer `{}`; `{"assistant": {...}}`, an assistant for this call, which takes what it leaves out
from the number's assistant, or from the defaults of the platform if there is none;
`{"assistant_id": "...", "assistant_override": {...}}`, a stored one, of which each key named is
replaced whole; beside any of these, or alone, `max_duration_seconds`, which is moved into 10 to
14400; or `{"error": "..."}`, which is said to the caller, who is then rejected. Fields that an
assistant does not have are shown in later webhooks as they came. An answer with a fault is not
used at all: the number's assistant takes the call, and the timeline says why.

"""


def build_document(
    endpoints: Sequence[Endpoint], catalogue: Catalogue, version: str
) -> dict[str, Any]:
    """Describe every operation."""
    components = Components(catalogue)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        operations = paths.setdefault(PREFIX + endpoint.path, {})
        operations[endpoint.method.lower()] = _operation(endpoint, components, endpoints)
    health = components.of(HealthView, "serialization")
    for path in ("/health", f"{PREFIX}/health"):
        paths[path] = {"get": _health(path, health)}
    tags = dict.fromkeys(endpoint.tag for endpoint in endpoints)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sovereign ARI",
            "version": version,
            "description": DESCRIPTION + as_markdown(),
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": "System"}, *({"name": tag} for tag in tags)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key of the organisation, such as `fl_live_…`.",
                }
            },
            "headers": headers(),
            "responses": errors(),
            "schemas": components.schemas,
        },
    }


def _health(path: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "operationId": "health" if path == "/health" else "api_health",
        "summary": "Say whether we work",
        "description": "Asks the database. Needs no key.",
        "tags": ["System"],
        "security": [],
        "responses": {
            "200": _response("We work", schema, HealthView.example),
            "503": _response("We do not", schema, HealthView.failing),
        },
    }


def _operation(
    endpoint: Endpoint, components: Components, endpoints: Sequence[Endpoint]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": f"{endpoint.handler.__doc__ or endpoint.summary}\n\n"
        f"Needs a key with the scope `{endpoint.needs}`.",
        "tags": [endpoint.tag],
        "security": [{"key": [endpoint.needs]}],
        "responses": _responses(endpoint, components, endpoints),
    }
    if endpoint.deprecated:
        operation["deprecated"] = True
    parameters = [*_path_parameters(endpoint), *_query_parameters(endpoint, components)]
    if endpoint.method == "POST":
        parameters.append(_IDEMPOTENCY_KEY)
    if parameters:
        operation["parameters"] = parameters
    if endpoint.body is not None:
        operation["requestBody"] = _request_body(endpoint.body, components)
    return operation


def _request_body(body: type[BaseModel], components: Components) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": components.of(body, "validation")}
    if (example := example_of(body)) is not None:
        content["example"] = example
    required = not getattr(body, "optional", False)
    return {"required": required, "content": {"application/json": content}}


def _responses(
    endpoint: Endpoint, components: Components, endpoints: Sequence[Endpoint]
) -> dict[str, Any]:
    answer, example = components.of(endpoint.adapter, "serialization"), example_of(endpoint.answer)
    if keys := endpoint.envelopes:
        answer = {
            "type": "object",
            "properties": dict.fromkeys(keys, answer),
            "required": list(keys),
        }
        example = None if example is None else dict.fromkeys(keys, example)
    errors = {401, 403, 429, 500, 503, *endpoint.also}
    if endpoint.body is not None or endpoint.query is not None:
        errors.add(400)
    if endpoint.body is not None:
        errors.add(413)
    if endpoint.parameters:
        errors.add(404)
    if endpoint.method == "POST":
        errors |= {400, 409, 422}
    more = ["Idempotent-Replayed"] if endpoint.method == "POST" else []
    phrase = HTTPStatus(endpoint.status).phrase
    success = _response(phrase, answer, example, *more)
    if links := _links(endpoint, endpoints):
        success["links"] = links
    return {str(endpoint.status): success, **error_responses(errors)}


def _response(
    description: str, schema: Mapping[str, Any], example: Any, *more_headers: str
) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {
        "description": description,
        "headers": header_refs(*more_headers),
        "content": {"application/json": content},
    }


def _links(endpoint: Endpoint, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """What can be done next with what was just created."""
    where = _where_the_id_is(endpoint)
    if endpoint.method != "POST" or endpoint.status != HTTPStatus.CREATED or where is None:
        return {}
    inherited = {name: f"$request.path.{name}" for name in endpoint.parameters}
    return {
        other.name: {
            "operationId": other.name,
            "parameters": {**inherited, other.parameters[-1]: f"$response.body#{where}"},
        }
        for other in endpoints
        if other.parameters
        and other.path.startswith(f"{endpoint.path}/{{{other.parameters[-1]}}}")
    }


def _where_the_id_is(endpoint: Endpoint) -> str | None:
    """A JSON pointer to the id in an answer, None when there is none to go on with."""
    if endpoint.envelope is not None:
        return f"/{endpoint.envelope}/id"
    example = example_of(endpoint.answer) or {}
    for name in ("id", "call_id"):
        if name in example:
            return f"/{name}"
    inside = [name for name, value in example.items() if isinstance(value, dict) and "id" in value]
    return f"/{inside[0]}/id" if inside else None


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    uuid = ({"type": "string", "format": "uuid"}, _UUID_EXAMPLE)
    others: dict[str, tuple[dict[str, Any], Any]] = {
        CALL_ID: (_CALL_ID_SCHEMA, _CALL_ID_EXAMPLE),
        NUMBER: ({"type": "integer", "minimum": 1, "maximum": 999_999_999}, 1),
    }
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": others.get(name, uuid)[0],
            "example": others.get(name, uuid)[1],
        }
        for name in endpoint.parameters
    ]


def _query_parameters(endpoint: Endpoint, components: Components) -> list[dict[str, Any]]:
    if endpoint.query is None:
        return []
    described = components.resolve(
        TypeAdapter(endpoint.query).json_schema(ref_template=REF)["properties"]
    )
    return [
        {"name": name, "in": "query", "required": False, "schema": without_null(schema)}
        for name, schema in described.items()
    ]
