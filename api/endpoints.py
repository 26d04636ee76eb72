"""Endpoints: a handler, its path, and everything OpenAPI says about it, declared in one place.

A handler's annotations are its contract: a parameter `body` or `query` is a pydantic model, any
other parameter is a path parameter, and the returned type is the answer's schema.

    @assistants.get("/assistants/{assistant_id}", "Read an assistant", envelope="assistant")
    async def show_assistant(asked: Asked, assistant_id: str) -> AssistantView: ...
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, get_type_hints

from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from api.authentication import authenticate
from api.bodies import parse, read_json
from api.kinds import is_uuid
from api.parts import PARTS, Asked
from api.queries import read_query
from sovereign_ari.domain.ids import is_call_id
from sovereign_ari.errors import NotFound

Handler = Callable[..., Awaitable[Any]]
_Handler = TypeVar("_Handler", bound=Handler)
CALL_ID = "call_id"


@dataclass(frozen=True)
class Endpoint:
    """One operation.

    Attributes:
        envelope: Key that the answer stands under, None for a bare answer.
        also: Statuses of errors beyond those that every endpoint has.
        body: Model of the body, if there is one.
        query: Model of the query, if there is one.
        parameters: Names in the path.
        adapter: Writes the answer.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    tag: str
    envelope: str | None = None
    status: int = 200
    also: tuple[int, ...] = ()
    deprecated: bool = False
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    parameters: tuple[str, ...] = ()
    adapter: TypeAdapter[Any] = field(default_factory=lambda: TypeAdapter(Any))

    @property
    def name(self) -> str:
        """Unique name of the operation."""
        return self.handler.__name__ + ("_by_alias" if self.deprecated else "")

    async def serve(self, request: web.Request) -> web.Response:
        """Answer one request. No connection is held while a body arrives."""
        organisation_id = await authenticate(request)
        arguments = self._path_arguments(request)
        if self.query is not None:
            arguments["query"] = read_query(self.query, request)
        if self.body is not None:
            arguments["body"] = parse(self.body, await read_json(request))
        parts = request.app[PARTS]
        async with parts.pool.acquire() as connection:
            answer = await self.handler(Asked(parts, connection, organisation_id), **arguments)
        return self._answer(answer)

    def _answer(self, answer: Any) -> web.Response:
        body = self.adapter.dump_json(answer, by_alias=True)
        if self.envelope is not None:
            body = b'{"%s":%s}' % (self.envelope.encode(), body)
        return web.Response(body=body, status=self.status, content_type="application/json")

    def _path_arguments(self, request: web.Request) -> dict[str, Any]:
        """Read the path; an id of the wrong form names nothing that exists."""
        found = {name: request.match_info[name] for name in self.parameters}
        for name, value in found.items():
            if name == CALL_ID and not is_call_id(value):
                raise NotFound(f"{name} is not the id of a call: {value[:80]!r}")
            if name != CALL_ID and not is_uuid(value):
                raise NotFound(f"{name} is not a UUID: {value[:80]!r}")
        return found


class Endpoints:
    """The endpoints of one resource, in the order they were declared."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.all: list[Endpoint] = []

    def add(
        self, method: str, path: str, summary: str, **options: Any
    ) -> Callable[[_Handler], _Handler]:
        """Declare an endpoint; `options` are the fields of `Endpoint`."""

        def declare(handler: _Handler) -> _Handler:
            hints = get_type_hints(handler, include_extras=True)
            names = tuple(inspect.signature(handler).parameters)[1:]
            self.all.append(
                Endpoint(
                    method,
                    path,
                    summary,
                    handler,
                    self.tag,
                    body=hints.get("body"),
                    query=hints.get("query"),
                    parameters=tuple(n for n in names if n not in ("body", "query")),
                    adapter=TypeAdapter(hints["return"]),
                    **options,
                )
            )
            return handler

        return declare

    def alias(self, path: str, other: str, envelopes: dict[str, str]) -> list[Endpoint]:
        """The same endpoints under an older path, in its own envelopes."""
        return [
            replace(
                endpoint,
                path=endpoint.path.replace(path, other, 1),
                envelope=envelopes.get(endpoint.envelope or "", endpoint.envelope),
                deprecated=True,
            )
            for endpoint in self.all
        ]


class Deleted(BaseModel):
    """The answer to every DELETE."""

    success: bool = True


def routes_of(endpoints: Sequence[Endpoint], prefix: str) -> list[web.RouteDef]:
    """What aiohttp is given."""
    return [
        web.route(endpoint.method, prefix + endpoint.path, endpoint.serve)
        for endpoint in endpoints
    ]
