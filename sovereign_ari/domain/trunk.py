"""Names of a SIP trunk in the PBX: an endpoint for each of its addresses, and how to dial."""

from __future__ import annotations

import re
from collections.abc import Sequence

PREFIX = "trunk-"

_ENDPOINT = re.compile(
    r"trunk-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-([1-9][0-9]?)"
)
_ADDRESS = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]{1,5}))?")
_USERNAME = re.compile(r"[A-Za-z0-9_.!~*()+&=/@:-]{1,128}")
_NUMBER = re.compile(r"\+?[0-9*#]{1,32}")
# Nothing that splits a dial string or a header: no quotes, brackets, commas, semicolons or blanks.
_SIP_URI = re.compile(
    r"(?i:sips?):(?:[A-Za-z0-9_.!~*+%-]{1,128}@)?(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::[1-9][0-9]{0,4})?"
)


def endpoint_of(trunk_id: str, place: int) -> str:
    """Name the endpoint of one address of a trunk.

    Args:
        trunk_id: A UUID in lower case.
        place: Of the address in the order of fail-over, from 1.
    """
    return f"{PREFIX}{trunk_id}-{place}"


def anyway_of(endpoint: str) -> str:
    """Name the AOR by which an address is called that leaves its OPTIONS unanswered."""
    return f"{endpoint}-anyway"


def trunk_of(endpoint: str) -> tuple[str, int] | None:
    """Find the trunk and the place that an endpoint is named after; None if it is none of ours."""
    match = _ENDPOINT.fullmatch(endpoint)
    return (match[1], int(match[2])) if match else None


def dial_strings(trunk_id: str, addresses: Sequence[str], destination: str) -> tuple[str, ...]:
    """Say how the PBX dials a destination over each address of a trunk, in the order of fail-over.

    It refuses to dial an address that leaves its OPTIONS unanswered. So a number comes a second
    time for each, to be dialled all the same when there is no better one.

    Args:
        trunk_id: A UUID in lower case.
        addresses: Of the trunk.
        destination: A number, or a SIP URI without a password and without parameters.

    Raises:
        ValueError: If the destination is neither.
    """
    endpoints = [endpoint_of(trunk_id, place) for place in range(1, len(addresses) + 1)]
    if _NUMBER.fullmatch(destination):
        usual = (f"PJSIP/{destination}@{endpoint}" for endpoint in endpoints)
        anyway = (
            f"PJSIP/{destination}@{endpoint}/{anyway_of(endpoint)}" for endpoint in endpoints
        )
        return (*usual, *anyway)
    if _SIP_URI.fullmatch(destination):
        return tuple(f"PJSIP/{endpoint}/{destination}" for endpoint in endpoints)
    raise ValueError("is neither a number nor a SIP URI")


def endpoint_in(dial_string: str) -> str:
    """Name the endpoint that a string of `dial_strings` leads over."""
    technology_and_rest = dial_string.split("/")
    return technology_and_rest[1].rpartition("@")[2] if len(technology_and_rest) > 1 else ""


def is_username(text: str) -> bool:
    """Whether a name can stand in SIP headers and in the dialplan as it is."""
    return _USERNAME.fullmatch(text) is not None


def split_address(text: str) -> tuple[str, int | None]:
    """Take `host` or `host:port` apart, IPv6 in brackets, as they are stored."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return text, None
    return match[1], None if match[2] is None else int(match[2])
