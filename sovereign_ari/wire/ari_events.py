"""The event half of an ARI client: one socket, one reader that only decodes and posts.

The reader must never be slow: Asterisk drops an application whose socket does not drain
(`websocket_write_timeout`), and a backlog makes PJSIP refuse calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aiohttp

from sovereign_ari.errors import AsteriskUnavailable, SovereignError
from sovereign_ari.wire.ari_http import AriAddress
from sovereign_ari.wire.ari_messages import (
    ApplicationReplaced,
    AriEvent,
    AriGarbage,
    decode_event,
)

CONNECT_TIMEOUT_S = 5.0
HEARTBEAT_S = 15.0
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
LARGEST_EVENT_BYTES = 1 << 20
NOT_READ = (
    "BridgeCreated",
    "BridgeDestroyed",
    "ChannelCallerId",
    "ChannelConnectedLine",
    "ChannelCreated",
    "ChannelDialplan",
    "ChannelEnteredBridge",
    "ChannelLeftBridge",
    "ChannelVarset",
)
"""Most of what Asterisk says of a call, and nothing of it is of use here."""

log = logging.getLogger(__name__)


class AriEvents:
    """Keeps the event socket open, for as long as `run` runs.

    Args:
        address: Where ARI is, and the name of our application.
        post: Takes each event. Must return at once.
        connected: Awaited after each connect, while events already queue up in the socket:
            the place to compare our calls with what Asterisk has.
    """

    def __init__(
        self,
        address: AriAddress,
        *,
        post: Callable[[AriEvent], None],
        connected: Callable[[], Awaitable[None]],
    ) -> None:
        self._address = address
        self._post = post
        self._connected = connected
        self.is_open = False
        self.garbage = 0
        self.reconnects = 0

    async def run(self) -> None:
        """Read events until cancelled; reconnect with growing delays."""
        delay_s = FIRST_DELAY_S
        async with aiohttp.ClientSession(headers=self._address.headers()) as session:
            while True:
                try:
                    await self._read(session)
                    delay_s = FIRST_DELAY_S
                except (aiohttp.ClientError, TimeoutError, SovereignError, OSError) as error:
                    log.warning("ari events: %s: %s", type(error).__name__, error)
                    delay_s = min(delay_s * 2, LONGEST_DELAY_S)
                finally:
                    self.is_open = False
                self.reconnects += 1
                await asyncio.sleep(delay_s)

    async def _read(self, session: aiohttp.ClientSession) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            socket = await session.ws_connect(
                f"{self._address.url}/events",
                params={"app": self._address.app},
                heartbeat=HEARTBEAT_S,
                max_msg_size=LARGEST_EVENT_BYTES,
                compress=0,
            )
        async with socket:
            await self._want_less(session)
            self.is_open = True
            log.info("ari events connected")
            await self._connected()
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    self.garbage += 1
                else:
                    self._take(message.data)
        log.warning("ari events closed")

    async def _want_less(self, session: aiohttp.ClientSession) -> None:
        """Have Asterisk keep to itself what we do not read; without this we are only slower."""
        types = [{"type": name} for name in NOT_READ]
        async with (
            asyncio.timeout(CONNECT_TIMEOUT_S),
            session.put(
                f"{self._address.url}/applications/{self._address.app}/eventFilter",
                json={"disallowed": types},
            ) as answer,
        ):
            if answer.status >= 400:
                log.warning("ari events: not filtered, for Asterisk answers %d", answer.status)

    def _take(self, text: str) -> None:
        """Decode and post one frame.

        Raises:
            AsteriskUnavailable: If the socket has become useless. The delay before the next one
                grows, so that two controllers of one name do not take turns ten times a second.
        """
        try:
            event = decode_event(text)
        except AriGarbage:
            self.garbage += 1
            if self.garbage == 1 or self.garbage % 1000 == 0:
                log.warning("ari events: dropped %d frames that are no events", self.garbage)
            return
        if isinstance(event, ApplicationReplaced):
            raise AsteriskUnavailable(
                f"another controller took over the application {self._address.app}"
            )
        if event is not None:
            self._post(event)
