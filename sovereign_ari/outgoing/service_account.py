"""Google's service accounts: the JSON document that is their key, and proving to hold it.

The grant is RFC 7523 section 2.1, as Google documents it for server-to-server applications.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sovereign_ari.errors import InvalidRequest

TOKEN_URL = "https://oauth2.googleapis.com/token"
OLDER_TOKEN_URLS = (
    "https://accounts.google.com/o/oauth2/token",
    "https://www.googleapis.com/oauth2/v4/token",
)
LONGEST = 16 * 1024
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GOOD_FOR_S = 300
_NEEDED = ("project_id", "private_key_id", "private_key", "client_email")
_SMALLEST_BITS, _LARGEST_BITS = 2048, 4096
_LONGEST_FIELD = 8192


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What of the document is needed to prove who we are."""

    email: str
    key_id: str
    key: RSAPrivateKey = field(repr=False)

    def grant(self, now_s: int) -> bytes:
        """A form that asks Google for a token; good for five minutes from `now_s` (Unix)."""
        header = {"alg": "RS256", "typ": "JWT", "kid": self.key_id}
        claims = {
            "iss": self.email,
            "scope": SCOPE,
            "aud": TOKEN_URL,
            "iat": now_s,
            "exp": now_s + GOOD_FOR_S,
        }
        signed = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
        signature = self.key.sign(signed, PKCS1v15(), hashes.SHA256())
        assertion = signed + b"." + _base64url(signature)
        return urlencode({"grant_type": GRANT_TYPE, "assertion": assertion.decode()}).encode()


def read_service_account(text: str) -> ServiceAccount:
    """Read the JSON document that Google gives for a service account.

    Raises:
        InvalidRequest: With one line per fault, none of which repeats what the document says.
    """
    document = _parse(text)
    lines = list(_faults(document))
    key = None if lines else _private_key(document["private_key"])
    if not lines and key is None:
        lines = [
            f"private_key: is not an unencrypted RSA key in PEM of {_SMALLEST_BITS} to"
            f" {_LARGEST_BITS} bits"
        ]
    if key is None:
        raise _refusal(lines)
    return ServiceAccount(document["client_email"], document["private_key_id"], key)


def _parse(text: str) -> dict[str, Any]:
    if len(text) > LONGEST:
        raise _refusal([f"is longer than {LONGEST} characters"])
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _refusal(["must be the JSON document of a service account, as a text"])
    return document


def _faults(document: dict[str, Any]) -> list[str]:
    lines = []
    if document.get("type") != "service_account":
        lines.append('type: must be "service_account"')
    for name in _NEEDED:
        value = document.get(name)
        if value is None:
            lines.append(f"{name}: is missing in the document")
        elif not isinstance(value, str) or not 0 < len(value) <= _LONGEST_FIELD:
            lines.append(f"{name}: must be a text of 1 to {_LONGEST_FIELD} characters")
    if document.get("token_uri", TOKEN_URL) not in (TOKEN_URL, *OLDER_TOKEN_URLS):
        lines.append(f"token_uri: must be Google's own, {TOKEN_URL}")
    return lines


def _private_key(pem: str) -> RSAPrivateKey | None:
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if isinstance(key, RSAPrivateKey) and _SMALLEST_BITS <= key.key_size <= _LARGEST_BITS:
        return key
    return None


def _refusal(lines: list[str]) -> InvalidRequest:
    details = tuple(
        f"api_key.{line}" if line.partition(":")[1] else f"api_key: {line}" for line in lines
    )
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return InvalidRequest(details[0] + more, details=details, param="api_key")


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
