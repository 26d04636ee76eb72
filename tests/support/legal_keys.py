"""Repairs of generated bodies about keys, which are right but for what no schema states.

A body that is wrong in any other way stays as it is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from api.resources.api_keys import CreateKey
from api.resources.byok import SetByokKey
from tests.support.api import CATALOGUE

_KEY = re.compile(r"[!-~]{1,1024}")
_FORM = re.compile(SetByokKey.model_json_schema()["properties"]["api_key"]["pattern"])
_DAY = re.compile(r"\d{4}-\d\d-\d\d[Tt]")


def legal_key(body: Any) -> Any:
    """Repair a body, if that is all it needs."""
    if not isinstance(body, dict):
        return body
    return _with_an_end_to_come(_with_a_key_of_its_provider(body))


def _with_a_key_of_its_provider(body: dict[str, Any]) -> dict[str, Any]:
    """A key of the right form, which nobody is asked about: vendors are not reached from here."""
    try:
        wanted = SetByokKey.model_validate(body)
    except ValidationError:
        return body
    if wanted.provider not in CATALOGUE.byok_names() or not _FORM.search(wanted.api_key):
        return body
    fits = wanted.provider != "google_vertex" and _KEY.fullmatch(wanted.api_key)
    provider = wanted.provider if fits else "openai"
    key = wanted.api_key if fits else "sk-1"
    return (
        body
        | {"provider": provider, "api_key": key}
        | ({"verify": False} if wanted.verify else {})
    )


def _with_an_end_to_come(body: dict[str, Any]) -> dict[str, Any]:
    """A moment that has not passed."""
    end = body.get("expires_at")
    if "name" not in body or not isinstance(end, str) or _DAY.match(end) is None:
        return body
    later = body | {"expires_at": "2099-01-01T00:00:00Z"}
    try:
        CreateKey.model_validate(later)
        wanted = CreateKey.model_validate(body)
    except ValidationError:
        return body
    passed = wanted.expires_at is not None and wanted.expires_at <= datetime.now(UTC)
    return later if passed else body
