"""ARI requests that call somebody: the channel is made first, and dialled when we are ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sovereign_ari.errors import AsteriskRefused
from sovereign_ari.media.pcm import BY_CODEC, AudioFormat
from sovereign_ari.wire.ari_requests import AriRequests


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A channel to be made.

    Attributes:
        channel: Its id.
        endpoint: Whom it is for, e.g. `PJSIP/+31201234567@trunk-...-1`.
        argument: Its first Stasis argument.
        audio: The codec that it offers first; all of ours that the endpoint allows follow. A
            channel of our own dialplan, which stands between two others, has this one alone.
        variables: Channel variables and dialplan functions, set before it is dialled.
    """

    channel: str
    endpoint: str
    argument: str
    audio: AudioFormat | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


class CallingRequests(AriRequests):
    """The part of `AriHttp` that calls."""

    async def create_channel(self, outgoing: Outgoing) -> None:
        """Make a channel in our application. Nothing leaves the PBX yet."""
        first = () if outgoing.audio is None else (outgoing.audio.encoding.value,)
        # A Local channel takes the best-sounding of several, and what comes through it would be
        # transcoded: Asterisk drops that silently once a new sender counts lower than the last.
        others = () if first and outgoing.endpoint.startswith("Local/") else BY_CODEC
        query = {
            "channelId": outgoing.channel,
            "endpoint": outgoing.endpoint,
            "app": self._app,
            "appArgs": outgoing.argument,
            # Without any, Asterisk asks the endpoint for linear audio, and offers just that.
            "formats": ",".join(dict.fromkeys((*first, *others))),
        }
        await self._ask("POST", "channels/create", query, {"variables": dict(outgoing.variables)})

    async def has_endpoint(self, name: str) -> bool:
        """Whether the PBX knows a PJSIP endpoint."""
        try:
            await self._ask("GET", f"endpoints/PJSIP/{name}")
        except AsteriskRefused as refused:
            if refused.status == 404:
                return False
            raise
        return True

    async def dial_channel(self, channel: str, ring_s: int) -> None:
        """Send its INVITE; events tell what becomes of it.

        Args:
            channel: One of `create_channel`.
            ring_s: After so many seconds without an answer it is hung up.
        """
        await self._ask("POST", f"channels/{channel}/dial", {"timeout": str(ring_s)})
