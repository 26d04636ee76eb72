"""Reads what clients send: JSON into strict models, with one line per fault."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NoReturn, TypeVar, get_args

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails, PydanticCustomError

from api.kinds import IN_WORDS
from sovereign_ari.errors import InvalidRequest

DEEPEST = 32
EXACT = 2**53  # below it every whole number has a float of its own (IEEE 754)
_TOO_DEEP = f"the body is nested more than {DEEPEST} levels deep"
_LONGEST_NAME = 80  # of a field, in a message
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_Model = TypeVar("_Model", bound=BaseModel)


class Body(BaseModel):
    """Base of every request body: strict, immutable, without unknown keys.

    `aliases` maps an older spelling of a key to the one the model has. `example` is a complete
    body for the OpenAPI document. `optional` says that nothing may be sent instead of `{}`.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    aliases: ClassVar[Mapping[str, str]] = {}
    example: ClassVar[Mapping[str, Any]] = {}
    optional: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _merge_aliases(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not cls.aliases.keys() & data.keys():
            return data
        merged = {key: value for key, value in data.items() if key not in cls.aliases}
        for alias in cls.aliases.keys() & data.keys():
            name, value = cls.aliases[alias], data[alias]
            if name in merged and merged[name] != value:
                raise contradiction(name, alias)
            merged[name] = value
        return merged

    def given(self) -> dict[str, Any]:
        """The fields the client named, as they are stored."""
        return self.model_dump(exclude_unset=True, by_alias=True)


def contradiction(name: str, alias: str) -> PydanticCustomError:
    """The fault of two spellings of one field that say different things."""
    return PydanticCustomError(
        "contradiction", "{name} and {alias} have different values", {"name": name, "alias": alias}
    )


def without_defaults(schema: JsonDict) -> None:
    """Describe a PATCH (`json_schema_extra`): what it does not name keeps its value."""
    properties = schema["properties"]
    assert isinstance(properties, dict)
    for described in properties.values():
        assert isinstance(described, dict)
        described.pop("default", None)


async def read_json(request: web.Request, *, or_nothing: bool = False) -> dict[str, Any]:
    """Read a JSON object, whatever the content type says.

    Args:
        request: Whose body it is.
        or_nothing: Whether an empty body counts as `{}`.

    Raises:
        InvalidRequest: If the body is not a JSON object that PostgreSQL can hold.
        web.HTTPRequestEntityTooLarge: If it is larger than the application allows.
    """
    size = request.content_length
    if size is not None and size > request.client_max_size:
        raise web.HTTPRequestEntityTooLarge(request.client_max_size, size)
    raw = await request.read()
    data = {} if or_nothing and not raw.strip() else parse_json(raw)
    if not isinstance(data, dict):
        raise InvalidRequest("the body is not a JSON object")
    return data


def parse_json(raw: bytes) -> Any:
    """Parse JSON that PostgreSQL can hold.

    Raises:
        InvalidRequest: For anything else, without repeating what was sent.
    """
    if not raw.strip():
        raise InvalidRequest("the body is empty")
    try:
        data = json.loads(raw.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidRequest(f"the body is not JSON ({where}: {error.msg})") from error
    except RecursionError as error:
        raise InvalidRequest(_TOO_DEEP) from error
    except ValueError as error:  # an integer of thousands of digits
        most = sys.get_int_max_str_digits()
        raise InvalidRequest(
            f"the body holds a number that is too long: {most} digits at most"
        ) from error
    _check(data, ())
    return data


def _refuse(constant: str) -> NoReturn:
    raise InvalidRequest(f"{constant} is not JSON")


def _finite(text: str) -> float:
    """Read a number with a point or exponent; JSON Schema calls 60.0 an integer, and so do we."""
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise InvalidRequest("the body holds a number that is too large")
    return int(number) if number.is_integer() and abs(number) < EXACT else number


def _check(value: Any, path: tuple[int | str, ...]) -> None:
    """Refuse what is too deep or holds a text that PostgreSQL cannot."""
    if len(path) > DEEPEST:
        raise InvalidRequest(_TOO_DEEP)
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            what = "a text holds a NUL character or half a surrogate pair"
            raise refusal([f"{path_of(path)}: {what}"])
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check(item, (*path, number))
    elif isinstance(value, dict):
        for key, item in value.items():
            if _UNSTORABLE.search(key):
                what = "the name of a field holds a NUL character or half a surrogate pair"
                raise refusal([f"{path_of(path)}: {what}"])
            _check(item, (*path, key[:_LONGEST_NAME]))


def parse(model: type[_Model], data: Mapping[str, Any]) -> _Model:
    """Check data against a model.

    Raises:
        InvalidRequest: With one line per fault.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise refusal(faults(model, error)) from None


def refusal(lines: list[str], *, code: str | None = None) -> InvalidRequest:
    """Build the error that carries these faults, `path: what is wrong` each.

    `code` names a reason that has one of its own.
    """
    lines = [line.removeprefix(": ") for line in lines]
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    path, colon, _ = lines[0].partition(": ")
    param = path if colon else None
    return InvalidRequest(f"{lines[0]}{more}", details=tuple(lines), param=param, code=code)


def faults(model: type[BaseModel], error: ValidationError) -> list[str]:
    """Say what is wrong, one line per fault, without repeating values."""
    found = error.errors(include_url=False, include_context=True, include_input=False)
    return [_line(model, fault) for fault in found]


def _line(model: type[BaseModel], fault: ErrorDetails) -> str:
    loc = fault["loc"]
    where = path_of(loc)
    match fault["type"]:
        case "extra_forbidden":
            return f"{where}: unknown field{_nearest(model, loc)}"
        case "missing":
            return f"{where}: is required"
        case "contradiction":
            return f"{path_of((*loc, fault['ctx']['name']))}: {fault['msg']}"
        case "string_pattern_mismatch" if fault["ctx"]["pattern"] in IN_WORDS:
            return f"{where}: {IN_WORDS[fault['ctx']['pattern']]}"
        case _:
            text = fault["msg"].removeprefix("Value error, ")
            return f"{where}: {text[0].lower()}{text[1:]}"


def path_of(loc: tuple[int | str, ...]) -> str:
    """Write a place as `llm_config.tools[0].name`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return "".join(parts).removeprefix(".")


def _nearest(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    """Suggest the key that was meant."""
    inside: type[BaseModel] | None = model
    for part in loc[:-1]:
        if isinstance(part, str) and inside is not None:
            field = _fields(inside).get(part)
            inside = next(_models(field), None) if field is not None else None
    if inside is None:
        return ""
    known = [*_fields(inside), *getattr(inside, "aliases", {})]
    nearest = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models named in an annotation such as `list[Pronunciation] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
