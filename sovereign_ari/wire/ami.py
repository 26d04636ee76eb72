"""The Asterisk Manager Interface, for the few things that ARI does not tell.

That is the state of registrations and of the OPTIONS that the PBX sends to trunks. Only actions
that answer with a list are asked; events of other kinds are switched off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from sovereign_ari.errors import AsteriskRefused, AsteriskUnavailable, AsteriskUnknown

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 5.0
LONGEST_LINE_BYTES = 1 << 16
_FAULTS = (
    OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
)  # fmt: skip

Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class AmiAddress:
    """Where the manager interface is and who we are there."""

    host: str
    port: int
    username: str
    password: str


class Ami:
    """One connection, made at the first question and again after each loss.

    Not for two questions at once: answers are told apart by their order.
    """

    def __init__(self, address: AmiAddress) -> None:
        self._address = address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def close(self) -> None:
        """End the connection."""
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await writer.wait_closed()

    async def ask(self, action: str, **fields: str) -> list[Message]:
        """Ask for a list; gives its entries.

        Args:
            action: Its name.
            fields: Further headers; their values must not hold line breaks.

        Raises:
            AsteriskUnavailable: If the PBX cannot be reached.
            AsteriskUnknown: If it does not answer as it should.
            AsteriskRefused: If it does not let us in, or refuses the action.
        """
        return await self._exchange(action, fields, self._entries)

    async def do(self, action: str, **fields: str) -> None:
        """Have something done that answers with one message.

        Raises:
            SovereignError: As `ask` does.
        """
        await self._exchange(action, fields, self._nothing)

    async def _exchange(
        self,
        action: str,
        fields: Message,
        rest: Callable[[], Awaitable[list[Message]]],
    ) -> list[Message]:
        """Send an action, read whether it is taken, and then the rest of its answer."""
        try:
            if self._streams is None:
                await self._connect()
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._send({"Action": action} | fields)
                answer = await self._next()
                if answer.get("Response") == "Success":
                    return await rest()
        except _FAULTS as error:
            await self.close()
            raise AsteriskUnknown(f"manager: {action}: {type(error).__name__} {error}") from error
        except BaseException:
            await self.close()  # what is still to come would be taken for the next answer
            raise
        said = answer.get("Message", "refused")
        if "no " in said.lower():  # "No Contacts found": an empty list
            return []
        raise AsteriskRefused(400, f"manager: {action}: {said}")

    async def _connect(self) -> None:
        at = self._address
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._streams = await asyncio.open_connection(
                    at.host, at.port, limit=LONGEST_LINE_BYTES
                )
                await self._streams[0].readline()  # the banner
                await self._send(
                    {
                        "Action": "Login",
                        "Username": at.username,
                        "Secret": at.password,
                        "Events": "off",
                    }
                )
                answer = await self._next()
        except (OSError, TimeoutError) as error:
            raise AsteriskUnavailable(f"manager: {type(error).__name__} {error}") from error
        if answer.get("Response") != "Success":
            raise AsteriskRefused(403, f"manager: {answer.get('Message', 'refused')}")

    async def _entries(self) -> list[Message]:
        entries: list[Message] = []
        while (message := await self._next()).get("EventList") != "Complete":
            entries.append(message)
        return entries

    async def _nothing(self) -> list[Message]:
        return []

    async def _send(self, message: Message) -> None:
        assert self._streams is not None
        lines = [f"{key}: {value}\r\n" for key, value in message.items()]
        self._streams[1].write("".join([*lines, "\r\n"]).encode())
        await self._streams[1].drain()

    async def _next(self) -> Message:
        assert self._streams is not None
        message: Message = {}
        while True:
            line = (await self._streams[0].readuntil(b"\n")).decode(errors="replace").strip()
            if line:
                key, _, value = line.partition(":")
                message[key] = value.strip()
            elif message:  # some answers end with two empty lines
                return message
