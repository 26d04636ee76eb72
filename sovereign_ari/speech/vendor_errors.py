"""From what a vendor's server answered to our error tree; the same for every vendor and wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable

_RETRYABLE = frozenset({408, 409, 425, 429})
_MAX_RETRY_AFTER_S = 3600.0
_HINTS = {
    401: "the key is wrong",
    403: "the key may not do this",
    404: "no such model or address",
}


def error_of_status(
    what: str, status: int, body: Any = None, headers: Mapping[str, str] | None = None
) -> ProviderError:
    """Build the error for an HTTP status.

    Only the vendor's `code` and `param` are quoted: its sentences may carry a part of the key or
    of what a caller said.

    Args:
        what: Who answered, e.g. `openai chat`.
        status: 4xx or 5xx.
        body: Parsed JSON, JSON text, or anything else.
        headers: For `Retry-After`.
    """
    message = f"{what} answered {status}"
    if status in _HINTS:
        message += f": {_HINTS[status]}"
    if reason := _reason(body):
        message += f" ({reason})"
    if status in _RETRYABLE or status >= 500:
        return ProviderUnavailable(message, retry_after_s=_retry_after_s(headers or {}))
    return ProviderRefused(message)


def error_in_stream(what: str, body: Any) -> ProviderUnavailable:
    """Build the error for one that is reported after the answer has begun.

    Args:
        what: Who reported it.
        body: Parsed JSON with a member `error`; only its code is quoted.
    """
    reason = _reason(body)
    return ProviderUnavailable(
        f"{what} reported an error in its stream" + (f" ({reason})" if reason else "")
    )


def _reason(body: Any) -> str:
    if isinstance(body, bytes | str):
        try:
            body = json.loads(body)
        except ValueError:
            return ""
    error = body.get("error", body) if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return ""
    words = [str(error[key]) for key in ("code", "param") if error.get(key)]
    return ", ".join(words)[:200]


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After` in seconds; the date form is rare for these vendors and left out."""
    try:
        seconds = float(headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds <= _MAX_RETRY_AFTER_S else None
