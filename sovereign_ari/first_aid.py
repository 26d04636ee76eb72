"""The first thing that a starting controller does, before it loads what takes seconds to load.

The callers of its last life, if that was killed, hear nothing in their bridges. The dialplan plays
them a beep now and then, and offers them to us until we are ready to take them. Whom we were
calling, for a call of its own or for a transfer, would answer to silence: he is hung up.
"""

from __future__ import annotations

import http.client
import json
import logging
from base64 import b64encode
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from sovereign_ari.domain.dialplan import ANSWER_CONTEXT, HOLD_EXTENSION, VARIABLE_CALL
from sovereign_ari.domain.ids import leg_name
from sovereign_ari.settings import Settings

TIMEOUT_S = 2.0
CALLED = ("line", "transfer")
"""Names of the legs of people whom we call."""
GAVE_UP = 41  # Q.850: temporary failure

log = logging.getLogger(__name__)


def hold_callers(settings: Settings) -> int:
    """Have the PBX mind the answered callers whom our last life left, and call nobody for them.

    Raises nothing.

    Returns:
        How many callers.
    """
    if settings.ari_url is None or settings.ari_password is None:
        return 0
    where = urlsplit(settings.ari_url)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    secret = f"{settings.ari_username}:{settings.ari_password.get_secret_value()}"
    headers = {"Authorization": f"Basic {b64encode(secret.encode()).decode()}"}
    connection = kind(where.netloc, timeout=TIMEOUT_S)
    path = where.path.rstrip("/")
    try:
        connection.request("GET", f"{path}/channels", headers=headers)
        listed = json.loads(connection.getresponse().read())
        ours = [one for one in listed if _is_ours(one, settings.ari_app)]
        left = [str(one["id"]) for one in ours if _waits(one)]
        called = [str(one["id"]) for one in ours if _is_called(one)]
        wanted = urlencode(
            {"context": ANSWER_CONTEXT, "extension": HOLD_EXTENSION, "priority": "1"}
        )
        for channel in left:
            target = f"{path}/channels/{quote(channel, safe='')}/continue?{wanted}"
            connection.request("POST", target, headers=headers)
            connection.getresponse().read()
        for channel in called:
            target = f"{path}/channels/{quote(channel, safe='')}?reason_code={GAVE_UP}"
            connection.request("DELETE", target, headers=headers)
            connection.getresponse().read()
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        log.warning("callers of the last life could not be looked for: %s", error)
        return 0
    finally:
        connection.close()
    return len(left)


def _is_ours(channel: dict[str, Any], app: str) -> bool:
    """Whether a channel is in our application; nobody minds it, for we only begin."""
    standing = channel["dialplan"]
    return bool(
        standing["app_name"] == "Stasis" and str(standing["app_data"]).split(",")[0] == app
    )


def _is_callers(channel: dict[str, Any]) -> bool:
    return bool((channel.get("channelvars") or {}).get(VARIABLE_CALL))


def _waits(channel: dict[str, Any]) -> bool:
    """Whether it is an answered caller's, or that of somebody who answered a call of ours."""
    return channel["state"] == "Up" and _is_callers(channel)


def _is_called(channel: dict[str, Any]) -> bool:
    """Whether we were calling somebody by it, who has not been talked to."""
    return leg_name(str(channel["id"])) in CALLED and not _is_callers(channel)
