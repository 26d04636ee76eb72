"""`/web-calls`: a ticket with which a browser may make one call."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from api.endpoints import Endpoints
from api.parts import Asked
from api.resources.transient import WhoAnswers, read_answerer
from api.views import View
from db.web_calls import WebCallTicket, add_ticket
from sovereign_ari.domain.ids import call_id
from sovereign_ari.errors import InvalidRequest

GOOD_FOR_S = 60
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]{1,255}")
_WEBSOCKET = {"http": "ws", "https": "wss"}
web_calls = Endpoints("Web calls")


class CreateWebCall(WhoAnswers):
    """Who is to answer the browser."""

    example: ClassVar[Mapping[str, Any]] = {
        "assistant_id": "3f6c2f0e-6d0b-4b0e-9b57-0d6a1c1f7a10",
        "assistant_override": {"first_message": "Hello Anna!", "metadata": {"page": "/contact"}},
    }


class WebCallView(View):
    """A ticket. The token is shown once, and is good for one call within `expires_in` seconds."""

    example: ClassVar[Mapping[str, Any]] = {
        "token": "jJZ0Yc5Jm0k3mJqOQ7k4K5vYw3Zf3m8sYf0m1qZ2x9A",
        "server_url": "wss://pbx.example.com/ws",
        "call_id": "call-web-01jd3x5f7qk9m2n4p6r8s0t2v4",
        "expires_in": GOOD_FOR_S,
    }

    token: str
    server_url: str
    call_id: str
    expires_in: int


@web_calls.add("POST", "/web-calls", "Begin a web call", status=201, scope="calls", also=(404,))
async def create_web_call(asked: Asked, body: CreateWebCall) -> WebCallView:
    """Also served as `POST /v1/web-calls`.

    The browser connects to `server_url` with the token, as a SIP client over WebSocket. There is
    a call, and something under `GET /calls`, only once it has connected.
    """
    server_url = _server_url(asked)
    answerer = await read_answerer(asked, asked.connection, body)
    now, token = asked.parts.now(), secrets.token_urlsafe(32)
    ticket = WebCallTicket(
        call_id=call_id("web", int(now.timestamp() * 1000), secrets.randbits(80)),
        token_sha256=hashlib.sha256(token.encode()).digest(),
        assistant_id=None if answerer.stored is None else answerer.stored.id,
        assistant=answerer.config,
        expires_at=now + timedelta(seconds=GOOD_FOR_S),
    )
    await add_ticket(asked.connection, asked.organisation_id, ticket)
    return WebCallView(
        token=token, server_url=server_url, call_id=ticket.call_id, expires_in=GOOD_FOR_S
    )


def _server_url(asked: Asked) -> str:
    """Where browsers connect: the public host, or the one that the client asked."""
    origin = asked.parts.public_url or asked.origin
    if _ORIGIN.fullmatch(origin) is None:
        raise InvalidRequest("the header Host is not the name of a host", param="Host")
    scheme, _, host = origin.partition("://")
    return f"{_WEBSOCKET[scheme]}://{host}/ws"
