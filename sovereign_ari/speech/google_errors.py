"""From the status of one of Google's remote calls to our error tree. Pure."""

from __future__ import annotations

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable

_REFUSED = {
    "UNAUTHENTICATED": "the key is wrong",
    "PERMISSION_DENIED": "the key may not do this, or the API is not enabled in its project",
    "NOT_FOUND": "no such project, model or voice",
    "INVALID_ARGUMENT": "it does not take what was asked",
    "FAILED_PRECONDITION": "the project is not ready for this",
    "UNIMPLEMENTED": "it does not offer this here",
}
"""Codes of google.rpc.Code that the same request would meet again."""

_MAX_RETRY_AFTER_S = 3600.0


class Throttled(ProviderUnavailable):
    """The quota is used up: asking again at once makes it worse."""


def error_of_status(what: str, code: str, retry_after_s: float | None = None) -> ProviderError:
    """Build the error for a status that is not OK.

    The vendor's sentence is left out: it may quote what a caller said, or name the project.

    Args:
        what: Who answered, e.g. `google speech`.
        code: Name of the code, e.g. `UNAVAILABLE`.
        retry_after_s: Of the `RetryInfo` that came with it.
    """
    message = f"{what} answered {code}"
    if code in _REFUSED:
        return ProviderRefused(f"{message}: {_REFUSED[code]}")
    if retry_after_s is not None and not 0 <= retry_after_s <= _MAX_RETRY_AFTER_S:
        retry_after_s = None
    kind = Throttled if code == "RESOURCE_EXHAUSTED" else ProviderUnavailable
    return kind(message, retry_after_s=retry_after_s)
