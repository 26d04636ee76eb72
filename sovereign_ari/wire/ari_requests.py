"""What groups of ARI requests share that have modules of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any


class AriRequests:
    """A part of `AriHttp`, which makes the requests."""

    _app: str

    @abstractmethod
    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Make one request."""
