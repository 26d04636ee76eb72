"""What somebody sees and does at the console of the PBX, and what becomes of our records."""

from __future__ import annotations

import asyncio
import time

from sovereign_ari.control.sweep import MEDIA_LOST, PBX_RESTARTED
from sovereign_ari.domain.call import ENDED_AT_CONSOLE
from sovereign_ari.domain.ids import bridge_of, media_channel_of
from tests.support.reception import Reception, hear_tones
from tests.support.sip_caller import CallRejected

RESTARTS_WITHIN_S = 30.0
ANSWERED_WITHIN_S = 10.0

ALIASES = {
    "sovereign calls": "PJSIP/",
    "sovereign channels": "sovereign-answer",
    "sovereign bridges": "simple_bridge",
    "sovereign audio": "ulaw",
    "sovereign trunks": "",
    "sovereign status": "Channels:",
    "sovereign apps": "sovereign",
}


async def rows_of(reception: Reception) -> dict[str, list[str]]:
    """What `sovereign calls` says of each channel, by its name."""
    listed = await reception.platform.asterisk_cli("sovereign calls")
    rows = [line.split("!") for line in listed.splitlines() if "!" in line]
    return {row[0]: row for row in rows}


async def test_the_console_names_the_call_and_its_hang_up_is_written_down(
    reception: Reception,
) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        (record,) = await reception.calls(number)
        rows = await rows_of(reception)
        (caller,) = [name for name in rows if name.startswith("PJSIP/")]
        assert record["id"] in rows[caller], "the account code"
        assert bridge_of(record["id"]) in rows[caller]
        assert [row[-1] for row in rows.values() if row[-1] == media_channel_of(record["id"])]
        said = await asyncio.gather(*map(reception.platform.asterisk_cli, ALIASES))
        for alias, text in zip(ALIASES, said, strict=True):
            assert ALIASES[alias] in text, alias
            assert "No such command" not in text, alias
        await reception.platform.asterisk_cli(f"channel request hangup {caller}")
        assert (await call.ended(5)).by == "far end"
    ended = await reception.record(number)
    assert (ended["status"], ended["end_reason"]) == ("ended-with-error", "error")
    assert ended["error"] == ENDED_AT_CONSOLE


async def test_a_restart_of_the_pbx_ends_its_calls_and_takes_new_ones(
    reception: Reception,
) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        await reception.platform.asterisk_cli("core restart now")
        record = await reception.record(number)
        assert record["end_reason"] == "error"
        assert record["error"] in (ENDED_AT_CONSOLE, PBX_RESTARTED, MEDIA_LOST), (
            "what it sees first"
        )
        assert call.rtp.sender is not None
        call.rtp.sender.close()
    deadline = time.monotonic() + RESTARTS_WITHIN_S
    while not await takes_calls(reception, number):
        assert time.monotonic() < deadline, "no call is answered any more"
        await asyncio.sleep(0.2)


async def takes_calls(reception: Reception, number: str) -> bool:
    async with reception.phone.call(number) as call:
        try:
            await call.answered(ANSWERED_WITHIN_S)
        except CallRejected:
            return False
        await hear_tones(call, "Hello", call.answered_at_s)
    return True
