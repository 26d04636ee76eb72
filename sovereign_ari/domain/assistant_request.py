"""What an integrator may answer before a call is answered: the forms of `assistant-request`. Pure.

    {}                                                    the assistant of the number
    {"assistant": {...}}                                  one for this call alone: transient
    {"assistant_id": "...", "assistant_override": {...}}  a saved one, changed: hybrid
    {"max_duration_seconds": 300}                         alone, or beside one of these
    {"error": "..."}                                      is said to the caller, who is turned away

Changes are shallow: a key replaces that whole key of what is changed. What a transient assistant
leaves out is that of the number's assistant, and the platform's default where there is none. An
answer is taken whole or not at all: one fault in it, and the number's assistant takes the call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sovereign_ari.domain.agent import Assistant, Config, Route
from sovereign_ari.domain.owner import Owner
from sovereign_ari.domain.shown import SHOWN, account_webhook
from sovereign_ari.domain.snapshot import snapshot
from sovereign_ari.domain.webhook import Webhook

EVENT = "assistant-request"
FIELDS = (*SHOWN, "webhook_secret")
"""What a call is made of: all that `snapshot` reads."""

SHORTEST_S, LONGEST_S = 10, 14_400
"""The platform's limits of a call; a limit beyond them is moved to the nearer one."""

LONGEST_REJECTION_CHARS = 2000
REJECTION_ENDS_WITHIN_S = 300.0
_UNSET: Mapping[str, Any] = dict.fromkeys(FIELDS) | {
    "autonomous_silence_handling": False,
    "gdpr_mode": False,
    "recording_enabled": False,
}
_OLDER: Mapping[str, str] = {
    "agent": "assistant",
    "agent_config": "assistant",
    "agent_id": "assistant_id",
    "agent_override": "assistant_override",
}
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OURS = frozenset({"id", "is_active"})  # integrators do not decide it, but may send it back

Form = Literal["default", "transient", "hybrid", "rejected"]


class AnswerFault(ValueError):
    """An answer that cannot be used.

    Attributes:
        lines: What is wrong with it, `path: what` where it has a path. They repeat no value.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read; what it says of an assistant is not checked yet.

    Attributes:
        form: Which of the forms it has.
        assistant_id: The saved assistant it names.
        changes: Of an assistant, None when it brings none.
        max_duration_s: Longest call.
        rejection: What to say to a caller who is turned away; empty when it cannot be said.
    """

    form: Form
    assistant_id: str | None = None
    changes: Mapping[str, Any] | None = None
    max_duration_s: int | None = None
    rejection: str | None = field(default=None, repr=False)

    @property
    def path(self) -> str:
        """Where the changes stand in it."""
        return "assistant" if self.form == "transient" else "assistant_override"


@dataclass(frozen=True, slots=True)
class Resolution:
    """What came of asking.

    Attributes:
        route: The route, with the assistant that takes the call.
        facts: For the timeline. They hold nothing of what was answered but its faults.
    """

    route: Route
    facts: Mapping[str, Any]


def asked_webhook(assistant: Assistant | None, owner: Owner) -> Webhook | None:
    """Who is asked about the calls of a number, None for nobody.

    Args:
        assistant: Of the number, None when it has none: then the account may supply one.
        owner: Of the number.
    """
    webhook = account_webhook(owner.account) if assistant is None else assistant.webhook
    return webhook if webhook is not None and EVENT in webhook.events else None


def read_answer(data: Any) -> Answer:
    """Read a decoded answer. Keys that have no meaning here are passed over.

    Raises:
        AnswerFault: If it has none of the forms.
    """
    if not isinstance(data, dict):
        raise AnswerFault("the answer is not a JSON object")
    given = _spelled(data)
    if "error" in given:
        return Answer("rejected", rejection=_sayable(given["error"]))
    longest_s = _duration(given.get("max_duration_seconds"))
    assistant, override = _object(given, "assistant"), _object(given, "assistant_override")
    chosen = _uuid(given.get("assistant_id"))
    if assistant is not None:
        if chosen is not None or override is not None:
            raise AnswerFault("give either assistant, or assistant_id with assistant_override")
        return Answer("transient", changes=assistant, max_duration_s=longest_s)
    if chosen is not None or override is not None:
        return Answer("hybrid", chosen, override, longest_s)
    return Answer("default", max_duration_s=longest_s)


def resolved_assistant(
    assistant_id: str | None,
    base: Mapping[str, Any] | None,
    changes: Mapping[str, Any],
    max_duration_s: int | None,
    owner: Owner,
    defaults: Mapping[str, Config],
) -> Assistant:
    """Freeze what a call runs on.

    Args:
        assistant_id: Of the saved assistant that talks, None for one of this call alone.
        base: The `FIELDS` of what is changed, None for the platform's defaults.
        changes: Checked `FIELDS`, and anything else, which later webhooks show as it came.
        max_duration_s: The limit beside the assistant; it stands over the assistant's own.
        owner: Whose call it is.
        defaults: The platform's blocks `llm`, `stt` and `tts`, for those that are null.
    """
    fields = dict(_UNSET if base is None else base)
    fields |= {name: value for name, value in changes.items() if name in FIELDS}
    if max_duration_s is not None:
        fields["max_duration_seconds"] = max_duration_s
    made = snapshot(assistant_id, fields, owner, defaults)
    unread = {k: v for k, v in changes.items() if k not in FIELDS and k not in _OURS}
    return replace(made, shown={**unread, **made.shown})


def turning_away(assistant: Assistant) -> Assistant:
    """The assistant as the voice that turns a caller away: it says one thing, and does nothing."""
    return replace(
        assistant,
        first_message=None,
        end_call_message=None,
        llm={name: value for name, value in assistant.llm.items() if name != "tools"},
        max_duration_s=REJECTION_ENDS_WITHIN_S,
        silence=None,
        silence_timeout_s=None,
    )


def _spelled(data: Mapping[str, Any]) -> dict[str, Any]:
    """The answer without nulls, and with one spelling of each key.

    Raises:
        AnswerFault: If two spellings say different things.
    """
    given = {name: v for name, v in data.items() if v is not None and name not in _OLDER}
    for older, name in _OLDER.items():
        value = data.get(older)
        if value is None:
            continue
        if name in given and given[name] != value:
            raise AnswerFault(f"{name}: {name} and {older} have different values")
        given[name] = value
    return given


def _object(given: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = given.get(name)
    if value is not None and not isinstance(value, dict):
        raise AnswerFault(f"{name}: is not an object")
    return value


def _uuid(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or _UUID.fullmatch(value) is None:
        raise AnswerFault("assistant_id: is not a UUID")
    return value.lower()


def _duration(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise AnswerFault("max_duration_seconds: is not a number")
    return int(min(max(value, SHORTEST_S), LONGEST_S))


def _sayable(value: Any) -> str:
    """What of a rejection is said: not more than its beginning when it is very long."""
    if not isinstance(value, str) or not value.strip():
        raise AnswerFault("error: is not a text that can be said to the caller")
    text = value.strip()
    if len(text) > LONGEST_REJECTION_CHARS:
        text = text[:LONGEST_REJECTION_CHARS].rsplit(maxsplit=1)[0]
    return text if any(character.isalnum() for character in text) else ""
