"""From an assistant as it is stored to what a call runs on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sovereign_ari.domain.agent import Assistant, Background, Config, SilencePlan, TurnTaking
from sovereign_ari.domain.owner import Owner
from sovereign_ari.domain.shown import shown_config, webhook_of

DEFAULT_MAX_DURATION_S = 3600.0


def snapshot(
    assistant_id: str | None,
    fields: Mapping[str, Any],
    owner: Owner,
    defaults: Mapping[str, Config],
) -> Assistant:
    """Freeze an assistant for one call.

    Args:
        assistant_id: Its id; None for one that is stored nowhere.
        fields: All of `SHOWN`, and `webhook_secret`.
        owner: Whose it is.
        defaults: The platform's blocks `llm`, `stt` and `tts`, for those that are null.
    """
    speech: Mapping[str, Any] = fields["speech_config"] or {}
    autonomous = bool(fields["autonomous_silence_handling"])
    silence_s = fields["silence_timeout_seconds"]
    llm = fields["llm_config"] or dict(defaults["llm"])
    return Assistant(
        id=assistant_id or "",
        organisation_id=owner.organisation_id,
        name=fields["name"] or "",
        first_message=fields["first_message"],
        llm=_able_to_hang_up(llm) if autonomous else llm,
        stt=fields["stt_config"] or dict(defaults["stt"]),
        tts=fields["tts_config"] or dict(defaults["tts"]),
        turn_taking=turn_taking(speech.get("turn_taking") or {}),
        end_call_message=speech.get("end_call_message") or None,
        max_duration_s=float(fields["max_duration_seconds"] or DEFAULT_MAX_DURATION_S),
        # With autonomous handling the seconds are those before the first check, not the end.
        silence_timeout_s=None if autonomous else silence_s,
        silence=silence_plan(speech.get("silence") or {}, silence_s) if autonomous else None,
        first_message_outbound=speech.get("first_message_outbound") or None,
        pronunciation=tuple(
            (rule["from"], rule["to"]) for rule in speech.get("pronunciation") or ()
        ),
        background=_background(speech.get("background_audio") or {}),
        end_call_phrases=tuple(speech.get("end_call_phrases") or ()),
        sealed_keys=owner.sealed_keys,
        webhook=webhook_of(fields, owner.account),
        webhook_secret=fields["webhook_secret"] or owner.account["account_secret"],
        shown={"id": assistant_id, **shown_config(fields, defaults)},
        voicemail_detection=bool(fields["voicemail_detection"]),
        voicemail_message=(fields["voicemail_message"] or "").strip() or None,
    )


def silence_plan(block: Mapping[str, Any], first_check_s: float | None = None) -> SilencePlan:
    """Read `speech_config.silence`; what it leaves out keeps its default.

    Args:
        block: The block, or an empty one.
        first_check_s: `silence_timeout_seconds`, which stands in for an absent
            `first_check_seconds`.
    """
    default = SilencePlan()
    first = block.get("first_check_seconds")
    if first is None:
        first = default.first_check_s if first_check_s is None else first_check_s
    return SilencePlan(
        first_check_s=float(first),
        interval_s=float(block.get("interval_seconds", default.interval_s)),
        max_attempts=int(block.get("max_attempts", default.max_attempts)),
        messages=tuple(block.get("messages") or ()),
        final_message=block.get("final_message") or None,
    )


def _able_to_hang_up(llm: Config) -> Config:
    """Offer hanging up to a model whose silent callers are hung up on."""
    tools = llm.get("tools") or []
    if any(tool.get("type") in ("end_call", "endCall") for tool in tools):
        return llm
    return {**llm, "tools": [*tools, {"type": "end_call"}]}


def _background(block: Mapping[str, Any]) -> Background | None:
    if not block.get("enabled"):
        return None
    return Background(clip=block.get("clip", "office"), volume=float(block.get("volume", 0.3)))


def turn_taking(block: Mapping[str, Any]) -> TurnTaking:
    """Read `speech_config.turn_taking`; what it leaves out keeps its default.

    A maximum that would lie below the minimum follows it.
    """
    default = TurnTaking()
    minimum = float(block.get("endpointing_min_delay", default.endpointing_min_delay_s))
    maximum = float(block.get("endpointing_max_delay", default.endpointing_max_delay_s))
    resume = block.get("false_interruption_timeout", default.false_interruption_timeout_s)
    return TurnTaking(
        endpointing_min_delay_s=minimum,
        endpointing_max_delay_s=max(minimum, maximum),
        interruption_min_duration_s=float(
            block.get("interruption_min_duration", default.interruption_min_duration_s)
        ),
        interruption_min_words=int(
            block.get("interruption_min_words", default.interruption_min_words)
        ),
        false_interruption_timeout_s=None if resume is None else float(resume),
    )
