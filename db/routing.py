"""What a dialled number leads to, in one query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from sovereign_ari.domain.agent import Assistant, Config, Route, TurnTaking
from sovereign_ari.domain.shown import SHOWN, shown_config, webhook_of
from sovereign_ari.errors import SetupFailed

DEFAULT_MAX_DURATION_S = 3600.0

_ROUTE = f"""
WITH target AS (
    SELECT id AS number_id, organisation_id, assistant_id, is_active, name AS number_name
      FROM phone_numbers WHERE phone_number = $1
    UNION ALL
    SELECT NULL, organisation_id, assistant_id, true, NULL
      FROM extensions WHERE extension = $1
)
SELECT operator.id AS operator_id,
       target.organisation_id, target.number_id, target.is_active AS number_active,
       target.number_name, a.id AS assistant_id, a.is_active AS assistant_active,
       {", ".join(f"a.{name}" for name in SHOWN)}, a.webhook_secret,
       owner.webhook_url AS account_url, owner.webhook_secret AS account_secret,
       owner.webhook_events AS account_events,
       -- Pairs of a provider and its sealed key.
       ARRAY(SELECT (provider, secret) FROM byok_keys
              WHERE organisation_id = a.organisation_id) AS sealed_keys
  FROM organisations AS operator
  LEFT JOIN target ON true
  LEFT JOIN assistants AS a
    ON a.id = target.assistant_id AND a.organisation_id = target.organisation_id
  LEFT JOIN organisations AS owner ON owner.id = target.organisation_id
 WHERE operator.is_operator
"""


async def find_route(
    connection: asyncpg.Connection, dialled: str, defaults: Mapping[str, Config]
) -> Route:
    """Say who answers a number, with everything the call needs of the assistant.

    Args:
        connection: Where to look.
        dialled: A number in E.164, or an extension of 2 to 6 digits.
        defaults: The platform's blocks `llm`, `stt` and `tts`, for assistants that leave theirs
            null.

    Raises:
        SetupFailed: If the installation has no operator organisation yet.
    """
    row = await connection.fetchrow(_ROUTE, dialled.replace("\x00", ""))
    if row is None:
        raise SetupFailed(
            "the database has no operator organisation", hint="run sovereign migrate"
        )
    if row["organisation_id"] is None:
        return Route(
            organisation_id=str(row["operator_id"]),
            number_id=None,
            assistant=None,
            refusal=f"nobody has the number {dialled}",
            known=False,
        )
    refusal = _refusal(row, dialled)
    return Route(
        organisation_id=str(row["organisation_id"]),
        number_id=None if row["number_id"] is None else str(row["number_id"]),
        assistant=_assistant(row, defaults) if refusal is None else None,
        refusal=refusal,
        number_name=row["number_name"],
    )


def _refusal(row: asyncpg.Record, dialled: str) -> str | None:
    if not row["number_active"]:
        return f"the number {dialled} is switched off"
    if row["assistant_id"] is None:
        return f"the number {dialled} has no assistant"
    if not row["assistant_active"]:
        return f"the assistant {row['name']} of {dialled} is switched off"
    return None


def _assistant(row: asyncpg.Record, defaults: Mapping[str, Config]) -> Assistant:
    speech: Mapping[str, Any] = row["speech_config"] or {}
    autonomous = row["autonomous_silence_handling"]
    return Assistant(
        id=str(row["assistant_id"]),
        organisation_id=str(row["organisation_id"]),
        name=row["name"],
        first_message=row["first_message"],
        llm=row["llm_config"] or dict(defaults["llm"]),
        stt=row["stt_config"] or dict(defaults["stt"]),
        tts=row["tts_config"] or dict(defaults["tts"]),
        turn_taking=turn_taking(speech.get("turn_taking") or {}),
        end_call_message=speech.get("end_call_message") or None,
        max_duration_s=float(row["max_duration_seconds"] or DEFAULT_MAX_DURATION_S),
        # With autonomous handling the seconds are those before the first check, not the end.
        silence_timeout_s=None if autonomous else row["silence_timeout_seconds"],
        sealed_keys=dict(row["sealed_keys"]),
        webhook=webhook_of(row, row),
        webhook_secret=row["webhook_secret"] or row["account_secret"],
        shown={"id": str(row["assistant_id"]), **shown_config(row, defaults)},
    )


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
