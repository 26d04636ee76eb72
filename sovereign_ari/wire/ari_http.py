"""ARI requests over HTTP: one method per request that we make.

*Refused* and *unknown* are told apart. After `AsteriskRefused` nothing changed. After
`AsteriskUnknown` (a time-out, a reset) what was asked for may exist, so every id is chosen by us
before the request, and undoing by that id is always possible. Deleting what is gone already is no
error: somebody else cleaned.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from pydantic import TypeAdapter, ValidationError

from sovereign_ari.errors import AsteriskRefused, AsteriskUnavailable, AsteriskUnknown
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.wire.ari_calling import CallingRequests
from sovereign_ari.wire.ari_messages import Application, Bridge, Channel
from sovereign_ari.wire.ari_transfers import TransferRequests

REQUEST_TIMEOUT_S = 5.0
CONNECTIONS = 50

_CHANNEL = TypeAdapter(Channel)
_CHANNELS = TypeAdapter(list[Channel])
_BRIDGES = TypeAdapter(list[Bridge])
_APPLICATION = TypeAdapter(Application)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class AriAddress:
    """Where ARI is and who we are there.

    Attributes:
        url: Up to and without `/channels`, e.g. `http://127.0.0.1:8088/ari`.
        username: Name of the section in ari.conf.
        password: Its password.
        app: Our Stasis application.
    """

    url: str
    username: str
    password: str
    app: str

    def headers(self) -> dict[str, str]:
        """Build the Authorization header of every request."""
        token = b64encode(f"{self.username}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {token}"}


@dataclass(frozen=True, slots=True)
class Origination:
    """A channel that we make.

    Attributes:
        channel: Id of the new channel.
        endpoint: Whom it calls, e.g. `Local/1000@from-local/n`.
        audio: The codec that it offers.
        caller: Calling number.
        argument: First Stasis argument of the channel once it is answered.
        ring_s: How long it may ring, in whole seconds.
    """

    channel: str
    endpoint: str
    audio: AudioFormat
    caller: str
    argument: str
    ring_s: int


class AriHttp(CallingRequests, TransferRequests):
    """The request half of an ARI client, with keep-alive connections and a deadline each.

    Args:
        address: Where ARI is.
        timeout_s: Deadline of one request.
    """

    def __init__(self, address: AriAddress, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self._address = address
        self._app = address.app
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=10),
            headers=self._address.headers(),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def started_at(self) -> str:
        """Return Asterisk's start-up time; a new value means that it was restarted."""
        answer = await self._ask("GET", "asterisk/info", {"only": "status"})
        try:
            return str(answer["status"]["startup_time"])
        except (TypeError, KeyError):
            raise AsteriskUnknown("asterisk/info: no start-up time") from None

    async def application(self) -> Application | None:
        """Return what our application owns, or None while it is not registered."""
        try:
            answer = await self._ask("GET", f"applications/{self._address.app}")
        except AsteriskRefused as refused:
            if refused.status == 404:
                return None
            raise
        return _read(_APPLICATION, answer)

    async def channels(self) -> list[Channel]:
        """List every channel of the PBX."""
        return _read(_CHANNELS, await self._ask("GET", "channels"))

    async def bridges(self) -> list[Bridge]:
        """List every bridge of the PBX."""
        return _read(_BRIDGES, await self._ask("GET", "bridges"))

    async def watch_channel(self, channel: str) -> None:
        """Keep a channel's events coming after it has left our application."""
        await self._ask(
            "POST",
            f"applications/{self._address.app}/subscription",
            {"eventSource": f"channel:{channel}"},
        )

    async def originate(self, origination: Origination) -> None:
        """Call somebody; the channel enters our application when it is answered."""
        await self._ask(
            "POST",
            "channels",
            {
                "channelId": origination.channel,
                "endpoint": origination.endpoint,
                "formats": origination.audio.encoding.value,
                "callerId": origination.caller,
                "app": self._address.app,
                "appArgs": origination.argument,
                "timeout": str(origination.ring_s),
            },
        )

    async def ring(self, channel: str) -> None:
        """Tell the caller that it rings (SIP 180)."""
        await self._ask("POST", f"channels/{channel}/ring")

    async def set_variables(self, channel: str, values: Mapping[str, str]) -> None:
        """Set channel variables and dialplan functions, e.g. `TIMEOUT(absolute)`, in order."""
        await self._ask("POST", f"channels/{channel}/variables", body={"variables": values})

    async def global_variable(self, name: str) -> str:
        """Read a global variable of the PBX; empty when there is none."""
        try:
            answer = await self._ask("GET", "asterisk/variable", {"variable": name})
        except AsteriskRefused as refused:
            if refused.status == 404:
                return ""
            raise
        return str(answer["value"])

    async def forget_global_variable(self, name: str) -> None:
        """Remove a global variable of the PBX."""
        await self._ask("POST", "asterisk/variable", {"variable": name})

    async def continue_in_dialplan(self, channel: str, context: str, exten: str) -> None:
        """Send a channel back into the dialplan, at priority 1."""
        await self._ask(
            "POST",
            f"channels/{channel}/continue",
            {"context": context, "extension": exten, "priority": "1"},
        )

    async def open_external_media(
        self, channel: str, *, to: tuple[str, int], audio: AudioFormat, argument: str
    ) -> tuple[str, int]:
        """Make an RTP leg that sends to us, and return the address that it receives on.

        Args:
            channel: Id of the new channel.
            to: Our socket; an IP address, never a name (Asterisk resolves names while blocking).
            audio: What both directions carry.
            argument: First Stasis argument of the new channel.
        """
        answer = await self._ask(
            "POST",
            "channels/externalMedia",
            {
                "channelId": channel,
                "app": self._address.app,
                "external_host": f"{to[0]}:{to[1]}",
                "format": audio.encoding.value,
                "data": argument,
            },
        )
        variables = _read(_CHANNEL, answer).channelvars
        try:
            port = int(variables["UNICASTRTP_LOCAL_PORT"])
            return str(variables["UNICASTRTP_LOCAL_ADDRESS"]), port
        except (KeyError, ValueError) as error:
            raise AsteriskUnknown(f"the media leg has no address: {error!r}") from None

    async def create_bridge(self, bridge: str) -> None:
        """Make a mixing bridge; its name says which application owns it."""
        await self._ask(
            "POST",
            "bridges",
            {
                "bridgeId": bridge,
                "name": self._address.app,
                "type": "mixing,dtmf_events,proxy_media",
            },
        )

    async def add_to_bridge(self, bridge: str, *channels: str) -> None:
        """Join channels.

        Connected-line updates are off: otherwise Asterisk re-INVITEs the carrier with the empty
        identity of the media leg.
        """
        await self._ask(
            "POST",
            f"bridges/{bridge}/addChannel",
            {"channel": ",".join(channels), "inhibitConnectedLineUpdates": "true"},
        )

    async def hang_up(self, channel: str, cause: int = 16) -> None:
        """End a channel with a Q.850 cause. Gone already is fine."""
        await self._delete(f"channels/{channel}", {"reason_code": str(cause)})

    async def destroy_bridge(self, bridge: str) -> None:
        """End a bridge; ARI bridges never end by themselves. Gone already is fine."""
        await self._delete(f"bridges/{bridge}")

    async def _delete(self, path: str, query: Mapping[str, str] | None = None) -> None:
        try:
            await self._ask("DELETE", path, query)
        except AsteriskRefused as refused:
            if refused.status != 404:
                raise

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Make a request of a group that has a module of its own."""
        return await self._ask(method, path, query, body)

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Make one request and return its decoded body, None when it has none."""
        assert self._session is not None, "use `async with`"
        what = f"{method} {path}"
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.request(
                    method, f"{self._address.url}/{path}", params=query, json=body
                ) as response,
            ):
                if response.status >= 400:
                    said = (await response.text(errors="replace"))[:200]
                    raise AsteriskRefused(
                        response.status, f"{what}: {response.status} {said.strip()}"
                    )
                if response.status == 204:
                    return None
                return await response.json(content_type=None)
        except aiohttp.ClientConnectorError as error:
            raise AsteriskUnavailable(f"{what}: {error}") from error
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise AsteriskUnknown(f"{what}: {type(error).__name__} {error}") from error


def _read(adapter: TypeAdapter[_T], answer: Any) -> _T:
    try:
        return adapter.validate_python(answer)
    except ValidationError as error:
        raise AsteriskUnknown(f"an answer that ARI does not give: {error.title}") from None
