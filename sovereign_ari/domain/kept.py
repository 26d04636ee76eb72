"""The assistant of a live call as it is kept for a controller that may adopt the call. Pure.

What others keep anyway is left out: where its events go, what webhooks show of it, and the
organisation's own keys of vendors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from sovereign_ari.domain.agent import Assistant, Background, Config, SilencePlan, TurnTaking
from sovereign_ari.domain.webhook import Webhook

ELSEWHERE = ("sealed_keys", "webhook", "shown")


class KeptFault(ValueError):
    """What was kept is not of this release, and cannot be read."""


def keep(assistant: Assistant) -> dict[str, Any]:
    """Write a snapshot down as what JSON can hold."""
    parts = {"turn_taking", "silence", "background"}
    kept = {
        field.name: getattr(assistant, field.name)
        for field in fields(Assistant)
        if field.name not in ELSEWHERE and field.name not in parts
    }
    for name in parts:
        part = getattr(assistant, name)
        kept[name] = None if part is None else asdict(part)
    return kept


def restore(
    kept: Config, *, shown: Config, webhook: Webhook | None, sealed_keys: Mapping[str, bytes]
) -> Assistant:
    """Make the snapshot again.

    A field that a release added since has its default.

    Raises:
        KeptFault: If a field is missing that every release has, or has another form.
    """
    try:
        return replace(_restored(kept), shown=shown, webhook=webhook, sealed_keys=sealed_keys)
    except (AttributeError, KeyError, TypeError, ValueError) as fault:
        raise KeptFault(f"{type(fault).__name__}: {fault}") from fault


def _restored(kept: Config) -> Assistant:
    known = {field.name for field in fields(Assistant)} - set(ELSEWHERE)
    given = {name: value for name, value in kept.items() if name in known}
    for required in ("id", "organisation_id", "name", "first_message", "llm", "stt", "tts"):
        given[required] = kept[required]
    turns, silence, room = (given.pop(k, None) for k in ("turn_taking", "silence", "background"))
    if silence is not None:
        silence = SilencePlan(**{**silence, "messages": tuple(silence["messages"])})
    given["pronunciation"] = tuple((a, b) for a, b in given.get("pronunciation") or ())
    given["end_call_phrases"] = tuple(given.get("end_call_phrases") or ())
    return Assistant(
        **given,
        turn_taking=TurnTaking(**(turns or {})),
        silence=silence,
        background=None if room is None else Background(**room),
    )
