"""Endpoints: a handler, its path, and everything OpenAPI says about it, declared in one place.

A handler's annotations are its contract: a parameter `body` or `query` is a pydantic model, any
other parameter is a path parameter, and the returned type is the answer's schema.

    @assistants.get("/assistants/{assistant_id}", "Read an assistant", envelope="assistant")
    async def show_assistant(asked: Asked, assistant_id: str) -> AssistantView: ...
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar, get_type_hints

from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from api import idempotency
from api.authentication import Scope, authenticate
from api.bodies import parse, read_json
from api.kinds import is_uuid
from api.parts import PARTS, Asked
from api.queries import parse_query, read_query
from api.views import View
from sovereign_ari.domain.ids import is_call_id
from sovereign_ari.errors import NotFound

Handler = Callable[..., Awaitable[Any]]
_Handler = TypeVar("_Handler", bound=Handler)
CALL_ID = "call_id"
NUMBER = "number"
"""Path parameters that are no UUIDs: the id of a call, and a count from 1 within something."""


@dataclass(frozen=True)
class Endpoint:
    """One operation.

    Attributes:
        envelope: Key that the answer stands under, None for a bare answer.
        older_envelope: Key of older clients that it stands under as well.
        scope: What a key needs; None is `read` for GET and `admin` for the rest.
        detached: Whether the handler waits for somebody else's server.
        alias: Whether this is an older path of another endpoint.
        also: Statuses of errors beyond those that every endpoint has.
        body: Model of the body, if there is one.
        query: Model of the query, if there is one.
        parameters: Names in the path.
        answer: Type of the answer.
        adapter: Writes the answer.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    tag: str
    envelope: str | None = None
    older_envelope: str | None = None
    status: int = 200
    also: tuple[int, ...] = ()
    deprecated: bool = False
    scope: Scope | None = None
    detached: bool = False
    alias: bool = False
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    parameters: tuple[str, ...] = ()
    answer: Any = None
    adapter: TypeAdapter[Any] = field(default_factory=lambda: TypeAdapter(Any))

    @property
    def name(self) -> str:
        """Unique name of the operation."""
        return self.handler.__name__ + ("_by_alias" if self.alias else "")

    @property
    def envelopes(self) -> tuple[str, ...]:
        """The keys that the answer stands under."""
        return tuple(key for key in (self.envelope, self.older_envelope) if key is not None)

    @property
    def needs(self) -> Scope:
        """The scope that a key needs."""
        return self.scope or ("read" if self.method == "GET" else "admin")

    async def serve(self, request: web.Request) -> web.Response:
        """Answer one request. No connection is held while a body arrives."""
        caller = await authenticate(request)
        caller.require(self.needs)
        arguments = self._path_arguments(request)
        if self.query is not None:
            arguments["query"] = read_query(self.query, request)
        if self.body is not None:
            data = await read_json(request, or_nothing=getattr(self.body, "optional", False))
            arguments["body"] = parse(self.body, data)
        origin = f"{request.scheme}://{request.host}"
        asked = Asked(
            request.app[PARTS],
            caller.organisation_id,
            origin=origin,
            sees_secrets="admin" in caller.scopes,
        )
        attempt = await idempotency.read_attempt(request)
        if attempt is None:
            return self._response(await self.run(asked, arguments))
        if self.detached:
            replay, body = await idempotency.once_detached(
                asked, attempt, self.status, lambda: self.run(asked, arguments)
            )
            return self._response(body, replay)
        async with asked.tenant() as connection:
            within = replace(asked, connection=connection)
            replay, body = await idempotency.once(
                within, attempt, self.status, lambda: self._handle(within, arguments)
            )
        return self._response(body, replay)

    async def invoke(
        self,
        asked: Asked,
        values: Mapping[str, str],
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
    ) -> bytes:
        """Do what a request would do, for somebody who needs no key."""
        arguments: dict[str, Any] = dict(values)
        if self.query is not None:
            arguments["query"] = parse_query(self.query, query.items())
        if self.body is not None:
            arguments["body"] = parse(self.body, body or {})
        return await self.run(asked, arguments)

    async def run(self, asked: Asked, arguments: Mapping[str, Any]) -> bytes:
        """Do the work and give the answer's body; whoever has no key to check calls this."""
        if self.detached:
            return await self._handle(asked, arguments)
        async with asked.tenant() as connection:
            return await self._handle(replace(asked, connection=connection), arguments)

    async def _handle(self, asked: Asked, arguments: Mapping[str, Any]) -> bytes:
        body = self.adapter.dump_json(await self.handler(asked, **arguments), by_alias=True)
        if not self.envelopes:
            return body
        return b"{%s}" % b",".join(b'"%s":%s' % (key.encode(), body) for key in self.envelopes)

    def _response(self, body: bytes, replay: bool = False) -> web.Response:
        headers = {"Idempotent-Replayed": "true"} if replay else None
        return web.Response(
            body=body, status=self.status, headers=headers, content_type="application/json"
        )

    def _path_arguments(self, request: web.Request) -> dict[str, Any]:
        """Read the path; an id of the wrong form names nothing that exists."""
        found = {name: request.match_info[name] for name in self.parameters}
        for name, value in found.items():
            if name == CALL_ID and not is_call_id(value):
                raise NotFound(f"{name} is not the id of a call: {value[:80]!r}")
            if name == NUMBER and not re.fullmatch("[1-9][0-9]{0,8}", value):
                raise NotFound(f"{name} is not a number from 1: {value[:80]!r}")
            if name not in (CALL_ID, NUMBER) and not is_uuid(value):
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
                    answer=hints["return"],
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
                alias=True,
            )
            for endpoint in self.all
        ]


class Deleted(View):
    """The answer to every DELETE."""

    example: ClassVar[Mapping[str, Any]] = {"success": True}

    success: bool = True


def routes_of(endpoints: Sequence[Endpoint], prefix: str) -> list[web.RouteDef]:
    """What aiohttp is given."""
    paths = {endpoint.path for endpoint in endpoints}
    return [
        web.route(endpoint.method, prefix + _pattern(endpoint.path, paths), endpoint.serve)
        for endpoint in endpoints
    ]


def _pattern(path: str, paths: set[str]) -> str:
    """Take fixed names beside an id, such as `outbound` in `/calls/outbound`, for no ids.

    Otherwise GET of such a path would look for the thing of that name, and not be a 405.
    """
    parent, _, last = path.rpartition("/")
    fixed = sorted({other.rpartition("/")[2] for other in paths if _is_beside(other, parent)})
    if not last.startswith("{") or not fixed:
        return path
    return f"{parent}/{{{last[1:-1]}:(?!(?:{'|'.join(fixed)})$)[^/]+}}"


def _is_beside(path: str, parent: str) -> bool:
    where, _, last = path.rpartition("/")
    return where == parent and not last.startswith("{")
