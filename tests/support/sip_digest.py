"""Digest authentication as a telephone does it (RFC 8760: MD5 and SHA-256, qop auth)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

_FIELD = re.compile(r'(\w+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s,"]+))')
_HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a WWW-Authenticate or Proxy-Authenticate header asks."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: str | None = None
    opaque: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we say we are."""

    user: str
    password: str


def parse_challenge(value: str) -> Challenge | None:
    """Read a challenge; None when it is not Digest or uses an algorithm we do not know."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    fields = {m[1].lower(): m[2] if m[2] is not None else m[3] for m in _FIELD.finditer(rest)}
    algorithm = fields.get("algorithm", "MD5").upper()
    if algorithm not in _HASHES:
        return None
    offered = [part.strip() for part in fields.get("qop", "").split(",")]
    qop = "auth" if "auth" in offered else None
    return Challenge(
        fields.get("realm", ""), fields.get("nonce", ""), algorithm, qop, fields.get("opaque")
    )


def strongest(values: list[str]) -> Challenge | None:
    """Choose the challenge to answer: SHA-256 before MD5."""
    known = [challenge for value in values if (challenge := parse_challenge(value))]
    known.sort(key=lambda challenge: challenge.algorithm != "SHA-256")
    return known[0] if known else None


def authorization(
    challenge: Challenge, credentials: Credentials, method: str, uri: str, cnonce: str
) -> str:
    """Write the value of the Authorization header; the nonce count is always 1."""
    digest = _HASHES[challenge.algorithm]
    first = digest(f"{credentials.user}:{challenge.realm}:{credentials.password}".encode())
    second = digest(f"{method}:{uri}".encode())
    middle = f":00000001:{cnonce}:auth" if challenge.qop else ""
    response = digest(f"{first}:{challenge.nonce}{middle}:{second}".encode())
    fields = [
        f'username="{credentials.user}"',
        f'realm="{challenge.realm}"',
        f'nonce="{challenge.nonce}"',
        f'uri="{uri}"',
        f'response="{response}"',
        f"algorithm={challenge.algorithm}",
    ]
    if challenge.qop:
        fields += ["qop=auth", "nc=00000001", f'cnonce="{cnonce}"']
    if challenge.opaque is not None:
        fields.append(f'opaque="{challenge.opaque}"')
    return "Digest " + ", ".join(fields)
