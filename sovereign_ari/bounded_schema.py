"""JSON Schema, draft 2020-12, checked with a bound: a schema may ask for endless work."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from itertools import islice
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

MOST_STEPS = 20_000  # keywords looked at for one value: 0.1 s, or half a second of long regexes

Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]
"""How a keyword is checked: validator, the keyword's value, the instance, the schema."""

_steps_left: ContextVar[list[int]] = ContextVar("_steps_left")


class Undecided(Exception):
    """The schema cannot be checked: it is none, refers to others, or takes too long."""


class BoundedSchema:
    """One schema, for any number of values.

    Args:
        schema: It. References to other documents are not followed.
        keywords: What takes the place of the standard's keywords.
    """

    def __init__(
        self, schema: Mapping[str, Any], keywords: Mapping[str, Keyword] | None = None
    ) -> None:
        kind = _bounded_with(tuple((keywords or {}).items()))
        # An empty registry: references to other documents would be fetched without one.
        self._validator = kind(schema, registry=Registry())

    def faults(self, value: Any, most: int) -> list[ValidationError]:
        """Find what does not fit, at most so many.

        Raises:
            Undecided: If that is not known within `MOST_STEPS`.
        """
        token = _steps_left.set([MOST_STEPS])
        try:
            return list(islice(self._validator.iter_errors(value), most))
        except (SchemaError, Unresolvable, LookupError, RecursionError, re.error):
            raise Undecided from None
        finally:
            _steps_left.reset(token)


def _counted(keyword: Keyword) -> Keyword:
    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        left = _steps_left.get()
        left[0] -= 1
        if left[0] < 0:
            raise Undecided
        yield from keyword(validator, value, instance, schema) or ()

    return check


_BOUNDED = extend(
    Draft202012Validator,
    {name: _counted(keyword) for name, keyword in Draft202012Validator.VALIDATORS.items()},
)


@functools.lru_cache(maxsize=16)
def _bounded_with(keywords: tuple[tuple[str, Keyword], ...]) -> Any:
    """Make a class of validators: 0.6 ms, which a call has not for each of its tools."""
    if not keywords:
        return _BOUNDED
    return extend(_BOUNDED, {name: _counted(check) for name, check in keywords})
