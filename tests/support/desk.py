"""A number that calls go out from, over a trunk to a telephone of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.support.platform import Json
from tests.support.reception import Reception
from tests.support.sip_callee import Callee, Ringing

FORGOTTEN_WITHIN_S = 8.0  # how many calls go over a trunk is looked at now and then
THEM = "+31612345678"


class Desk:
    """A number with a trunk to a telephone of ours, and an assistant that calls from it."""

    def __init__(
        self, reception: Reception, callee: Callee, number: str, ids: Mapping[str, str]
    ) -> None:
        self.reception = reception
        self.callee = callee
        self.number = number
        self.ids = ids

    async def call(self, destination: str = THEM, **more: Any) -> str:
        body = {"destination": destination, **self.ids, **more}
        made = await self.reception.api.create("/calls/outbound", body)
        assert made["status"] == "dialing"
        return str(made["call_id"])

    async def rung(self, number: str, timeout_s: float = 8.0) -> Ringing:
        """Wait until it rings for a number."""
        async with asyncio.timeout(timeout_s):
            while True:
                for call in self.callee.rung:
                    if call.invite.start_line.startswith(f"INVITE sip:{number}@"):
                        return call
                await asyncio.sleep(0.02)

    async def inbound(self, status: str, timeout_s: float = 8.0) -> Json:
        """Wait until a call to our own number has a status."""
        async with asyncio.timeout(timeout_s):
            while True:
                for call in await self.reception.calls(self.number):
                    if (call["direction"], call["status"]) == ("inbound", status):
                        return call
                await asyncio.sleep(0.1)

    async def status(self, call_id: str, *wanted: str, timeout_s: float = 8.0) -> Json:
        """Wait until a call has one of these statuses."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            found = await self.reception.api.get(f"/calls/{call_id}")
            if found["status"] in wanted:
                return found
            assert loop.time() < deadline, found
            await asyncio.sleep(0.3)


@asynccontextmanager
async def desk(reception: Reception, **assistant: Any) -> AsyncIterator[Desk]:
    """Open one, with a trunk just made: it can be called over from the first moment on."""
    async with await Callee.open("127.0.0.1") as callee:
        number = await reception.number(**assistant)
        host, port = callee.address
        trunk = await reception.api.create(
            "/sip-trunks", {"name": "Callee", "provider": "test", "address": f"{host}:{port}"}
        )
        trunk_id = trunk["trunk"]["id"]
        [found] = [
            each
            for each in (await reception.api.get("/numbers"))["numbers"]
            if each["phone_number"] == number
        ]
        await reception.api.change(f"/numbers/{found['id']}", {"transfer_trunk_id": trunk_id})
        ids = {"number_id": found["id"], "assistant_id": found["assistant_id"]}
        yield Desk(reception, callee, number, ids)
        await reception.api.change(f"/numbers/{found['id']}", {"transfer_trunk_id": None})
        async with asyncio.timeout(FORGOTTEN_WITHIN_S):
            removed = f"/sip-trunks/{trunk_id}"
            while (await reception.api.request("DELETE", removed)).status == 409:  # noqa: ASYNC110
                await asyncio.sleep(0.3)
