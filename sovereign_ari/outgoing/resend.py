"""Resend, the vendor of mail: the part of its API about domains.

<https://resend.com/docs/api-reference/domains>, November 2026. Errors are JSON objects with
`statusCode`, `name` and `message`; a request too many (429) was not processed.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sovereign_ari.errors import Impossible, NotFound, OutgoingFailed
from sovereign_ari.outgoing.http import Answer, OutgoingHttp

PAGE = 100
MOST_PAGES = 20
LONGEST_WAIT_S = 2.0
_LONGEST_MESSAGE = 300
_OF_THE_KEY = ("missing_api_key", "restricted_api_key", "invalid_api_key")
_UNSTORABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_RECORD_TEXTS = ("record", "name", "type", "ttl", "status", "value")


@dataclass(frozen=True, slots=True)
class RemoteDomain:
    """A domain as Resend knows it. `records` are what its DNS must say; lists leave them out."""

    id: str
    name: str
    status: str
    region: str | None
    records: list[dict[str, Any]] | None


class Resend:
    """Speaks for one account.

    Args:
        http: Sends the requests.
        url: Of the API, without a slash at its end.
        api_key: Of the account.
    """

    def __init__(self, http: OutgoingHttp, url: str, api_key: str) -> None:
        self._http = http
        self._url = url
        self._api_key = api_key

    def __repr__(self) -> str:
        return f"<Resend at {self._url}>"

    async def create(self, name: str, region: str) -> RemoteDomain:
        """Add a domain.

        Raises:
            Impossible: As every request here: when Resend refuses the key, refuses what is asked
                or gives no answer we can use.
        """
        return _domain(await self._ask("POST", "/domains", {"name": name, "region": region}))

    async def get(self, domain_id: str) -> RemoteDomain:
        """Read a domain.

        Raises:
            NotFound: If the account has no such domain.
        """
        return _domain(await self._about(domain_id, "GET"))

    async def verify(self, domain_id: str) -> RemoteDomain:
        """Have the DNS looked at, which takes Resend a while, and read the domain.

        Raises:
            NotFound: If the account has no such domain.
        """
        await self._about(domain_id, "POST", "/verify")
        return await self.get(domain_id)

    async def delete(self, domain_id: str) -> None:
        """Remove a domain; one that is gone already is fine.

        Raises:
            Impossible: As `create`.
        """
        try:
            await self._about(domain_id, "DELETE")
        except NotFound:
            return

    async def list(self) -> list[RemoteDomain]:
        """All domains of the account, up to 2000."""
        found: list[RemoteDomain] = []
        for _ in range(MOST_PAGES):
            after = f"&after={quote(found[-1].id, safe='')}" if found else ""
            page = await self._ask("GET", f"/domains?limit={PAGE}{after}")
            items = page.get("data")
            if not isinstance(items, list):
                raise _unavailable("its list of domains is none")
            found += [_domain(item) for item in items]
            if page.get("has_more") is not True or not items:
                break
        return found

    async def _about(self, domain_id: str, method: str, action: str = "") -> Mapping[str, Any]:
        path = f"/domains/{quote(domain_id, safe='')}{action}"
        return await self._ask(method, path, missing=f"Resend has no domain {domain_id}")

    async def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        missing: str | None = None,
    ) -> Mapping[str, Any]:
        """Send a request, once more when it came too soon; `missing` is what a 404 means."""
        answer = await self._send(method, path, body)
        if answer.status == 429:
            await asyncio.sleep(_wait_s(answer))
            answer = await self._send(method, path, body)
        content = _object(answer.body)
        if 200 <= answer.status < 300:
            if content is None:
                raise _unavailable("its answer is not a JSON object")
            return content
        if answer.status == 404 and missing is not None:
            raise NotFound(missing)
        raise self._refusal(answer.status, content or {})

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> Answer:
        headers = {"Authorization": f"Bearer {self._api_key}", "Accept": "application/json"}
        raw = None
        if body is not None:
            raw = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            return await self._http.send(method, self._url + path, headers=headers, body=raw)
        except OutgoingFailed as error:
            raise _unavailable(str(error)) from error

    def _refusal(self, status: int, content: Mapping[str, Any]) -> Impossible:
        """Say what Resend said, in a bounded line without the key."""
        told = str(content.get("message") or f"HTTP {status}").replace(self._api_key, "…")
        said = _UNSTORABLE.sub(" ", told)[:_LONGEST_MESSAGE]
        of_the_key = content.get("name") in _OF_THE_KEY or "api key is invalid" in said.lower()
        if status == 401 or of_the_key:
            return Impossible(
                f"Resend refuses the stored key: {said}. Store another with POST /byok",
                code="byok_key_refused",
                param="resend",
            )
        if status == 429 or not 400 <= status < 500:
            return _unavailable(said)
        return Impossible(f"Resend refuses: {said}", code="resend_refused")


def _unavailable(why: str) -> Impossible:
    return Impossible(
        f"Resend cannot be asked now, try again later: {why}", code="resend_unavailable"
    )


def _wait_s(answer: Answer) -> float:
    """How long Resend asks to wait, within reason."""
    try:
        wanted_s = float(answer.headers.get("Retry-After", "1"))
    except ValueError:
        wanted_s = 1.0
    return min(max(wanted_s, 0.0), LONGEST_WAIT_S) if wanted_s == wanted_s else 1.0


def _object(raw: bytes) -> Mapping[str, Any] | None:
    """Read a JSON object, None for anything else."""
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _domain(content: Any) -> RemoteDomain:
    """Read a domain; of what Resend says we keep what we know, and only what can be stored."""
    if not isinstance(content, dict):
        raise _unavailable("a domain in its answer is no JSON object")
    found = {name: content.get(name) for name in ("id", "name", "status")}
    for name, value in found.items():
        if not isinstance(value, str) or not value or _UNSTORABLE.search(value):
            raise _unavailable(f"a domain in its answer has no {name}")
    records = content.get("records")
    return RemoteDomain(
        id=str(found["id"]),
        name=str(found["name"]),
        status=str(found["status"]),
        region=_text(content.get("region")),
        records=[_record(item) for item in records if isinstance(item, dict)]
        if isinstance(records, list)
        else None,
    )


def _record(content: Mapping[str, Any]) -> dict[str, Any]:
    priority = content.get("priority")
    known: dict[str, Any] = {name: _text(content.get(name)) for name in _RECORD_TEXTS}
    known["priority"] = priority if type(priority) is int else None
    return known


def _text(value: Any) -> str | None:
    return None if value is None else _UNSTORABLE.sub(" ", str(value))[:4096]
