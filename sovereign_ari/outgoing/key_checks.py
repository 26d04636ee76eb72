"""Asks a vendor whether it takes a key, before the key is stored.

The table says how to ask each vendor for something small that costs nothing. Its addresses are
the vendors' own, and OpenAI's may be the operator's: none comes from a client.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from urllib.parse import urlsplit

from sovereign_ari.errors import Impossible, OutgoingFailed
from sovereign_ari.outgoing.http import Answer, OutgoingHttp
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.outgoing.service_account import TOKEN_URL, read_service_account

TIMEOUT_S = 10.0
OPENAI_URL = "https://api.openai.com/v1"
_ANYWHERE = OutgoingPolicy([ip_network("0.0.0.0/0"), ip_network("::/0")])

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask a vendor.

    Attributes:
        url: Asked with GET.
        header: Carries the key.
        form: How it does.
        limited: What a refusal says of a key that is genuine, but may not do just this.
        blocked: Names in the answer that are true for a key that exists and works no longer.
    """

    url: str
    header: str = "Authorization"
    form: str = "Bearer {}"
    limited: bytes | None = None
    blocked: tuple[str, ...] = ()

    def headers(self, api_key: str) -> dict[str, str]:
        """Headers of the request."""
        return {self.header: self.form.format(api_key)}


# From the vendors' references, November 2026.
QUESTIONS: Mapping[str, Question] = {
    "openai": Question(f"{OPENAI_URL}/models"),
    "deepgram": Question("https://api.deepgram.com/v1/auth/token", form="Token {}"),
    "elevenlabs": Question(
        "https://api.elevenlabs.io/v1/models", "xi-api-key", "{}", b"missing_permissions"
    ),
    "resend": Question("https://api.resend.com/domains", limited=b"restricted_api_key"),
    "xai": Question(
        "https://api.x.ai/v1/api-key",
        blocked=("api_key_blocked", "api_key_disabled", "team_blocked"),
    ),
    "gladia": Question("https://api.gladia.io/v2/pre-recorded?limit=1", "x-gladia-key", "{}"),
    "mistral": Question("https://api.mistral.ai/v1/models"),
    "inworld": Question("https://api.inworld.ai/voices/v1/voices", form="Basic {}"),
    "google": Question(
        "https://generativelanguage.googleapis.com/v1beta/models?pageSize=1",
        "x-goog-api-key",
        "{}",
    ),
}
VERTEX = "google_vertex"


class KeyChecks:
    """Asks the vendors of the table.

    Args:
        openai_base_url: Of OpenAI, or of the server that the operator has in its place.
        at: Other servers to ask instead, `http://host:port` by provider.
    """

    def __init__(
        self, openai_base_url: str = OPENAI_URL, at: Mapping[str, str] | None = None
    ) -> None:
        self._at = at or {}
        openai = Question(f"{openai_base_url.rstrip('/')}/models")
        self._questions = {**QUESTIONS, "openai": openai}

    async def check(self, provider: str, api_key: str) -> None:
        """Return when the vendor takes the key. Nothing is tried twice.

        Raises:
            Impossible: When it refuses the key, `byok_key_refused`, or cannot be asked or gives no
                clear answer, `byok_key_unverified`.
            InvalidRequest: For a service account that is none.
        """
        if provider != VERTEX and provider not in self._questions:
            raise _unverified(f"the keys of {provider} cannot be verified; send it without verify")
        http = OutgoingHttp(_ANYWHERE)
        try:
            if provider == VERTEX:
                taken = await self._ask_google(http, api_key)
            else:
                taken = await self._ask(http, provider, api_key)
        except OutgoingFailed as error:
            _log.warning("%s could not be asked about a key: %s", provider, error)
            raise _unverified(f"{provider} did not answer, so the key was not stored") from None
        finally:
            await http.close()
        if not taken:
            raise Impossible(
                f"api_key: {provider} refuses this key, so it was not stored",
                code="byok_key_refused",
                param="api_key",
            )

    async def _ask(self, http: OutgoingHttp, provider: str, api_key: str) -> bool:
        question = self._questions[provider]
        answer = await http.send(
            "GET",
            self._address(provider, question.url),
            headers=question.headers(api_key),
            timeout_s=TIMEOUT_S,
        )
        if question.limited is not None and question.limited in answer.body:
            return True
        if any(_json(answer).get(name) is True for name in question.blocked):
            return False
        return _taken(provider, answer)

    async def _ask_google(self, http: OutgoingHttp, api_key: str) -> bool:
        answer = await http.send(
            "POST",
            self._address(VERTEX, TOKEN_URL),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=read_service_account(api_key).grant(int(time.time())),
            timeout_s=TIMEOUT_S,
        )
        if answer.status == 400 and _json(answer).get("error") == "invalid_grant":
            return False
        if _taken(VERTEX, answer) and "access_token" not in _json(answer):
            raise _unverified("Google gave no token, so the key was not stored")
        return answer.status < 300

    def _address(self, provider: str, url: str) -> str:
        """The vendor's address, or the same path at the server that stands in for it."""
        if provider not in self._at:
            return url
        parts = urlsplit(url)
        return self._at[provider] + parts.path + (f"?{parts.query}" if parts.query else "")


def _taken(provider: str, answer: Answer) -> bool:
    """Read an answer; xAI, Google and Resend say 400 to a key that is none of theirs."""
    if 200 <= answer.status < 300:
        return True
    named = b"api key" in answer.body.lower() or b"api_key" in answer.body.lower()
    if answer.status in (401, 403) or (answer.status == 400 and named):
        return False
    raise _unverified(
        f"{provider} answered {answer.status} when it was asked about the key, so it was not"
        " stored"
    )


def _json(answer: Answer) -> Mapping[str, object]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _unverified(message: str) -> Impossible:
    return Impossible(f"api_key: {message}", code="byok_key_unverified", param="api_key")
