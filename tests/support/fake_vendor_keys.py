"""Every vendor's way to say whether a key is good, on one real port."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

# Where each vendor reads a key, and how it refuses one: its path, header, form, status and body.
WIRE: Mapping[str, tuple[str, str, str, int, Any]] = {
    "openai": (
        "/v1/models",
        "Authorization",
        "Bearer {}",
        401,
        {"error": {"message": "Incorrect API key provided: {}.", "code": "invalid_api_key"}},
    ),
    "deepgram": (
        "/v1/auth/token", "Authorization", "Token {}", 401, {"err_code": "INVALID_AUTH"},
    ),
    "elevenlabs": (
        "/v1/models", "xi-api-key", "{}", 401, {"detail": {"status": "invalid_api_key"}},
    ),
    "resend": ("/domains", "Authorization", "Bearer {}", 400, {"message": "API key is invalid"}),
    "xai": (
        "/v1/api-key", "Authorization", "Bearer {}", 400, {"error": "Incorrect API key provided"},
    ),
    "gladia": ("/v2/pre-recorded", "x-gladia-key", "{}", 401, {"message": "gladia key not found"}),
    "mistral": ("/v1/models", "Authorization", "Bearer {}", 401, {"detail": "Unauthorized"}),
    "inworld": ("/voices/v1/voices", "Authorization", "Basic {}", 401, {"code": 16}),
    "google": (
        "/v1beta/models",
        "x-goog-api-key",
        "{}",
        400,
        {"error": {"status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}},
    ),
}  # fmt: skip


@dataclass
class FakeVendors:
    """Servers that take one key, each under its own folder.

    Attributes:
        good: The key that they take.
        answers: What a vendor answers instead, `(status, body)` by provider.
        asked: Who was asked, in order.
        forms: What Google's token endpoint was sent.
    """

    good: str
    url: str = ""
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)

    @property
    def at(self) -> dict[str, str]:
        """Address of each vendor."""
        return {name: f"{self.url}/{name}" for name in (*WIRE, "google_vertex")}

    async def handle(self, request: web.Request) -> web.Response:
        """Answer as the vendor does."""
        provider, path = request.match_info["provider"], f"/{request.match_info['path']}"
        self.asked.append(provider)
        if provider in self.answers:
            status, body = self.answers[provider]
            return web.Response(status=status, body=json.dumps(body).encode())
        if provider == "google_vertex":
            assert (request.method, path) == ("POST", "/token")
            self.forms.append({name: str(v) for name, v in (await request.post()).items()})
            return web.json_response({"access_token": "ya29.x", "expires_in": 3599})
        expected, header, form, status, refusal = WIRE[provider]
        assert (request.method, path) == ("GET", expected)
        if request.headers.get(header) == form.format(self.good):
            return web.json_response({"data": []})
        shown = request.headers.get(header, "")
        return web.json_response(
            json.loads(json.dumps(refusal).replace("{}", shown)), status=status
        )


@asynccontextmanager
async def fake_vendors(good: str) -> AsyncIterator[FakeVendors]:
    """Run them until the block ends."""
    vendors = FakeVendors(good)
    application = web.Application()
    application.router.add_route("*", "/{provider}/{path:.*}", vendors.handle)
    async with TestServer(application) as server:
        vendors.url = str(server.make_url("")).rstrip("/")
        yield vendors
