"""What every kind of tool has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sovereign_ari.conversation.tools import Prepared
from sovereign_ari.speech.base import ToolSpec
from sovereign_ari.tools.arguments import Arguments

Note = Callable[[str, Mapping[str, Any]], None]
"""Puts something on the timeline of a call: a kind, and facts."""


class Tool(Protocol):
    """One tool of one call."""

    @property
    def spec(self) -> ToolSpec:
        """How it is offered."""

    @property
    def takes(self) -> Arguments:
        """What it takes."""

    def prepared(self, call_id: str, arguments: Mapping[str, Any]) -> Prepared:
        """Make a call of it ready, with arguments that fit.

        Args:
            call_id: Id of this use, as the model and the record know it.
            arguments: What the model chose.
        """
