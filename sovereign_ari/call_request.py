"""Asks integrators who takes a call: the event `assistant-request`.

One request, and its answer read as the API reads what clients send. Whatever is wrong with either,
the assistant of the number takes the call, and the timeline says why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg

from api.bodies import Body, parse, parse_json
from api.parts import Catalogue
from api.resources.assistant_config import Reading, look_up, read_values
from api.resources.transient import AssistantOverride
from db.assistants import ASSISTANTS
from db.pool import UNAVAILABLE
from db.tenancy import acting_for
from sovereign_ari.domain.agent import Assistant, Config, Route
from sovereign_ari.domain.assistant_request import (
    EVENT,
    FIELDS,
    Answer,
    AnswerFault,
    Resolution,
    read_answer,
    resolved_assistant,
    turning_away,
)
from sovereign_ari.domain.webhook import Subject, headers, message
from sovereign_ari.errors import DatabaseUnavailable, InvalidRequest, NotFound, OutgoingFailed
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.tools.webhook import Sends

TIMEOUT_S = 5.0  # the name looked up, connected and answered, while the caller hears ringing
LARGEST_BYTES = 256 * 1024
CHECKED_WITHIN_S = 2.0
MOST_FAULTS = 10
_KNOWN = AssistantOverride.model_fields.keys() | AssistantOverride.aliases.keys()
_BLOCKS = ("llm_config", "stt_config", "tts_config")


@dataclass(frozen=True, slots=True)
class Rules:
    """What answers are checked by. See `api.resources.assistant_config.Rules`."""

    catalogue: Catalogue
    outgoing: OutgoingPolicy
    defaults: Mapping[str, Config]


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The blocks of what an answer changes."""

    llm_config: Mapping[str, Any] | None
    stt_config: Mapping[str, Any] | None
    tts_config: Mapping[str, Any] | None


@dataclass(slots=True)
class _Exchange:
    """One request and what came back; `faults` says why it is not used."""

    id: str
    begun_s: float
    status: int | None = None
    took_ms: int | None = None
    form: str = "fault"
    faults: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "outcome": self.form,
            "status": self.status,
            "took_ms": self.took_ms,
            "webhook_id": self.id,
        }
        if self.faults:
            facts |= {"outcome": "fault", "faults": list(self.faults[:MOST_FAULTS])}
        if self.unread:
            facts["unread_fields"] = sorted(name[:80] for name in self.unread)[:MOST_FAULTS]
        return facts


class IntegratorRequests:
    """A `control.ports.AssistantRequests`.

    Args:
        pool: Of the database.
        http: Sends the requests.
        rules: What answers are checked by.
        unusable: Says what of an assistant cannot work here although it is valid.
        wall_clock: Aware UTC.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        http: Sends,
        rules: Rules,
        unusable: Callable[[Assistant], Sequence[str]],
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pool = pool
        self._http = http
        self._rules = rules
        self._unusable = unusable
        self._wall_clock = wall_clock

    async def ask(self, route: Route, subject: Subject) -> Resolution:
        """See `AssistantRequests`."""
        exchange = _Exchange(uuid4().hex, time.monotonic())
        try:
            answer = await self._answer(route, subject, exchange)
            exchange.form = answer.form
            async with asyncio.timeout(CHECKED_WITHIN_S):
                return Resolution(await self._applied(route, answer, exchange), exchange.facts)
        except AnswerFault as fault:
            exchange.faults = fault.lines
        except (DatabaseUnavailable, TimeoutError) as error:
            why = str(error) or f"that took more than {CHECKED_WITHIN_S:g} s"
            if route.assistant is None:
                raise DatabaseUnavailable(why) from error
            exchange.faults = (f"the answer could not be checked: {why}",)
        return Resolution(_unchanged(route, "; ".join(exchange.faults)), exchange.facts)

    async def _answer(self, route: Route, subject: Subject, exchange: _Exchange) -> Answer:
        """Send the request and read what is answered.

        Raises:
            AnswerFault: If there is no answer of use.
        """
        assert route.asks is not None
        now = self._wall_clock()
        body = message(EVENT, now, subject)
        try:
            got = await self._http.send(
                "POST",
                route.asks.url,
                headers=headers(EVENT, exchange.id, int(now.timestamp()), body, route.asks.secret),
                body=body,
                timeout_s=TIMEOUT_S,
                largest_bytes=LARGEST_BYTES,
            )
        except OutgoingFailed as error:
            raise AnswerFault(str(error)) from None
        finally:
            exchange.took_ms = round((time.monotonic() - exchange.begun_s) * 1000)
        exchange.status = got.status
        if not 200 <= got.status < 300:
            redirected = "; redirects are not followed" if 300 <= got.status < 400 else ""
            raise AnswerFault(f"answered {got.status}{redirected}")
        return await asyncio.to_thread(_read, got.body)

    async def _applied(self, route: Route, answer: Answer, exchange: _Exchange) -> Route:
        """The route as an answer wants it."""
        assert route.owner is not None
        if answer.rejection is not None:
            voice = route.assistant or self._resolved(route, None, None, {}, None)
            return replace(
                route, assistant=turning_away(voice), refusal=None, rejection=answer.rejection
            )
        assistant_id, base = await self._chosen(route, answer)
        if answer.form == "default" and (base is None or answer.max_duration_s is None):
            return _unchanged(route, "it names no assistant")
        if answer.form == "hybrid" and base is None:
            raise AnswerFault("assistant_override: there is no assistant that it could change")
        base = _without_doubles(base, answer.changes or {}, self._rules.catalogue)
        changes = await self._checked(route, answer, base, exchange)
        made = self._resolved(route, assistant_id, base, changes, answer.max_duration_s)
        if answer.form != "default" and (faults := self._unusable(made)):
            raise AnswerFault(*(f"{answer.path}.{fault}" for fault in faults))
        return replace(route, assistant=made, refusal=None)

    def _resolved(
        self,
        route: Route,
        assistant_id: str | None,
        base: Mapping[str, Any] | None,
        changes: Mapping[str, Any],
        max_duration_s: int | None,
    ) -> Assistant:
        assert route.owner is not None
        return resolved_assistant(
            assistant_id, base, changes, max_duration_s, route.owner, self._rules.defaults
        )

    async def _chosen(
        self, route: Route, answer: Answer
    ) -> tuple[str | None, Mapping[str, Any] | None]:
        """What the call runs on before any changes: an id, and fields."""
        own = route.assistant.id if route.assistant is not None else None
        if answer.form == "transient":
            return None, route.saved
        if answer.assistant_id in (None, own):
            return own, route.saved
        assert answer.assistant_id is not None
        try:
            async with self._tenant(route) as connection:
                found = await ASSISTANTS.get(
                    connection, route.organisation_id, answer.assistant_id
                )
        except NotFound:
            raise AnswerFault(f"assistant_id: no assistant {answer.assistant_id}") from None
        if not found.is_active:
            raise AnswerFault(f"assistant_id: the assistant {found.id} is not active")
        return found.id, {name: getattr(found, name) for name in FIELDS}

    async def _checked(
        self,
        route: Route,
        answer: Answer,
        base: Mapping[str, Any] | None,
        exchange: _Exchange,
    ) -> dict[str, Any]:
        """Check the changes by the API's own rules.

        Raises:
            AnswerFault: With one line per fault.
        """
        if not answer.changes:
            return {}
        known = {name: v for name, v in answer.changes.items() if name in _KNOWN}
        unread = {name: v for name, v in answer.changes.items() if name not in _KNOWN}
        exchange.unread = tuple(unread)
        blocks = None if base is None else _Blocks(*(base[name] for name in _BLOCKS))
        try:
            reading = await asyncio.to_thread(_checked_alone, known, self._rules, blocks)
            if reading.refers:
                async with self._tenant(route) as connection:
                    values = (await look_up(reading, route.organisation_id, connection)).values
            else:
                values = (await look_up(reading, route.organisation_id, None)).values
        except InvalidRequest as error:
            raise AnswerFault(*(f"{answer.path}.{line}" for line in error.details)) from None
        return {**unread, **values}

    @asynccontextmanager
    async def _tenant(self, route: Route) -> AsyncIterator[asyncpg.Connection]:
        try:
            async with acting_for(self._pool, route.organisation_id) as connection:
                yield connection
        except UNAVAILABLE as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error


def _read(body: bytes) -> Answer:
    try:
        return read_answer(parse_json(body))
    except InvalidRequest as error:
        raise AnswerFault(f"the answer cannot be read: {error}") from None


def _checked_alone(known: Mapping[str, Any], rules: Rules, blocks: _Blocks | None) -> Reading:
    body: Body = parse(AssistantOverride, known)
    return read_values(body, rules, blocks)


def _without_doubles(
    base: Mapping[str, Any] | None, changes: Mapping[str, Any], catalogue: Catalogue
) -> Mapping[str, Any] | None:
    """Take away ears and voice from under a model that has its own.

    An answer with such a model leaves them out, as the contract asks.
    """
    llm = changes.get("llm_config")
    provider = llm.get("provider") if isinstance(llm, dict) else None
    if base is None or not isinstance(provider, str) or not catalogue.is_realtime(provider):
        return base
    return {**base, "stt_config": None, "tts_config": None}


def _unchanged(route: Route, why: str) -> Route:
    if route.assistant is not None:
        return route
    return replace(route, refusal=f"{route.refusal}, and assistant-request brought none: {why}")
