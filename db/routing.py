"""What a dialled number leads to, in one query."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from sovereign_ari.domain.agent import Config, Route
from sovereign_ari.domain.assistant_request import FIELDS, asked_webhook
from sovereign_ari.domain.owner import Owner
from sovereign_ari.domain.snapshot import snapshot
from sovereign_ari.errors import SetupFailed

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
       {", ".join(f"a.{name}" for name in FIELDS)},
       owner.webhook_url AS account_url, owner.webhook_secret AS account_secret,
       owner.webhook_events AS account_events,
       -- Pairs of a provider and its sealed key.
       ARRAY(SELECT (provider, secret) FROM byok_keys
              WHERE organisation_id = target.organisation_id) AS sealed_keys,
       -- A carrier's call reaches the numbers of those whose trunk it came by, and no others.
       (SELECT min(t.id::text)
          FROM sip_trunks AS t LEFT JOIN trunk_states AS s ON s.trunk_id = t.id
         WHERE t.organisation_id = target.organisation_id AND t.is_active
           AND (t.id::text = $2 OR s.shared = $2)) AS trunk_id
  FROM organisations AS operator
  LEFT JOIN target ON true
  LEFT JOIN assistants AS a
    ON a.id = target.assistant_id AND a.organisation_id = target.organisation_id
  LEFT JOIN organisations AS owner ON owner.id = target.organisation_id
 WHERE operator.is_operator
"""


async def find_route(
    connection: asyncpg.Connection,
    dialled: str,
    defaults: Mapping[str, Config],
    trunk: str = "",
) -> Route:
    """Say who answers a number, with everything the call needs of the assistant.

    Args:
        connection: Where to look.
        dialled: A number in E.164, or an extension of 2 to 6 digits.
        defaults: The platform's blocks `llm`, `stt` and `tts`, for assistants that leave theirs
            null.
        trunk: Id of the SIP trunk that the call came by, or the endpoint that several share; empty
            for callers of this machine and of the operator's own trunk, who reach every number.

    Raises:
        SetupFailed: If the installation has no operator organisation yet.
    """
    row = await connection.fetchrow(_ROUTE, dialled.replace("\x00", ""), trunk)
    if row is None:
        raise SetupFailed(
            "the database has no operator organisation", hint="run sovereign migrate"
        )
    if row["organisation_id"] is None or (trunk and row["trunk_id"] is None):
        stranger = f"the SIP trunk of the call is not of those who have the number {dialled}"
        nobody = row["organisation_id"] is None
        return Route(
            organisation_id=str(row["operator_id"]),
            number_id=None,
            assistant=None,
            refusal=f"nobody has the number {dialled}" if nobody else stranger,
            known=False,
        )
    refusal = _refusal(row, dialled)
    owner = Owner(
        organisation_id=str(row["organisation_id"]),
        account={name: row[name] for name in ("account_url", "account_secret", "account_events")},
        sealed_keys=dict(row["sealed_keys"]),
    )
    assistant = saved = None
    if refusal is None:
        saved = {name: row[name] for name in FIELDS}
        assistant = snapshot(str(row["assistant_id"]), saved, owner, defaults)
    unlinked = row["number_active"] and row["assistant_id"] is None
    return Route(
        organisation_id=owner.organisation_id,
        number_id=None if row["number_id"] is None else str(row["number_id"]),
        assistant=assistant,
        refusal=refusal,
        number_name=row["number_name"],
        owner=owner,
        saved=saved,
        asks=asked_webhook(assistant, owner) if assistant or unlinked else None,
        trunk_id=row["trunk_id"],
    )


def _refusal(row: asyncpg.Record, dialled: str) -> str | None:
    if not row["number_active"]:
        return f"the number {dialled} is switched off"
    if row["assistant_id"] is None:
        return f"the number {dialled} has no assistant"
    if not row["assistant_active"]:
        return f"the assistant {row['name']} of {dialled} is switched off"
    return None
