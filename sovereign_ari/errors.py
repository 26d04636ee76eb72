"""Every error this product raises on purpose, by who must act.

    SovereignError
    ├── CallerError            the client of the API must change the request
    │   ├── NotFound
    │   ├── Conflict
    │   ├── Forbidden
    │   ├── Impossible         well-formed, but it cannot be done
    │   ├── RateLimited        too often; the same request may be sent later
    │   └── InvalidRequest
    ├── OperatorError          somebody must repair the installation
    │   ├── SettingsError
    │   ├── SetupFailed
    │   ├── VaultClosed        a secret was sealed under a master key we do not have
    │   └── MigrationChanged
    ├── TryAgain               nobody need act: a later attempt may work
    │   ├── AsteriskUnavailable
    │   ├── AsteriskUnknown    the outcome is not known: look, or delete by the id we chose
    │   ├── DatabaseUnavailable
    │   └── OutgoingFailed     a server that somebody configured did not answer as it should
    ├── AsteriskRefused        Asterisk said no; nothing changed
    ├── ProviderError          a speech or language vendor failed; `retryable` says whether
    │   ├── ProviderRefused    it understood us and said no (a bad key, an unknown model)
    │   └── ProviderUnavailable  it could not be reached, timed out or broke off
    └── Bug                    our own mistake
        ├── IllegalTransition
        └── CallOverloaded

Each class has a stable `code` that appears in answers, logs and the journal.
"""

from __future__ import annotations

from typing import ClassVar


class SovereignError(Exception):
    """Root of the tree. The message is a sentence with the offending value, never a secret."""

    code: ClassVar[str] = "error"


class CallerError(SovereignError):
    """The client of the API must change the request."""

    code = "invalid_request"


class NotFound(CallerError):
    """No such resource in the caller's organisation.

    Args:
        message: One sentence.
        param: The field of the request that names it, when it is not the path that does.
    """

    code = "not_found"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message if param is None else f"{param}: {message}")
        self.param = param


class Conflict(CallerError):
    """The request contradicts what is stored, e.g. a number that exists already.

    Args:
        message: One sentence.
        code: Stable name of the reason, when it has one of its own.
    """

    code = "conflict"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.reason = code or self.code


class Forbidden(CallerError):
    """The key may not do this."""

    code = "forbidden"


class Impossible(CallerError):
    """The request is well-formed, but cannot be done, e.g. a call without a number to show.

    Args:
        message: One sentence.
        code: Stable name of the reason.
        param: The field at fault.
    """

    def __init__(
        self, message: str, *, code: str = "impossible", param: str | None = None
    ) -> None:
        super().__init__(message)
        self.reason = code
        self.param = param


class RateLimited(CallerError):
    """The client asks too often; the request was not processed.

    Args:
        message: One sentence.
        retry_after_s: When to ask again.
        code: Stable name of what there was too much of, when it has one of its own.
    """

    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_s: int, code: str | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.reason = code or self.code


class InvalidRequest(CallerError):
    """The request is malformed.

    Args:
        message: One sentence.
        details: One line per fault, `path: what is wrong`.
        param: The first field at fault.
        code: Stable name of the reason, when it has one of its own.
    """

    code = "validation_error"

    def __init__(
        self,
        message: str,
        *,
        details: tuple[str, ...] = (),
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.details = details
        self.param = param
        self.reason = code


class OperatorError(SovereignError):
    """Somebody must repair the installation.

    Args:
        message: One sentence that names what is wrong.
        hint: What to do about it.
    """

    code = "operator_error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class SettingsError(OperatorError):
    """A setting is unknown, malformed or contradicts another."""

    code = "settings_error"


class SetupFailed(OperatorError):
    """A part of the installation is missing or did not start."""

    code = "setup_failed"


class VaultClosed(OperatorError):
    """A secret cannot be opened: its master key is missing, or the value was tampered with."""

    code = "vault_closed"


class MigrationChanged(OperatorError):
    """A migration that is applied already was edited since."""

    code = "migration_changed"


class TryAgain(SovereignError):
    """Nobody need act: a later attempt may work."""

    code = "try_again"


class AsteriskUnavailable(TryAgain):
    """Asterisk could not be reached; the request was not sent."""

    code = "asterisk_unavailable"


class AsteriskUnknown(TryAgain):
    """The request was sent and its outcome is not known; what it made may exist."""

    code = "asterisk_unknown"


class DatabaseUnavailable(TryAgain):
    """PostgreSQL could not be reached in time."""

    code = "database_unavailable"


class OutgoingFailed(TryAgain):
    """A request to a server that somebody configured got no answer we can use."""

    code = "outgoing_failed"


class AsteriskRefused(SovereignError):
    """Asterisk refused a request; nothing changed.

    Args:
        status: HTTP status of the answer.
        message: What was asked, and Asterisk's own words.
    """

    code = "asterisk_refused"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ProviderError(SovereignError):
    """A speech or language provider failed.

    Args:
        message: What happened, without the key and without what a caller said.
        retryable: Whether the same request may work later.
        retry_after_s: How long the provider asked us to wait, when it said so.
    """

    code = "provider_error"

    def __init__(
        self, message: str, *, retryable: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class ProviderRefused(ProviderError):
    """The provider understood the request and refused it, e.g. for a bad key."""

    code = "provider_refused"


class ProviderUnavailable(ProviderError):
    """The provider could not be reached, timed out or broke off."""

    code = "provider_unavailable"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message, retryable=True, retry_after_s=retry_after_s)


class Bug(SovereignError):
    """Our own mistake."""

    code = "bug"


class IllegalTransition(Bug):
    """An event that cannot happen in this state; the state is unchanged."""

    code = "illegal_transition"


class CallOverloaded(Bug):
    """A call does not handle its events fast enough; it must be hung up."""

    code = "call_overloaded"
