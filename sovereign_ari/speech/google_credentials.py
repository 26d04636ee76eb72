"""Who we are for Google: a JSON document of credentials, and the tokens it gives.

A service account signs its tokens itself (https://google.aip.dev/auth/4111): nobody is asked for
them, so the address in a tenant's document is never connected to. Google's library for the other
kinds blocks, so it works in a thread; they are the operator's alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable

KEY = "google_vertex"
"""Whose key an organisation stores for Google's speech services."""

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_FRESH_S = 300.0
"""A token that ends sooner than this is renewed before it is used again."""

_MOST_ACCOUNTS = 256  # a token each; one that is dropped signs another when it comes again
_SERVICE_ACCOUNT = "service_account"
_WHAT = "google credentials"


class GoogleAccount:
    """One document of credentials. Safe to share; its token is renewed once for all who wait.

    Args:
        document: JSON text.
        own: Whether an organisation brought it: then it must be a service account, because the
            other kinds name addresses and files to read.

    Attributes:
        project: Who pays.

    Raises:
        ProviderRefused: For a document that is none, or names no project.
    """

    def __init__(self, document: str, *, own: bool) -> None:
        info = _parsed(document)
        kind = info.get("type")
        if own and kind != _SERVICE_ACCOUNT:
            raise ProviderRefused(f"{_WHAT}: the document is not that of a service account")
        project = info.get("project_id") or info.get("quota_project_id")
        if not isinstance(project, str) or not project:
            raise ProviderRefused(f"{_WHAT}: the document names no project")
        self.project = project
        self._info = info
        self._credentials: Any = None
        self._renewing = asyncio.Lock()

    async def metadata(self) -> tuple[tuple[str, str], ...]:
        """Headers of an authorised call.

        Raises:
            ProviderError: When no token is to be had.
        """
        if self._seconds_left() < _FRESH_S:
            async with self._renewing:
                await self._renew_if_due()
        token = self._credentials.token
        text = token.decode("ascii") if isinstance(token, bytes) else str(token)
        headers = (("authorization", f"Bearer {text}"),)
        if self._info.get("type") == _SERVICE_ACCOUNT:
            return headers
        return (*headers, ("x-goog-user-project", self.project))

    async def _renew_if_due(self) -> None:
        left_s = self._seconds_left()
        if left_s >= _FRESH_S:
            return
        try:
            self._credentials = await asyncio.to_thread(_renewed, self._info, self._credentials)
        except ProviderError as error:
            if left_s <= 0 or not error.retryable:
                raise

    def _seconds_left(self) -> float:
        if self._credentials is None or self._credentials.expiry is None:
            return 0.0
        left = self._credentials.expiry.replace(tzinfo=UTC) - datetime.now(UTC)
        return float(left.total_seconds())


class GoogleAccounts:
    """The accounts of a process: the organisations' own, and the operator's.

    Args:
        file: The operator's document, None when there is none.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._own: OrderedDict[bytes, GoogleAccount] = OrderedDict()
        self._operators: GoogleAccount | None = None

    def of(self, own: Mapping[str, str | None]) -> GoogleAccount:
        """Choose the account of an organisation with these keys.

        Raises:
            ProviderRefused: When there is none, or its document cannot be used.
        """
        if KEY in own:
            document = own[KEY]
            if document is None:
                raise ProviderRefused(f"the organisation's own key for `{KEY}` cannot be opened")
            return self._of_document(document)
        if self._file is None:
            raise ProviderRefused(
                "the provider `google` needs GOOGLE_APPLICATION_CREDENTIALS, which is not set, or"
                f" a key of the organisation for `{KEY}`"
            )
        if self._operators is None:
            self._operators = GoogleAccount(_read(self._file), own=False)
        return self._operators

    def _of_document(self, document: str) -> GoogleAccount:
        """Find or make the account of a document; a changed document is another one."""
        name = hashlib.sha256(document.encode()).digest()
        account = self._own.pop(name, None) or GoogleAccount(document, own=True)
        self._own[name] = account
        if len(self._own) > _MOST_ACCOUNTS:
            self._own.popitem(last=False)
        return account


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProviderRefused(
            f"GOOGLE_APPLICATION_CREDENTIALS: {path} cannot be read ({type(error).__name__})"
        ) from error


def _parsed(document: str) -> Mapping[str, Any]:
    try:
        info = json.loads(document)
    except (ValueError, RecursionError):
        info = None
    if not isinstance(info, dict):
        raise ProviderRefused(f"{_WHAT}: the document is not a JSON object")
    return info


def _renewed(info: Mapping[str, Any], credentials: Any) -> Any:
    """Make or renew credentials; blocks.

    The faults of Google's library are not chained: they quote the document.
    """
    import google.auth.exceptions as faults
    from google.auth.transport.requests import Request

    try:
        if credentials is None:
            credentials = _made(info)
        credentials.refresh(Request())
    except faults.TransportError:
        raise ProviderUnavailable(f"{_WHAT}: Google's token server cannot be reached") from None
    except faults.RefreshError as error:
        if error.retryable:
            raise ProviderUnavailable(f"{_WHAT}: Google gave no token") from None
        raise ProviderRefused(f"{_WHAT}: Google refuses them") from None
    except (faults.GoogleAuthError, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
        raise ProviderRefused(
            f"{_WHAT}: the document is not complete or its key is none"
        ) from None
    return credentials


def _made(info: Mapping[str, Any]) -> Any:
    from google.auth import crypt, identity_pool, jwt
    from google.oauth2 import credentials as user_credentials

    match info.get("type"):
        case "service_account":
            return jwt.Credentials(
                crypt.RSASigner.from_service_account_info(info),
                issuer=info["client_email"],
                subject=info["client_email"],
                audience=None,
                additional_claims={"scope": SCOPE},
            )
        case "authorized_user":
            return user_credentials.Credentials.from_authorized_user_info(info, [SCOPE])
        case "external_account":
            return identity_pool.Credentials.from_info(info, scopes=[SCOPE])
        case _:
            raise ValueError("an unknown type")
