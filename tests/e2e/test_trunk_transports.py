"""Trunks over TCP and over TLS with encrypted audio, and callers who prove who they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

from tests.e2e.test_trunks import state_of, until
from tests.support.carrier import LISTENS, Account, Carrier, Certificate, running_carrier
from tests.support.platform import Json
from tests.support.reception import Reception, said
from tests.support.tone_code import decode

HEARD_WITHIN_S = 15.0
RATE_HZ = 8000


async def a_trunk(reception: Reception, carrier: Carrier, **more: Any) -> str:
    body = {
        "name": "Carrier",
        "address": carrier.address,
        "auth_username": carrier.account.username,
        "auth_password": carrier.account.password,
        "register": False,
        **more,
    }
    return str((await reception.api.create("/sip-trunks", body))["trunk"]["id"])


async def is_heard(
    reception: Reception, carrier: Carrier, number: Json, trunk: str
) -> tuple[str, str]:
    """Call over a trunk somebody who listens; gives how the call came, and if encrypted."""
    api, greeting = reception.api, f"Hi {uuid4().hex[:6]}"
    await api.change(f"/numbers/{number['id']}", {"transfer_trunk_id": trunk})
    body = {
        "destination": LISTENS,
        "number_id": number["id"],
        "assistant_id": number["assistant_id"],
        "first_message": greeting,
    }
    call = (await api.create("/calls/outbound", body))["call_id"]

    async def has_heard() -> bool:
        return decode(carrier.heard(), RATE_HZ) == [greeting]

    await until("they have heard the greeting", has_heard, HEARD_WITHIN_S)
    assert (
        await api.request("POST", f"/calls/{call}/control", {"type": "end-call"})
    ).status == 200
    record = await reception.record(number["phone_number"])
    assert record["id"] == call
    assert said(record) == [("assistant", greeting)]
    await api.change(f"/numbers/{number['id']}", {"transfer_trunk_id": None})
    await until("the carrier is idle", carrier.idle)
    found = await carrier.global_variable("VIA"), await carrier.global_variable("ENCRYPTED")
    await state_of(api, trunk, lambda state: bool(state["calls"] == 0))
    assert (await api.request("DELETE", f"/sip-trunks/{trunk}")).status == 200
    return found


async def test_audio_over_tls_is_encrypted_and_calls_go_over_tcp(
    reception: Reception, carriers_certificate: Certificate
) -> None:
    dialled = await reception.number()
    numbers = (await reception.api.get("/numbers"))["numbers"]
    number: Json = next(one for one in numbers if one["phone_number"] == dialled)
    async with running_carrier(
        reception.platform.sip, certificate=carriers_certificate
    ) as carrier:
        over_tls = f"{carrier.host}:{carrier.tls_port}"
        trunk = await a_trunk(reception, carrier, address=over_tls, transport="tls")
        via, encrypted = await is_heard(reception, carrier, number, trunk)
        assert (via.split()[0], encrypted) == ("SIP/2.0/TLS", "1")

        trunk = await a_trunk(reception, carrier, transport="tcp")
        via, encrypted = await is_heard(reception, carrier, number, trunk)
        assert (via.split()[0], encrypted) == ("SIP/2.0/TCP", "0")


async def test_callers_with_the_password_are_answered_and_others_refused(
    reception: Reception,
) -> None:
    api = reception.api
    dialled = await reception.number()
    async with running_carrier(reception.platform.sip) as carrier:
        account = Account(username="callers-of-the-bakery")
        await carrier.change(account)
        trunk = await a_trunk(reception, carrier, inbound_auth=True)

        async def is_there() -> bool:
            return account.username in await reception.platform.asterisk_cli(
                "pjsip show endpoints"
            )

        await until("the account is in the PBX", is_there)
        async with carrier.calling(dialled):
            await until("a caller with the password is answered", carrier.talking)
            await state_of(api, trunk, lambda state: bool(state["calls"] == 1))
        await reception.all_ended(dialled, 1)
        await carrier.change(replace(account, password="wrong"))
        async with carrier.calling(dialled):
            await until("a caller with another one is refused", carrier.idle)
        assert len(await reception.calls(dialled)) == 1
        await state_of(api, trunk, lambda state: bool(state["calls"] == 0))
        assert (await api.request("DELETE", f"/sip-trunks/{trunk}")).status == 200
