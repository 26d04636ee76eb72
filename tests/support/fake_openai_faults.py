"""What can go wrong at a fake vendor, and what it wrote down."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

Kind = Literal["status", "hang", "drop", "malformed", "silent", "failed"]


@dataclass
class Fault:
    """One way to fail.

    Attributes:
        kind: `status` answers with an HTTP error; `hang` accepts and says nothing (more); `drop`
            closes the connection without a farewell; `malformed` sends what is not the protocol;
            `silent` ends properly without content; `failed` reports a failed transcription.
        status: For `status`.
        retry_after_s: For `status`: sent as `Retry-After`.
        after: Pieces served before it happens: tokens, audio chunks, or transcripts.
        after_s: Seconds after which it happens (realtime sessions).
        times: Requests it hits; None hits all.
    """

    kind: Kind = "status"
    status: int = 500
    retry_after_s: float | None = None
    after: int = 0
    after_s: float = 0.0
    times: int | None = None


@dataclass
class Journal:
    """Every request, in order, the keys shown, and the one that is accepted (None: any)."""

    api_key: str | None
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def unauthorised(self, request: web.Request) -> web.Response | None:
        """Answer 401 to a wrong key."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.keys.append(given)
        if self.api_key is None or given == self.api_key:
            return None
        return vendor_error(401, "invalid_api_key", "Incorrect API key provided.")


class Service:
    """One protocol: its faults, and how many requests it serves now."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.faults: list[Fault] = []
        self.open = 0
        self.served = 0

    def next_fault(self) -> Fault | None:
        """Take the fault that hits the request at hand."""
        self.served += 1
        if not self.faults:
            return None
        fault = self.faults[0]
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.faults.pop(0)
        return fault


def vendor_error(
    status: int, code: str, message: str, retry_after_s: float | None = None
) -> web.Response:
    """Build an error as the vendor writes it."""
    headers = {} if retry_after_s is None else {"Retry-After": f"{retry_after_s:g}"}
    body = {"error": {"message": message, "type": "error", "code": code, "param": None}}
    return web.json_response(body, status=status, headers=headers)


def answer_of(fault: Fault) -> web.Response:
    """Answer with the HTTP error of a `status` fault."""
    return vendor_error(fault.status, f"fault_{fault.status}", "As told.", fault.retry_after_s)


async def hang() -> None:
    """Say nothing until the client goes away."""
    await asyncio.Event().wait()


def sever(request: web.Request) -> None:
    """Close the connection without a farewell."""
    if request.transport is not None:
        request.transport.abort()
