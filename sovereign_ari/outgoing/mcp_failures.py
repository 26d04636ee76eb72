"""What the MCP library raises and logs, as one sentence without secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import httpx
from mcp import McpError
from mcp.shared.message import SessionMessage

from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.transport import Faults

_LONGEST_QUOTE = 200
NOT_MCP = "the server does not answer as an MCP server does"
# ValueError: an answer that does not validate; RuntimeError: a version that it does not speak.
_OF_THE_LIBRARY = (
    BaseExceptionGroup,
    httpx.HTTPError,
    McpError,
    anyio.ClosedResourceError,
    anyio.BrokenResourceError,
    RuntimeError,
    ValueError,
)


@contextmanager
def translated(faults: Faults) -> Iterator[None]:
    """Turn what the library raises where it is asked into one sentence."""
    try:
        yield
    except _OF_THE_LIBRARY as error:
        raise _in_words(faults, error) from None


@contextmanager
def ungrouped(faults: Faults) -> Iterator[None]:
    """Take the library's groups apart; what the user of a session raised comes out as it was."""
    try:
        yield
    except BaseExceptionGroup as group:
        error = _first_leaf(group)
        if isinstance(error, httpx.HTTPError):
            raise _in_words(faults, error) from None
        raise error from None


def _first_leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _in_words(faults: Faults, error: BaseException) -> OutgoingFailed:
    if faults.first is not None:
        return OutgoingFailed(faults.first)
    leaf = _first_leaf(error)
    if isinstance(leaf, OutgoingFailed):
        return leaf
    if isinstance(leaf, McpError):
        return OutgoingFailed(f"the server answers: {_quoted(leaf.error.message)}")
    return OutgoingFailed(NOT_MCP)


def _quoted(text: str) -> str:
    """A stranger's words, on one line and short."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[:_LONGEST_QUOTE]}…"


def late(faults: Faults, timeout_s: float) -> OutgoingFailed:
    """The error for a wait that ended: for a fault that was noted, or by itself."""
    return OutgoingFailed(faults.first or f"no answer within {timeout_s:g} s")


def keep_quiet() -> None:
    """Keep the library from logging URLs, and what servers say, with a trace for every failure."""
    for name in ("mcp", "client", "httpx", "httpcore"):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
    session_file = SessionMessage.__module__.rpartition(".")[0].replace(".", "/")

    def is_not_mcp(record: logging.LogRecord) -> bool:
        return session_file not in record.pathname

    logging.getLogger().addFilter(is_not_mcp)  # it logs with the root logger, too
