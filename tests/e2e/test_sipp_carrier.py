"""SIPp as the carrier: many calls at once, changes meanwhile, a challenge, and fail-over."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sovereign_ari.bundle.ports import SIP, free_port
from tests.e2e.test_trunks import state_of, until
from tests.support.platform import Json
from tests.support.reception import Reception, said

SCENARIOS = Path(__file__).parent / "sipp"
FIRST, SECOND, ELSEWHERE = "127.0.0.4", "127.0.0.5", "127.0.0.6"
CALLED = "+31201000200"
CALLS = 20
KNOCKS, KNOCKS_PER_S = 900, 300
ENDS_WITHIN_S = 20


async def sipp(scenario: str, folder: Path, at: str, *options: str) -> asyncio.subprocess.Process:
    """Run a scenario of SIPp at `host:port`; what is wrong with its calls is in the folder."""
    host, port = at.split(":")
    return await asyncio.create_subprocess_exec(
        "sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", host, "-p", port,
        "-mp", str(free_port(host)), "-nostdin", "-timeout", str(ENDS_WITHIN_S),
        "-trace_err", "-error_file", str(folder / f"{scenario}.log"), *options,
        cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


@asynccontextmanager
async def answering(scenario: str, folder: Path, at: str, *options: str) -> AsyncIterator[None]:
    process = await sipp(scenario, folder, at, *options)
    try:
        yield
        assert process.returncode is None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def proof(uri: str, username: str, password: str) -> str:
    """Work out the digest (RFC 2617) that `challenges.xml` is to get."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    who, what = md5(f"{username}:carrier.example:{password}"), md5(f"INVITE:{uri}")
    return md5(f"{who}:47ebe028cda119c35d4877b383027d28:{what}")


def place(host: str) -> str:
    return f"{host}:{free_port(host, SIP)}"


async def changed_again_and_again(
    reception: Reception, trunk: str, numbers: tuple[str, str], until_done: asyncio.Task[int]
) -> int:
    """Change all that can be changed of a trunk while calls come over it; gives how often."""
    times = 0
    while not until_done.done():
        odd = times % 2
        body = {
            "outbound_number": numbers[odd],
            "inbound_addresses": [FIRST, ELSEWHERE] if odd else [FIRST],
        }
        await reception.api.change(f"/sip-trunks/{trunk}", body)
        await asyncio.sleep(0.05)
        times += 1
    return times


async def test_calls_of_an_address_are_answered_all_through_changes_of_its_trunk(
    reception: Reception, tmp_path: Path
) -> None:
    product = "{}:{}".format(*reception.platform.sip)
    number, other = await reception.number(), await reception.number()
    body = {"name": "SIPp", "address": place(FIRST)}
    trunk = (await reception.api.create("/sip-trunks", body))["trunk"]["id"]

    async def is_there() -> bool:
        return trunk in await reception.platform.asterisk_cli("pjsip show identifies")

    await until("the trunk is in the PBX", is_there)
    many = ("-m", str(CALLS), "-l", str(CALLS), "-r", "40", "-s", number, product)
    fast = ("-m", str(KNOCKS), "-r", str(KNOCKS_PER_S), product)
    callers = await sipp("caller", tmp_path, place(FIRST), *many)
    knocks = await sipp("knocks", tmp_path, place(FIRST), *fast)
    knocking = asyncio.create_task(knocks.wait())
    times = await changed_again_and_again(reception, trunk, (number, other), knocking)
    assert times > 5
    assert await callers.wait() == 0, (tmp_path / "caller.log").read_text()[:2000]
    assert knocking.result() == 0, (tmp_path / "knocks.log").read_text()[:2000]
    calls = await reception.all_ended(number, CALLS)
    record: Json = await reception.api.get(f"/calls/{calls[0]['id']}")
    assert said(record) == [("assistant", "Hello")]
    await state_of(reception.api, trunk, lambda state: bool(state["calls"] == 0))
    assert (await reception.api.request("DELETE", f"/sip-trunks/{trunk}")).status == 200


async def test_a_call_goes_over_the_next_address_that_asks_for_the_password_and_ignores_options(
    reception: Reception, tmp_path: Path
) -> None:
    api, first, second = reception.api, place(FIRST), place(SECOND)
    dialled = await reception.number(first_message="Hello you")
    numbers = (await api.get("/numbers"))["numbers"]
    number: Json = next(one for one in numbers if one["phone_number"] == dialled)
    expected = proof(f"sip:{CALLED}@{second}", "bakery", "correct horse")
    async with (
        answering("out_of_service", tmp_path, first),
        answering("challenges", tmp_path, second, "-set", "proof", expected),
    ):
        body = {
            "name": "SIPp", "address": [first, second], "register": False,
            "auth_username": "bakery", "auth_password": "correct horse",
        }  # fmt: skip
        trunk = (await api.create("/sip-trunks", body))["trunk"]["id"]
        await api.change(f"/numbers/{number['id']}", {"transfer_trunk_id": trunk})

        def as_it_is(state: Json) -> bool:
            addresses = [at["reachable"] for node in state["nodes"] for at in node["addresses"]]
            return addresses == [True, False]

        await state_of(api, trunk, as_it_is)
        body = {
            "destination": CALLED,
            "number_id": number["id"],
            "assistant_id": number["assistant_id"],
        }
        call = (await api.create("/calls/outbound", body))["call_id"]

        async def has_greeted() -> bool:
            made = await api.get(f"/calls/{call}")
            assert not made["ended_at"], await reception.timeline(made)
            return said(made) == [("assistant", "Hello you")]

        await until("the carrier has taken the call and heard us", has_greeted)
        ended = await api.request("POST", f"/calls/{call}/control", {"type": "end-call"})
        assert ended.status == 200
        record = await reception.record(dialled)
        dials = [
            (at["detail"]["endpoint"][-1], at["detail"]["answered"], at["detail"].get("sip"))
            for at in (await reception.timeline(record))["events"]
            if at["kind"] == "dialled"
        ]
        assert dials == [("1", False, 503), ("2", False, None), ("2", True, None)]
        await api.change(f"/numbers/{number['id']}", {"transfer_trunk_id": None})
        await state_of(api, trunk, lambda state: bool(state["calls"] == 0))
        assert (await api.request("DELETE", f"/sip-trunks/{trunk}")).status == 200
