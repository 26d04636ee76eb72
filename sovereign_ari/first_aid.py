"""The first thing that a starting controller does, before it loads what takes seconds to load.

The callers of its last life, if that was killed, hear nothing in their bridges. The dialplan plays
them a beep now and then, and offers them to us until we are ready to take them.
"""

from __future__ import annotations

import http.client
import json
import logging
from base64 import b64encode
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from sovereign_ari.domain.dialplan import ANSWER_CONTEXT, HOLD_EXTENSION, VARIABLE_CALL
from sovereign_ari.settings import Settings

TIMEOUT_S = 2.0

log = logging.getLogger(__name__)


def hold_callers(settings: Settings) -> int:
    """Have the PBX mind the answered callers whom our last life left. Raises nothing.

    Returns:
        How many.
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
        left = [str(one["id"]) for one in listed if _is_left(one, settings.ari_app)]
        wanted = urlencode(
            {"context": ANSWER_CONTEXT, "extension": HOLD_EXTENSION, "priority": "1"}
        )
        for channel in left:
            target = f"{path}/channels/{quote(channel, safe='')}/continue?{wanted}"
            connection.request("POST", target, headers=headers)
            connection.getresponse().read()
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        log.warning("callers of the last life could not be looked for: %s", error)
        return 0
    finally:
        connection.close()
    return len(left)


def _is_left(channel: dict[str, Any], app: str) -> bool:
    """Whether an answered caller is in our application; nobody minds him, for we only begin."""
    standing = channel["dialplan"]
    return (
        channel["state"] == "Up"
        and bool((channel.get("channelvars") or {}).get(VARIABLE_CALL))
        and standing["app_name"] == "Stasis"
        and str(standing["app_data"]).split(",")[0] == app
    )
