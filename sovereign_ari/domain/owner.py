"""Whose an assistant is, and what that organisation lends to it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Owner:
    """What an organisation lends to its assistants.

    Attributes:
        organisation_id: Its id, a UUID in text form.
        account: `account_url`, `account_secret` and `account_events` of its own webhook.
        sealed_keys: Its keys of vendors, by provider, as they are stored.
    """

    organisation_id: str
    account: Mapping[str, Any] = field(repr=False)
    sealed_keys: Mapping[str, bytes] = field(repr=False)
