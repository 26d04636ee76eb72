"""The OpenAPI 3.1 document, from the endpoints and their models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from api.endpoints import CALL_ID, Endpoint
from api.health import HealthView
from api.parts import Catalogue
from api.resources.tools import TOOL

PREFIX = "/api/v1"
REF = "#/components/schemas/{model}"
TAKES = {"POST", "PATCH", "PUT"}
RATE_HEADERS = {
    "X-RateLimit-Limit": "Requests per key in any 60 seconds.",
    "X-RateLimit-Remaining": "Requests left now.",
    "X-RateLimit-Reset": "Unix time at which the next one becomes free.",
    "X-Request-Id": "Names this request in our logs.",
}
_NAMED = {
    "code": {"type": "string"},
    "message": {"type": "string"},
    "param": {"type": ["string", "null"]},
    "type": {"type": "string"},
}
ERROR = {
    "type": "object",
    "description": "`error` is a text for clients whose User-Agent begins with hmsovereign-node/;"
    " `code`, `param` and `type` then stand beside it.",
    "properties": {
        "error": {
            "anyOf": [
                {"type": "object", "properties": _NAMED, "required": list(_NAMED)},
                {"type": "string"},
            ]
        },
        **_NAMED,
        "details": {"type": "array", "items": {"type": "string"}},
        "retry_after": {"type": "integer"},
    },
    "required": ["error", "message"],
}
_CALL_ID_SCHEMA = {"type": "string", "pattern": "^call-(inbound|outbound|web)-[0-9a-z]{26}$"}


class Components:
    """Schemas that were referred to, by name."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.schemas: dict[str, Any] = {"Error": ERROR}
        self._catalogue = catalogue

    def of(self, kind: type[BaseModel] | TypeAdapter[Any], mode: JsonSchemaMode) -> dict[str, Any]:
        """Describe a model; its parts go into the components."""
        adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
        schema = adapter.json_schema(mode=mode, ref_template=REF)
        for name, part in schema.pop("$defs", {}).items():
            self.schemas[name] = self._resolve(part)
        schema = dict(self._resolve(schema))
        if (title := schema.get("title")) and isinstance(kind, type):
            self.schemas[title] = schema
            return {"$ref": REF.format(model=title)}
        return schema

    def _resolve(self, schema: Any) -> Any:
        """Put the catalogue's schemas where blocks are marked, and drop generated titles."""
        if isinstance(schema, list):
            return [self._resolve(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if (kind := schema.get("x-catalogue")) is not None:
            return {"$ref": REF.format(model=self._block(kind))}
        return {name: self._resolve(value) for name, value in schema.items()}

    def _block(self, kind: str) -> str:
        """Name the component of a provider block."""
        name = f"{kind.capitalize()}Config"
        if name not in self.schemas:
            schema = dict(self._catalogue.json_schema(kind))
            # OpenAPI allows it only beside references, and these alternatives stand inline.
            schema.pop("discriminator", None)
            for part, described in schema.pop("$defs", {}).items():
                self.schemas[f"{name}{part}"] = _renamed(described, name)
            self.schemas[name] = _renamed(schema, name)
            if kind == "llm":
                self._offer_tools(self.schemas[name])
        return name

    def _offer_tools(self, schema: dict[str, Any]) -> None:
        """Add `tools` to the model's block, in each of its alternatives."""
        tools = {"type": "array", "items": self.of(TOOL, "validation"), "maxItems": 64}
        for branch in [schema, *schema.get("oneOf", []), *schema.get("anyOf", [])]:
            if "properties" in branch:
                branch["properties"] = {**branch["properties"], "tools": tools}


def _renamed(schema: Any, prefix: str) -> Any:
    """Point local references of a catalogue's schema at the components."""
    if isinstance(schema, list):
        return [_renamed(item, prefix) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: REF.format(model=prefix + value.removeprefix("#/$defs/"))
        if key == "$ref" and isinstance(value, str) and value.startswith("#/$defs/")
        else _renamed(value, prefix)
        for key, value in schema.items()
    }


def build_document(
    endpoints: Sequence[Endpoint], catalogue: Catalogue, version: str
) -> dict[str, Any]:
    """Describe every operation."""
    components = Components(catalogue)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        operations = paths.setdefault(PREFIX + endpoint.path, {})
        operations[endpoint.method.lower()] = _operation(endpoint, components)
    health = components.of(HealthView, "serialization")
    for path in ("/health", f"{PREFIX}/health"):
        paths[path] = {"get": _health(path, health)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Sovereign ARI",
            "version": version,
            "description": "Assistants that answer telephone calls. Texts hold no NUL characters;"
            " bodies are at most 1 MiB and 32 levels deep; names of tools are unique in a list.",
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": components.schemas,
        },
    }


def _health(path: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "operationId": "health" if path == "/health" else "api_health",
        "summary": "Say whether we work",
        "tags": ["System"],
        "security": [],
        "responses": {"200": _response("We work", schema), "503": _response("We do not", schema)},
    }


def _operation(endpoint: Endpoint, components: Components) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": endpoint.handler.__doc__ or endpoint.summary,
        "tags": [endpoint.tag],
        "responses": _responses(endpoint, components),
    }
    if endpoint.deprecated:
        operation["deprecated"] = True
    if parameters := [*_path_parameters(endpoint), *_query_parameters(endpoint, components)]:
        operation["parameters"] = parameters
    if endpoint.body is not None:
        schema = components.of(endpoint.body, "validation")
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _responses(endpoint: Endpoint, components: Components) -> dict[str, Any]:
    answer = components.of(endpoint.adapter, "serialization")
    if endpoint.envelope is not None:
        key = endpoint.envelope
        answer = {"type": "object", "properties": {key: answer}, "required": [key]}
    errors = {401, 429, 500, 503, *endpoint.also}
    if endpoint.body is not None or endpoint.query is not None:
        errors.add(400)
    if endpoint.body is not None:
        errors.add(413)
    if endpoint.parameters:
        errors.add(404)
    phrase = HTTPStatus(endpoint.status).phrase
    responses = {str(endpoint.status): _response(phrase, answer)}
    for status in sorted(errors):
        schema = {"$ref": REF.format(model="Error")}
        responses[str(status)] = _response(HTTPStatus(status).phrase, schema)
    return responses


def _response(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "headers": {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in RATE_HEADERS.items()
        },
        "content": {"application/json": {"schema": schema}},
    }


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    uuid = {"type": "string", "format": "uuid"}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _CALL_ID_SCHEMA if name == CALL_ID else uuid,
        }
        for name in endpoint.parameters
    ]


def _query_parameters(endpoint: Endpoint, components: Components) -> list[dict[str, Any]]:
    if endpoint.query is None:
        return []
    described = TypeAdapter(endpoint.query).json_schema(ref_template=REF)["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": _without_null(schema)}
        for name, schema in described.items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query cannot say null."""
    schema = {key: value for key, value in schema.items() if key != "title"}
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1 and schema.pop("default", None) is None:
        del schema["anyOf"]
        return {**schema, **kinds[0]}
    return schema
