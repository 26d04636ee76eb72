"""What the operations of the OpenAPI document refer to: schemas, headers, errors, examples."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from api.error_codes import CODES
from api.parts import Catalogue
from api.resources.tools import TOOL

REF = "#/components/schemas/{model}"
HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "X-RateLimit-Limit": ("Requests per key in any 60 seconds.", {"type": "integer"}),
    "X-RateLimit-Remaining": ("Requests left now.", {"type": "integer"}),
    "X-RateLimit-Reset": ("Unix time when the next one becomes free.", {"type": "integer"}),
    "X-Request-Id": (
        "Names this request in our logs; yours, if you sent one of at most 64 letters, digits,"
        " dots, hyphens and underscores.",
        {"type": "string"},
    ),
}
MORE_HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Retry-After": ("Seconds to wait.", {"type": "integer"}),
    "WWW-Authenticate": ("How to authenticate.", {"type": "string"}),
    "Idempotent-Replayed": (
        "`true` when this is the answer to an earlier request with the same `Idempotency-Key`.",
        {"type": "string"},
    ),
}
WITH = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}
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
_MESSAGES = {
    "invalid_request": "phone_number: is not a number in E.164 form, such as +31201234567",
    "missing_field": "name: is required",
    "unauthorized": "Invalid or missing API key",
    "insufficient_scope": "this needs a key with the scope admin; this one has read",
    "not_found": "no assistant 00000000-0000-4000-8000-000000000000",
    "conflict": "the number +31201234567 exists already",
    "rate_limit_exceeded": "Too many requests. Please retry after 45 seconds.",
}


def header_refs(*names: str) -> dict[str, Any]:
    """Headers that stand on every answer, and these."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*HEADERS, *names)}


def headers() -> dict[str, Any]:
    """The components behind `header_refs`."""
    return {
        name: {"description": text, "schema": schema}
        for name, (text, schema) in (HEADERS | MORE_HEADERS).items()
    }


def error_responses(statuses: set[int]) -> dict[str, Any]:
    """References to the errors of an operation, by status."""
    return {
        str(status): {"$ref": f"#/components/responses/Error{status}"}
        for status in sorted(statuses)
    }


def errors() -> dict[str, Any]:
    """The components behind `error_responses`: one per status, with its codes and an example."""
    by_status: dict[int, list[str]] = {}
    for code, entry in CODES.items():
        by_status.setdefault(entry.status, []).append(code)
    return {f"Error{status}": _error(status, codes) for status, codes in by_status.items()}


def _error(status: int, codes: list[str]) -> dict[str, Any]:
    lines = [f"`{code}`: {CODES[code].meaning}" for code in codes]
    return {
        "description": "\n\n".join([HTTPStatus(status).phrase, *lines]),
        "headers": header_refs(*WITH.get(status, [])),
        "content": {
            "application/json": {
                "schema": {"$ref": REF.format(model="Error")},
                "examples": {code: {"value": _error_example(code)} for code in codes},
            }
        },
    }


def _error_example(code: str) -> dict[str, Any]:
    message = _MESSAGES.get(code, CODES[code].meaning)
    param = message.partition(": ")[0] if code in ("invalid_request", "missing_field") else None
    body: dict[str, Any] = {
        "error": {"code": code, "message": message, "param": param, "type": CODES[code].kind},
        "message": message,
    }
    if param is not None:
        body["details"] = [message]
    if code == "rate_limit_exceeded":
        body["retry_after"] = 45
    return body


def example_of(answer: Any) -> Any:
    """An example of what a handler returns, None where its model has none."""
    if get_origin(answer) is list:
        one = example_of(get_args(answer)[0])
        return None if one is None else [one]
    for kind in get_args(answer):
        if (found := example_of(kind)) is not None:
            return found
    return dict(example) if (example := getattr(answer, "example", None)) else None


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
            self._put(name, self.resolve(part))
        schema = dict(self.resolve(schema))
        if (title := schema.get("title")) and isinstance(kind, type):
            self._put(title, schema)
            return {"$ref": REF.format(model=title)}
        return schema

    def _put(self, name: str, schema: Any) -> None:
        """Keep a schema. Two models of one name would overwrite each other."""
        assert self.schemas.get(name, schema) == schema, f"two models are called {name}"
        self.schemas[name] = schema

    def resolve(self, schema: Any) -> Any:
        """Put the catalogue's schemas where blocks are marked."""
        if isinstance(schema, list):
            return [self.resolve(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if (kind := schema.get("x-catalogue")) is not None:
            return {"$ref": REF.format(model=self._block(kind))}
        if "x-byok" in schema:
            return {"type": "string", "enum": list(self._catalogue.byok_names())}
        if "x-voices" in schema:
            names = list(self._catalogue.providers_with_voices())
            return {"type": "string", "enum": names, "default": schema["default"]}
        return {name: self.resolve(value) for name, value in schema.items()}

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
        tools = {"type": ["array", "null"], "items": self.of(TOOL, "validation"), "maxItems": 64}
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


def without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A query cannot say null."""
    schema = {key: value for key, value in schema.items() if key != "title"}
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) == 1 and schema.pop("default", None) is None:
        del schema["anyOf"]
        return {**schema, **kinds[0]}
    return schema
