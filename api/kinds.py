"""Kinds of values that several resources share, each with its check and its JSON Schema."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from api.e164 import guess

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

E164_PATTERN = r"^\+[1-9][0-9]{6,14}$"
# Controls and spaces by number: every dialect of regular expressions has its own idea of `\s`.
_GAPS = r"\x00-\x20\x7f-\xa0"
HTTP_URL_PATTERN = rf"^[Hh][Tt][Tt][Pp][Ss]?://[^{_GAPS}/?#]+[^{_GAPS}]*$"
# What is accepted everywhere. The operator may allow more: see `OutgoingPolicy`.
_PUBLIC_URL_PATTERN = (
    r"^https?://([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}"
    r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}))?"
    rf"([/?#][^{_GAPS}\\]*)?$"
)
EMAIL_PATTERN = rf"^[^@{_GAPS}]+@[^@{_GAPS}]+\.[^@{_GAPS}]+$"

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"

VISIBLE_PATTERN = rf"[^{_GAPS}]"

IN_WORDS = {
    VISIBLE_PATTERN: "must not be blank",
    E164_PATTERN: "is not a number in E.164 form, such as +31201234567",
    HTTP_URL_PATTERN: "is not an http or https URL",
    EMAIL_PATTERN: "is not an e-mail address",
    NAME_PATTERN: "needs a letter or _ first, then letters, digits, _ or -, at most 64 in all",
}
"""What a client is told instead of a pattern."""


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID with its hyphens."""
    return _UUID.fullmatch(text) is not None


def _uuid(text: str) -> str:
    if not is_uuid(text):
        raise ValueError("is not a UUID")
    return str(UUID(text))


def e164(text: str) -> str:
    """Check a number, and say which one was probably meant."""
    if re.fullmatch(E164_PATTERN, text) is None:
        meant = guess(text)
        if meant is None:
            raise ValueError(IN_WORDS[E164_PATTERN])
        raise ValueError(f"is not a number in E.164 form; did you mean {meant}?")
    return text


def iso_ms(moment: datetime) -> str:
    """Write a moment as `2026-01-01T12:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


Uuid = Annotated[str, AfterValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]
E164 = Annotated[
    str, AfterValidator(e164), WithJsonSchema({"type": "string", "pattern": E164_PATTERN})
]
HttpUrl = Annotated[
    str,
    StringConstraints(pattern=HTTP_URL_PATTERN, max_length=2000),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 2000,
            "pattern": _PUBLIC_URL_PATTERN,
            "description": "An http or https URL of a public host; private addresses are refused"
            " unless the operator allows them.",
        }
    ),
]
Email = Annotated[str, StringConstraints(pattern=EMAIL_PATTERN, max_length=320)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=VISIBLE_PATTERN)]
Spoken = Annotated[
    str, StringConstraints(min_length=1, max_length=20_000, pattern=VISIBLE_PATTERN)
]
Line = Annotated[str, StringConstraints(max_length=255)]
Text = Annotated[str, StringConstraints(max_length=20_000)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
Timestamp = Annotated[
    datetime,
    PlainSerializer(iso_ms, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
JsonObject = Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]
