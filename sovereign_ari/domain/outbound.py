"""A call that somebody asked us to place: who is called, from which number, by which assistant.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sovereign_ari.domain.agent import Assistant, Config, Route
from sovereign_ari.domain.assistant_request import resolved_assistant
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.owner import Owner

SHORTEST_RING_S, LONGEST_RING_S = 5, 120
CODEC = "ulaw"
"""Between the PBX and us. Which codec the trunk takes is known too late to be the same always."""


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """A call to be placed, as a controller took it.

    Attributes:
        call_id: Its id, which the client knows.
        at: When it was asked for.
        destination: E.164. *Personal.*
        number: Ours, from which it is placed.
        shown: The number that the called person sees.
        withheld: Whether they are to see none.
        route: Our number, its owner, and the assistant that talks, if the call is placed.
        trunk_id: The trunk that it leaves by.
        addresses: Of that trunk, in the order of fail-over.
        ring_s: How long it may ring, None for the platform's default.
        refusal: Why it is not placed at all, None when it is.
        cancelled: Whether its client did not want it any more before we took it.
    """

    call_id: CallId
    at: datetime
    destination: str
    number: str
    shown: str
    withheld: bool
    route: Route
    trunk_id: str
    addresses: Sequence[str]
    ring_s: float | None = None
    refusal: str | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client wants to be different in one call. All of it may hold what is *personal*.

    Attributes:
        config: Fields that replace those of the stored assistant, or the call's own assistant.
        first_message: Said first, in the place of every other greeting.
        context: What the model should know of this call.
    """

    config: Mapping[str, Any] | None = None
    first_message: str | None = None
    context: str | None = None


def calling_assistant(
    assistant_id: str | None,
    saved: Mapping[str, Any] | None,
    wishes: Wishes,
    owner: Owner,
    defaults: Mapping[str, Config],
) -> Assistant:
    """Freeze the assistant of a call that we place.

    A greeting that the call brings is said, whatever the stored assistant says when it calls; one
    in a changed `speech_config` comes after that of the call itself.

    Args:
        assistant_id: Of the stored assistant, None for one of this call alone.
        saved: Its fields, None likewise.
        wishes: What is different in this call.
        owner: Whose call it is.
        defaults: The platform's blocks `llm`, `stt` and `tts`.
    """
    changes = wishes.config or {}
    made = resolved_assistant(assistant_id, saved, changes, None, owner, defaults)
    if wishes.first_message is not None:
        made = replace(made, first_message=wishes.first_message, first_message_outbound=None)
    elif changes.get("first_message") and not changes.get("speech_config"):
        made = replace(made, first_message_outbound=None)
    if wishes.context:
        told = {"role": "system", "content": wishes.context}
        made = replace(made, llm={**made.llm, "messages": [*_messages(made.llm), told]})
    return made


def _messages(llm: Config) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = llm.get("messages") or ()
    return found
