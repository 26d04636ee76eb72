"""Log lines: JSON for machines, colours for a terminal; `call_id` on every line of a call.

What callers say, dial or are called by is personal and never part of a message.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import structlog

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(),
]


def configure(
    process: str,
    *,
    level: str = "info",
    style: Literal["auto", "json", "pretty"] = "auto",
    stream: TextIO = sys.stderr,
) -> None:
    """Set logging up for a process.

    Args:
        process: Its name, on every line.
        level: Least level shown of our own loggers; libraries show warnings.
        style: `auto` is pretty on a terminal and JSON elsewhere.
        stream: Where lines go.
    """
    pretty = style == "pretty" or (style == "auto" and stream.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    )

    def name_process(
        _logger: object, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        event["process"] = process
        return event

    after: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        name_process,
    ]
    if not pretty:
        after.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED, processors=[*after, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for ours in ("sovereign_ari", "api", "db", "work"):
        logging.getLogger(ours).setLevel(level.upper())
