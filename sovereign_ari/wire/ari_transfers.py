"""ARI requests that hand a caller over to somebody else."""

from __future__ import annotations

from collections.abc import Mapping

from sovereign_ari.errors import AsteriskRefused, AsteriskUnknown
from sovereign_ari.wire.ari_requests import AriRequests

_MOST_SUBSCRIPTIONS = 4  # that we may have on one channel: it was made, dialled, watched, joined


class TransferRequests(AriRequests):
    """The part of `AriHttp` that hands over."""

    async def channel_name(self, channel: str) -> str:
        """Say how Asterisk calls a channel, e.g. `PJSIP/trunk-...-1-0000002a`."""
        return _field(await self._ask("GET", f"channels/{channel}"), "name")

    async def channel_variable(self, channel: str, name: str) -> str:
        """Read a variable of a channel; empty when it has none."""
        try:
            answer = await self._ask("GET", f"channels/{channel}/variable", {"variable": name})
        except AsteriskRefused as refused:
            if refused.status == 404:
                return ""
            raise
        return _field(answer, "value")

    async def decline_referral(self, channel: str) -> None:
        """Answer the REFER of a phone with a NOTIFY that says 603."""
        await self._ask(
            "POST", f"channels/{channel}/transfer_progress", {"states": "channel_declined"}
        )

    async def stop_watching(self, channel: str) -> None:
        """Take no part in a channel any more: its events stop, and it is not listed as ours."""
        for _ in range(_MOST_SUBSCRIPTIONS):
            try:
                left = await self._ask(
                    "DELETE",
                    f"applications/{self._app}/subscription",
                    {"eventSource": f"channel:{channel}"},
                )
            except AsteriskRefused as refused:
                if refused.status in (404, 409, 422):  # there is no such subscription
                    return
                raise
            if not isinstance(left, Mapping) or channel not in left.get("channel_ids", ()):
                return


def _field(answer: object, name: str) -> str:
    if not isinstance(answer, Mapping) or name not in answer:
        raise AsteriskUnknown(f"an answer without {name}")
    return str(answer[name])
