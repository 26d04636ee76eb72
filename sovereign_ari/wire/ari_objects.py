"""Configuration objects that we push into the PBX's memory (ARI `/asterisk/config/dynamic`)."""

from __future__ import annotations

from collections.abc import Sequence

from sovereign_ari.errors import AsteriskRefused, AsteriskUnknown
from sovereign_ari.wire.ari_http import AriHttp

CLASS = "res_pjsip"
"""The class of every object of ours, of identify and registration too."""

Fields = Sequence[tuple[str, str]]


class AriObjects:
    """Requests for the objects of PJSIP.

    Args:
        ari: Makes them.
    """

    def __init__(self, ari: AriHttp) -> None:
        self._ari = ari

    async def read(self, kind: str, name: str) -> list[tuple[str, str]] | None:
        """Read all fields of an object, those left to their defaults too; None when it is gone."""
        try:
            answer = await self._ari.ask("GET", _path(kind, name))
        except AsteriskRefused as refused:
            if refused.status == 404:
                return None
            raise
        try:
            return [(str(field["attribute"]), str(field["value"])) for field in answer]
        except (TypeError, KeyError):
            raise AsteriskUnknown(f"{_path(kind, name)}: not a list of fields") from None

    async def put(self, kind: str, name: str, fields: Fields) -> None:
        """Make an object, or change the named fields of one; lists of values grow.

        Raises:
            AsteriskRefused: With 400 when a field does not fit.
        """
        body = {"fields": [{"attribute": key, "value": value} for key, value in fields]}
        await self._ari.ask("PUT", _path(kind, name), body=body)

    async def delete(self, kind: str, name: str) -> None:
        """Remove an object. Gone already is fine."""
        try:
            await self._ari.ask("DELETE", _path(kind, name))
        except AsteriskRefused as refused:
            if refused.status != 404:
                raise

    async def endpoints(self) -> dict[str, list[str]]:
        """Name every PJSIP endpoint, with the ids of its channels."""
        answer = await self._ari.ask("GET", "endpoints/PJSIP")
        try:
            return {
                str(one["resource"]): [str(channel) for channel in one["channel_ids"]]
                for one in answer
            }
        except (TypeError, KeyError):
            raise AsteriskUnknown("endpoints/PJSIP: not a list of endpoints") from None

    async def channels(self) -> dict[str, list[str]]:
        """Name the endpoints of all PJSIP channels, with the ids of theirs.

        What an endpoint itself lists is lost when it is pushed again.
        """
        found: dict[str, list[str]] = {}
        for channel in await self._ari.channels():
            driver, _, name = channel.name.partition("/")
            if driver == "PJSIP":
                found.setdefault(name.rpartition("-")[0], []).append(channel.id)
        return found

    async def channel_variable(self, channel: str, name: str) -> str:
        """Read a variable of a channel; empty when there is none, or no channel any more."""
        return await self._ari.channel_variable(channel, name)

    async def global_variable(self, name: str) -> str:
        """Read a global variable of the dialplan; empty when it is not set."""
        return await self._ari.global_variable(name)

    async def set_global_variable(self, name: str, value: str) -> None:
        """Set a global variable of the dialplan."""
        await self._ari.ask("POST", "asterisk/variable", {"variable": name, "value": value})


def _path(kind: str, name: str) -> str:
    return f"asterisk/config/dynamic/{CLASS}/{kind}/{name}"
