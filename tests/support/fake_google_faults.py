"""Who comes in at the fake Google, and what may go wrong there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
}
"""Google's codes by the HTTP statuses that stand for them elsewhere."""


@dataclass
class GoogleFault:
    """One way to fail.

    Attributes:
        kind: `status` ends the call with an error; `hang` says nothing (more); `silent` ends it
            properly without content; `deaf` never reads.
        status: For `status`.
        retry_after_s: For `status`: sent as `RetryInfo`.
        after: Pieces served before it happens: final results, or chunks of audio.
        after_s: Seconds after which it happens, whatever was served.
        times: Calls it hits; None hits all.
    """

    kind: str = "status"
    status: int = 503
    retry_after_s: float | None = None
    after: int = 0
    after_s: float = 0.0
    times: int | None = None

    @property
    def at_once(self) -> bool:
        """Whether it happens before anything is served."""
        return not self.after and not self.after_s


@dataclass
class Gate:
    """The check of tokens.

    Attributes:
        accepts: Whether a token is good.
        tokens: All that were shown.
        metadata: What came with each call.
        peers: The connections that calls came on.
    """

    accepts: Callable[[str], bool]
    tokens: list[str] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    peers: set[str] = field(default_factory=set)

    async def check(self, context: grpc.aio.ServicerContext) -> None:
        """End the call when its token is not good."""
        metadata = {k: str(v) for k, v in context.invocation_metadata() or ()}
        token = metadata.get("authorization", "").removeprefix("Bearer ")
        self.metadata.append(metadata)
        self.tokens.append(token)
        self.peers.add(context.peer())
        if not self.accepts(token):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid authentication")


class GoogleService:
    """One service: its faults, and how many calls it serves now."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.faults: list[GoogleFault] = []
        self.open = 0
        self.served = 0

    def next_fault(self) -> GoogleFault | None:
        """Take the fault that hits the call at hand."""
        self.served += 1
        if not self.faults:
            return None
        fault = self.faults[0]
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.faults.pop(0)
        return fault


async def suffer(fault: GoogleFault, context: grpc.aio.ServicerContext) -> None:
    """Let the fault happen; returns for one that ends the call properly."""
    match fault.kind:
        case "status":
            await fail(context, CODES[fault.status], "as told", fault.retry_after_s)
        case "hang" | "deaf":
            await asyncio.Event().wait()
        case _:
            return


async def fail(
    context: grpc.aio.ServicerContext,
    code: grpc.StatusCode,
    message: str,
    retry_after_s: float | None = None,
) -> None:
    """End a call with a status, as Google writes it."""
    if retry_after_s is not None:
        packed = Any()
        packed.Pack(RetryInfo(retry_delay=Duration(seconds=int(retry_after_s))))
        status = Status(code=code.value[0], message=message, details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(code, message)
