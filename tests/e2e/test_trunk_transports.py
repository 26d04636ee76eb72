"""Trunks over TCP and over TLS with encrypted audio, and callers who prove who they are."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from tests.e2e.test_trunks import state_of, until
from tests.support.carrier import (
    LISTENS_S,
    RATE_HZ,
    SAYS,
    TALKS,
    Account,
    Carrier,
    Certificate,
    running_carrier,
)
from tests.support.platform import Json
from tests.support.reception import Reception, said
from tests.support.tone_code import decode, literal

HEARD_WITHIN_S = 4.0 * LISTENS_S


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


async def a_number(reception: Reception) -> Json:
    dialled = await reception.number()
    numbers = (await reception.api.get("/numbers"))["numbers"]
    number: Json = next(one for one in numbers if one["phone_number"] == dialled)
    return number


async def talks(
    reception: Reception, carrier: Carrier, called: str, **trunk_fields: Any
) -> tuple[str, str]:
    """Call over a trunk somebody who talks; gives how the call came, and if encrypted."""
    api, greeting = reception.api, f"Yo {called[-2:]}"
    trunk, number = await a_trunk(reception, carrier, **trunk_fields), await a_number(reception)
    await api.change(f"/numbers/{number['id']}", {"transfer_trunk_id": trunk})
    body = {
        "destination": called,
        "number_id": number["id"],
        "assistant_id": number["assistant_id"],
        "first_message": greeting,
    }
    call = (await api.create("/calls/outbound", body))["call_id"]

    async def is_done() -> bool:
        return bool(carrier.heard(called))

    await until("they have talked", is_done, HEARD_WITHIN_S)
    assert decode(carrier.heard(called), RATE_HZ) == [greeting, literal(f"You said: {SAYS}")]
    ended = await api.request("POST", f"/calls/{call}/control", {"type": "end-call"})
    assert ended.status == 200
    record = await reception.record(number["phone_number"])
    assert record["id"] == call
    assert said(record)[:2] == [("assistant", greeting), ("user", SAYS)]
    await api.change(f"/numbers/{number['id']}", {"transfer_trunk_id": None})
    await state_of(api, trunk, lambda state: bool(state["calls"] == 0))
    assert (await api.request("DELETE", f"/sip-trunks/{trunk}")).status == 200
    via = await carrier.global_variable(f"VIA_{called}")
    return via.split()[0], await carrier.global_variable(f"SECURE_{called}")


async def test_both_hear_each_other_over_udp_over_tcp_and_encrypted_over_tls(
    reception: Reception, carriers_certificate: Certificate
) -> None:
    async with running_carrier(
        reception.platform.sip, certificate=carriers_certificate
    ) as carrier:
        over_tls = f"{carrier.host}:{carrier.tls_port}"
        found = await asyncio.gather(
            talks(reception, carrier, TALKS[0]),
            talks(reception, carrier, TALKS[1], transport="tcp"),
            talks(reception, carrier, TALKS[2], address=over_tls, transport="tls"),
        )
        await until("the carrier is idle", carrier.idle)
    assert tuple(found) == (("SIP/2.0/UDP", "0"), ("SIP/2.0/TCP", "0"), ("SIP/2.0/TLS", "1"))


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
