"""SIP trunks made over the API, with a second PBX as the carrier."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from uuid import uuid4

from sovereign_ari.bundle.ports import SIP, free_port
from sovereign_ari.domain.trunk_objects import SHARED_PREFIX
from sovereign_ari.telephony.trunks import FINGERPRINT
from tests.support import carrier as carriers
from tests.support.carrier import Carrier, running_carrier
from tests.support.platform import ApiClient, Json
from tests.support.reception import Reception

WITHIN_S = 2.0
CHANGES_WITHIN_S = 20.0
RESTARTS_WITHIN_S = 40.0
_POLL_S = 0.3


async def until(
    what: str, true: Callable[[], Awaitable[bool]], within_s: float = CHANGES_WITHIN_S
) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not await true():
        assert loop.time() < deadline, what
        await asyncio.sleep(_POLL_S)


async def state_of(
    api: ApiClient,
    trunk: str,
    expected: Callable[[Json], bool],
    within_s: float = CHANGES_WITHIN_S,
) -> Json:
    """Wait until the state of a trunk is as expected."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        state: Json = (await api.get(f"/sip-trunks/{trunk}"))["trunk"]["state"]
        if expected(state):
            return state
        assert loop.time() < deadline, state
        await asyncio.sleep(_POLL_S)


async def other_tenants_number(reception: Reception) -> tuple[str, str]:
    """Make another organisation with a number; gives the number and the organisation's key."""
    made = await reception.api.create("/organizations", {"name": f"Child {uuid4().hex[:6]}"})
    async with reception.platform.api(made["api_key"]) as api:
        assistant = (await api.create("/assistants", {"name": "Other"}))["assistant"]
        number = f"+31209{uuid4().int % 1_000_000:06d}"
        body = {"phone_number": number, "assistant_id": assistant["id"]}
        await api.create("/numbers", body)
    return number, made["api_key"]


async def we_get_through(reception: Reception, carrier: Carrier, trunk: str) -> Json:
    """Call somebody over the trunk, whose carrier asks who we are; gives the number used."""
    api = reception.api
    dialled = await reception.number()
    numbers = (await api.get("/numbers"))["numbers"]
    number: Json = next(one for one in numbers if one["phone_number"] == dialled)
    await api.change(f"/numbers/{number['id']}", {"transfer_trunk_id": trunk})
    refused = await api.request("DELETE", f"/sip-trunks/{trunk}")
    assert (refused.status, refused.body["error"]["code"]) == (409, "conflict")
    assert f"is used by 1 number: {dialled}" in refused.body["message"]
    body = {
        "destination": carriers.ANSWERS,
        "number_id": number["id"],
        "assistant_id": number["assistant_id"],
    }
    call = (await api.create("/calls/outbound", body))["call_id"]
    await until("the carrier has challenged and taken our call", carrier.talking)
    await carrier.hang_up()

    async def ended() -> bool:
        return bool((await api.get(f"/calls/{call}"))["ended_at"])

    await until("our call has ended", ended)
    await api.change(f"/numbers/{number['id']}", {"transfer_trunk_id": None})
    return number


async def held(reception: Reception) -> list[str]:
    """Read what the PBX says that it was pushed last."""
    shown = await reception.platform.asterisk_cli("dialplan show globals")
    return [line for line in shown.splitlines() if line.strip().startswith(FINGERPRINT)]


async def calls_get_through(
    reception: Reception, carrier: Carrier, trunk: str, number: str
) -> None:
    """The account is called, and a number by address; a number of somebody else is not reached."""
    api = reception.api
    before = await held(reception)
    await api.change(f"/sip-trunks/{trunk}", {"outbound_number": number})

    async def is_pushed() -> bool:
        return await held(reception) != before

    await until("the change is in the PBX", is_pushed, WITHIN_S)
    async with carrier.calling():
        await until("the account's call is answered", carrier.talking)
        await state_of(api, trunk, lambda state: bool(state["calls"] == 1))
        refused = await api.request("DELETE", f"/sip-trunks/{trunk}")
        assert (refused.status, refused.body["error"]["code"]) == (409, "conflict")
        assert "1 call goes over the SIP trunk" in refused.body["message"]
    foreign, key = await other_tenants_number(reception)
    async with carrier.calling(foreign):

        async def refused_call() -> bool:
            listed = await api.get("/calls?limit=1")
            return bool(listed["calls"] and listed["calls"][0]["status"] == "rejected")

        await until("the call to another tenant's number is refused", refused_call)
        assert not await carrier.talking()
    async with reception.platform.api(key) as other:
        await both_are_called_from_one_address(reception, other, carrier, trunk, (number, foreign))
    await reception.all_ended(number, 3)  # with the one that we made


async def both_are_called_from_one_address(
    reception: Reception, other: ApiClient, carrier: Carrier, trunk: str, numbers: tuple[str, str]
) -> None:
    """Another tenant has a trunk to the same carrier: the number decides whose call it is."""
    body = {"name": "The same carrier", "address": carrier.address}
    theirs = (await other.create("/sip-trunks", body))["trunk"]["id"]

    async def is_shared() -> bool:
        return SHARED_PREFIX in await reception.platform.asterisk_cli("pjsip show identifies")

    await until("both trunks share an endpoint", is_shared, WITHIN_S)
    for (api, own), number in zip(((reception.api, trunk), (other, theirs)), numbers, strict=True):
        async with carrier.calling(number):
            await until("the call by address is answered", carrier.talking)
            await state_of(api, own, lambda state: bool(state["calls"] == 1))
            refused = await api.request("DELETE", f"/sip-trunks/{own}")
            assert "1 call goes over the SIP trunk" in refused.body["message"]
    await state_of(other, theirs, lambda state: bool(state["calls"] == 0))
    assert (await other.request("DELETE", f"/sip-trunks/{theirs}")).status == 200


async def test_a_trunk_registers_carries_calls_and_comes_back_after_the_pbx_restarted(
    reception: Reception,
) -> None:
    api, platform = reception.api, reception.platform
    async with running_carrier(platform.sip) as carrier:
        dead = f"127.0.0.3:{free_port('127.0.0.3', SIP)}"
        body = {
            "name": "Carrier",
            "address": [dead, carrier.address],
            "auth_username": carrier.account.username,
            "auth_password": "wrong",
        }
        trunk = (await api.create("/sip-trunks", body))["trunk"]["id"]

        async def is_there() -> bool:
            return f"trunk-{trunk}-2" in await platform.asterisk_cli("pjsip show endpoints")

        await until("the trunk is in the PBX", is_there, WITHIN_S)
        state = await state_of(api, trunk, lambda state: state["registration"] == "rejected")
        places = state["nodes"][0]["addresses"]
        assert [place["reachable"] for place in places] == [False, True]
        assert state["reachable"] is True
        assert state["latency_ms"] > 0
        assert state["last_error"] == (
            f"{carrier.address} refuses REGISTER with 401: auth_username or auth_password is wrong"
        )
        await api.change(f"/sip-trunks/{trunk}", {"auth_password": carrier.account.password})
        await state_of(api, trunk, lambda state: state["registration"] == "registered")
        assert await carrier.registered()

        number = await we_get_through(reception, carrier, trunk)
        await calls_get_through(reception, carrier, trunk, number["phone_number"])

        pid = platform.pids["asterisk"]
        os.kill(pid, signal.SIGKILL)

        async def runs_again() -> bool:
            return platform.pids.get("asterisk", pid) != pid and await is_there()

        await until("the PBX is back with the trunk", runs_again, RESTARTS_WITHIN_S)
        await carrier.forget()
        await until("it is registered anew", carrier.registered)
        assert (await api.request("DELETE", f"/sip-trunks/{trunk}")).status == 200

        async def is_gone() -> bool:
            return not await is_there()

        await until("the trunk is gone from the PBX", is_gone, WITHIN_S)
