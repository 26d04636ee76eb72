"""Reads query strings into models, and the kinds of values only a query has."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Self, TypeVar

from aiohttp import web
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from api.bodies import contradiction, faults, refusal

_Model = TypeVar("_Model", bound=BaseModel)
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)([Zz]|[+ -]\d\d:\d\d)?)?",
    re.ASCII,
)


class Query(BaseModel):
    """Base of every query; all values arrive as text.

    `aliases` maps older names of parameters, which are fields of their own, to today's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    aliases: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for alias, name in self.aliases.items():
            first, second = getattr(self, name), getattr(self, alias)
            if None not in (first, second) and first != second:
                raise contradiction(name, alias)
        return self


def read_query(model: type[_Model], request: web.Request) -> _Model:
    """Check the query of a request, as `parse_query` does."""
    return parse_query(model, request.query.items())


def parse_query(model: type[_Model], pairs: Iterable[tuple[str, str]]) -> _Model:
    """Check the names and values of a query.

    Raises:
        InvalidRequest: For an unknown name, a name given twice, or a value that does not fit.
    """
    given: dict[str, str] = {}
    lines = []
    for name, value in pairs:
        if name not in model.model_fields:
            nearest = difflib.get_close_matches(name, model.model_fields, n=1, cutoff=0.5)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            lines.append(f"{name[:80]}: unknown parameter{hint}")
        elif name in given:
            lines.append(f"{name}: is given twice")
        given[name] = value
    if lines:
        raise refusal(lines)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise refusal(faults(model, error)) from None


def _integer(value: Any) -> Any:
    if isinstance(value, str):
        if _INTEGER.fullmatch(value) is None:
            raise ValueError("is not a whole number")
        return int(value)
    return value


def parse_moment(text: str) -> tuple[datetime, timedelta]:
    """Read an ISO 8601 date or time, UTC unless it says otherwise.

    Returns:
        The moment, and how long it lasts: a date is a whole day.

    Raises:
        ValueError: If it is neither.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError("is not an ISO 8601 date or time")
    date, clock, zone = match.groups()
    # A plus sign that was not percent-encoded arrives as a space.
    offset = "+00:00" if zone in (None, "Z", "z") else zone.replace(" ", "+")
    try:
        moment = datetime.fromisoformat(f"{date}T{clock or '00:00'}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not an ISO 8601 date or time") from None
    lasts = timedelta(days=1) if clock is None else timedelta(0)
    if moment > datetime.max.replace(tzinfo=UTC) - timedelta(days=2):
        raise ValueError("is too late")
    return moment, lasts


def _first(value: Any) -> Any:
    return parse_moment(value)[0] if isinstance(value, str) else value


def _end(value: Any) -> Any:
    """The first moment after what was named, so that a date includes its day."""
    if not isinstance(value, str):
        return value
    moment, lasts = parse_moment(value)
    return moment + (lasts or timedelta(milliseconds=1))


def _truth(value: Any) -> Any:
    """Read the text of a query, which has two spellings and no more."""
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError("is neither true nor false")
        return value == "true"
    return value


_MOMENT_SCHEMA = WithJsonSchema(
    {
        "type": "string",
        "anyOf": [{"format": "date-time"}, {"format": "date"}],
        "description": "ISO 8601, UTC unless it says otherwise.",
    }
)
WHOLE = BeforeValidator(_integer)
Truth = Annotated[bool, BeforeValidator(_truth)]
From = Annotated[datetime, BeforeValidator(_first), _MOMENT_SCHEMA]
Until = Annotated[datetime, BeforeValidator(_end), _MOMENT_SCHEMA]
