"""An assistant as webhooks show it, and where its events go. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sovereign_ari.domain.webhook import EVENTS, Webhook

SHOWN = (
    "name", "business_name", "notification_email", "notification_emails", "first_message",
    "max_duration_seconds", "autonomous_silence_handling", "silence_timeout_seconds",
    "voicemail_detection", "voicemail_message", "gdpr_mode", "webhook_url", "webhook_events",
    "analysis_plan", "stt_config", "llm_config", "tts_config", "speech_config", "postcall_stt",
    "postcall_llm", "recording_enabled", "recording_consent", "metadata",
)  # fmt: skip
"""Fields of an assistant that webhooks show; the secret is none of them."""


def shown_config(
    assistant: Mapping[str, Any], defaults: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """What webhooks show of an assistant, complete and without secrets.

    Args:
        assistant: Its fields; those that are not in `SHOWN` are left out.
        defaults: The platform's blocks `llm`, `stt` and `tts`, for those that are null.
    """
    shown = {name: assistant[name] for name in SHOWN}
    for kind in ("llm", "stt", "tts"):
        shown[f"{kind}_config"] = dict(shown[f"{kind}_config"] or defaults[kind])
    if tools := shown["llm_config"].get("tools"):
        shown["llm_config"]["tools"] = [_without_secrets(tool) for tool in tools]
    return shown


def webhook_of(assistant: Mapping[str, Any], account: Mapping[str, Any]) -> Webhook | None:
    """Where the events of an assistant go: its own server, else the account's.

    Args:
        assistant: Its `webhook_url`, `webhook_secret` and `webhook_events`.
        account: `account_url`, `account_secret` and `account_events` of its organisation. The
            secret also signs what goes to an assistant's server that has none of its own.
    """
    own, events = assistant["webhook_url"], assistant["webhook_events"]
    if (url := own or account["account_url"]) is None:
        return None
    if events is None and not own:
        events = account["account_events"]
    return Webhook(
        url=url,
        secret=assistant["webhook_secret"] or account["account_secret"],
        events=frozenset(EVENTS if events is None else events),
    )


def account_webhook(account: Mapping[str, Any]) -> Webhook | None:
    """Where events of calls go that have no assistant; `account` is that of `webhook_of`."""
    nobody = dict.fromkeys(("webhook_url", "webhook_secret", "webhook_events"))
    return webhook_of(nobody, account)


def _without_secrets(tool: Mapping[str, Any]) -> dict[str, Any]:
    server = tool.get("server")
    if not isinstance(server, Mapping):
        return dict(tool)
    return {**tool, "server": {name: v for name, v in server.items() if name != "secret"}}
