"""Identifiers, and the one place that builds them.

A call has one id everywhere: REST, logs, webhooks, channel and bridge names. It is
`call-<direction>-<ULID>`; a ULID (26 characters of Crockford's base 32, here in lower case)
sorts by time of creation.
"""

from __future__ import annotations

import re
from typing import Literal, NewType

CallId = NewType("CallId", str)
ChannelId = NewType("ChannelId", str)
BridgeId = NewType("BridgeId", str)

Direction = Literal["inbound", "outbound", "web"]

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_CALL_ID = re.compile(rf"call-(inbound|outbound|web)-[{_CROCKFORD}]{{26}}")
_U48 = (1 << 48) - 1
_U80 = (1 << 80) - 1


def call_id(direction: Direction, unix_ms: int, entropy: int) -> CallId:
    """Build a call id from a time in milliseconds and 80 random bits."""
    value = (unix_ms & _U48) << 80 | (entropy & _U80)
    digits = "".join(_CROCKFORD[value >> shift & 31] for shift in range(125, -1, -5))
    return CallId(f"call-{direction}-{digits}")


def is_call_id(text: str) -> bool:
    """Whether `text` has the form of a call id."""
    return _CALL_ID.fullmatch(text) is not None


def direction_of(call: CallId) -> Direction:
    """Who called whom."""
    direction = call.split("-")[1]
    assert direction in ("inbound", "outbound", "web")
    return direction  # type: ignore[return-value]  # asserted


def media_channel_of(call: CallId) -> ChannelId:
    """Name the external-media channel of a call, as operators see it in `core show channels`."""
    return ChannelId(f"{call}-media")


def leg_of(call: CallId, name: str) -> ChannelId:
    """Name a further channel of a call, e.g. `transfer`. `line` is the person whom we call."""
    return ChannelId(f"{call}-{name}")


def leg_name(channel: str) -> str | None:
    """Which channel of its call this is, e.g. `media`; None when it is not named by us."""
    match = _CALL_ID.match(channel)
    rest = channel[match.end() :] if match else ""
    return rest[1:] if rest.startswith("-") and len(rest) > 1 else None


def bridge_of(call: CallId) -> BridgeId:
    """Name the bridge of a call, as operators see it in `bridge show all`."""
    return BridgeId(f"{call}-bridge")


def call_of(channel_or_bridge: str) -> CallId | None:
    """Find the call that a channel or bridge named by us belongs to, or None."""
    match = _CALL_ID.match(channel_or_bridge)
    return CallId(match.group()) if match else None
