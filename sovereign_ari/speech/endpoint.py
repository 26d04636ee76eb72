"""Where a vendor's API is, and the key for it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server.

    Attributes:
        base_url: Without a slash at the end, e.g. `https://api.openai.com/v1`.
        api_key: Sent as a bearer token; never in a message or a log line. None sends none.
    """

    base_url: str
    api_key: str | None = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """Headers of an authorised request."""
        if self.api_key is None:
            return {}
        return {"Authorization": f"Bearer {self.api_key}"}

    @property
    def websocket_url(self) -> str:
        """The same address for WebSockets: `http` becomes `ws`, `https` becomes `wss`."""
        return "ws" + self.base_url.removeprefix("http")
