"""The base of what clients see: kept apart from rows, so that either can change alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Self, cast

from pydantic import BaseModel


class View(BaseModel):
    """What clients see of something stored. It is written by us, so it is not validated again.

    `example` is a complete answer for the OpenAPI document, without its envelope.
    """

    example: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def showing(cls, record: object, **more: Any) -> Self:
        """Take the fields from a row by their names; `more` replaces and adds."""
        values: Any = {
            name: more[name] if name in more else getattr(record, name, None)
            for name in cls.model_fields
        }
        # A copy of a view costs a quarter of a new one, and a page has hundreds.
        return cast("Self", _blank(cls).model_copy(update=values))


class Pagination(BaseModel):
    """Where a page stands in the whole. `total` is exact."""

    example: ClassVar[Mapping[str, Any]] = {"total": 1, "limit": 100, "offset": 0}

    total: int
    limit: int
    offset: int


@cache
def _blank(view: type[View]) -> View:
    return view.model_construct()
