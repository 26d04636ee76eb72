"""The bundled PBX as configured: who may call, what is agreed, where a call goes."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from sovereign_ari.bundle.asterisk import BundledAsterisk, find_program
from sovereign_ari.bundle.asterisk_config import PbxValues
from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.bundle.ports import SIP, free_port
from sovereign_ari.bundle.processes import Child
from tests.support.sip_caller import CallRejected, Line, SipCaller

START_TIMEOUT_S = 60.0
DEADLINE_S = 10.0
POLL_S = 0.02

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class RunningPbx:
    pbx: BundledAsterisk
    sip: tuple[str, int]
    security_log: Path

    async def console(self, command: str) -> str:
        shell = await asyncio.create_subprocess_shell(
            f"{self.pbx.cli} -rx '{command}'", stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await shell.communicate()
        return printed.decode()


def values_for(data: DataDir, **changes: Any) -> PbxValues:
    values = PbxValues(
        identity=data.identity(),
        bind="127.0.0.1",
        sip_port=free_port("127.0.0.1", SIP),
        ari_port=free_port("127.0.0.1"),
        ari_username="sovereign",
        ari_password="secret-of-the-test",
        softphone_password="softphone-of-the-test",
        apps=("sovereign",),
        rtp_ports=(20000, 20999),
    )
    return replace(values, **changes)


@asynccontextmanager
async def running(folder: Path, **changes: Any) -> AsyncIterator[RunningPbx]:
    data = DataDir(folder)
    pbx = BundledAsterisk(data, find_program(), values_for(data, **changes))
    pbx.configure()
    child = Child(pbx.command())
    await child.start()
    try:
        await pbx.wait_until_ready(START_TIMEOUT_S)
        log = pbx.folders.log / "security.log"
        yield RunningPbx(pbx, ("127.0.0.1", pbx.values.sip_port), log)
    finally:
        await child.stop(DEADLINE_S)
        data.unlock()


class Application:
    """A Stasis application: the events it got, and requests to ARI."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def open(self, name: str) -> None:
        self._socket = await self._session.ws_connect(f"{self._url}/events?app={name}")

    async def close(self, name: str) -> None:
        """Leave, end every call, and wait until the PBX, which others share, has forgotten us."""
        assert self._socket is not None
        await self._socket.close()
        async with self._session.get(f"{self._url}/channels") as answer:
            left = [channel["id"] for channel in await answer.json()]
        for channel in left:
            async with self._session.delete(f"{self._url}/channels/{channel}") as answer:
                assert answer.status in (204, 404), await answer.text()
        async with asyncio.timeout(DEADLINE_S):
            while True:
                async with self._session.get(f"{self._url}/applications/{name}") as answer:
                    if answer.status == 404:
                        return
                await asyncio.sleep(POLL_S)

    async def die(self) -> None:
        """Leave without a word, as a process that is killed."""
        assert self._socket is not None
        await self._socket.close()

    async def next(self, kind: str) -> dict[str, Any]:
        assert self._socket is not None
        async with asyncio.timeout(DEADLINE_S):
            while True:
                event: dict[str, Any] = await self._socket.receive_json()
                if event["type"] == kind:
                    return event

    async def post(self, path: str, **query: str) -> None:
        async with self._session.post(f"{self._url}/{path}", params=query) as answer:
            assert answer.status < 300, await answer.text()


@asynccontextmanager
async def application(running: RunningPbx, name: str = "sovereign") -> AsyncIterator[Application]:
    login = aiohttp.encode_basic_auth("sovereign", "secret-of-the-test")
    async with aiohttp.ClientSession(headers={"Authorization": login}) as session:
        app = Application(session, running.pbx.ari_url)
        await app.open(name)
        yield app
        await app.close(name)


async def answered_by(app: Application, channel: str, max_s: str = "60") -> dict[str, Any]:
    await app.post(f"channels/{channel}/variable", variable="SOVEREIGN_MAX_S", value=max_s)
    await app.post(
        f"channels/{channel}/continue",
        context="sovereign-answer",
        extension="answer",
        priority="1",
    )
    event = await app.next("StasisStart")
    assert event["args"] == ["answered"]
    return event


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pbx(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningPbx]:
    """One for all tests that need nothing unusual: to start one takes seconds."""
    async with running(tmp_path_factory.mktemp("pbx")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def no_task_outlives_its_test(pbx: RunningPbx) -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    leaked = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not leaked, f"leaked tasks: {[task.get_name() for task in leaked]}"


def codecs_of(answer: str) -> list[str]:
    """Payload types of the audio line, without telephone events."""
    line = next(line for line in answer.splitlines() if line.startswith("m=audio"))
    return [number for number in line.split()[3:] if int(number) < 96]


def invite(source: tuple[str, int], target: tuple[str, int], payloads: str) -> bytes:
    host, port = source
    body = (
        f"v=0\r\no=t 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {payloads}\r\n"
    )
    head = (
        f"INVITE sip:1000@{target[0]}:{target[1]} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{port}\r\n"
        f"From: <sip:t@{host}>;tag=1\r\nTo: <sip:1000@{target[0]}>\r\n"
        f"Call-ID: {port}@test\r\nCSeq: 1 INVITE\r\nContact: <sip:t@{host}:{port}>\r\n"
        f"Max-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
    )
    return f"{head}\r\n{body}".encode()


@pytest.mark.parametrize(
    ("offered", "codec", "payload"),
    [
        ("0", "ulaw", "0"),
        ("8 0", "alaw", "8"),
        ("9 8 0", "g722", "9"),
        ("0 8 9", "ulaw", "0"),
        ("18 3 8 0", "alaw", "8"),
    ],
)
async def test_the_answer_holds_one_codec_the_callers_first_among_ours(
    pbx: RunningPbx, offered: str, codec: str, payload: str
) -> None:
    loop = asyncio.get_running_loop()
    async with application(pbx) as app:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
            phone.bind(("127.0.0.1", 0))
            phone.setblocking(False)
            await loop.sock_sendto(phone, invite(phone.getsockname(), pbx.sip, offered), pbx.sip)
            start = await app.next("StasisStart")
            assert start["args"][:3] == ["inbound", "1000", codec]
            await answered_by(app, start["channel"]["id"])
            async with asyncio.timeout(DEADLINE_S):
                while not (answer := (await loop.sock_recv(phone, 4096)).decode()).startswith(
                    "SIP/2.0 200"
                ):
                    pass
            assert codecs_of(answer) == [payload]


async def test_a_call_is_answered_before_the_caller_sends_any_audio(pbx: RunningPbx) -> None:
    async with application(pbx) as app, SipCaller(pbx.sip) as caller:
        async with caller.call("1000", line=Line(dtx=True)) as call:
            start = await app.next("StasisStart")
            await answered_by(app, start["channel"]["id"])
            await call.answered()
            assert call.live


@pytest.mark.parametrize(
    ("dialled", "arrives"),
    [
        ("1000", "1000"),
        ("42", "42"),
        ("123456", "123456"),
        ("31201234567", "+31201234567"),
        ("0031201234567", "+31201234567"),
        ("+31201234567", "+31201234567"),
    ],
)
async def test_a_dialled_number_arrives_as_an_extension_or_in_international_form(
    pbx: RunningPbx, dialled: str, arrives: str
) -> None:
    async with application(pbx) as app, SipCaller(pbx.sip) as caller:
        async with caller.call(dialled):
            start = await app.next("StasisStart")
            assert start["args"][:2] == ["inbound", arrives]


async def test_a_caller_cannot_break_the_arguments_of_the_application(pbx: RunningPbx) -> None:
    async with application(pbx) as app, SipCaller(pbx.sip, user="a,b.c") as caller:
        async with caller.call("1000"):
            start = await app.next("StasisStart")
            assert start["args"][:5] == ["inbound", "1000", "ulaw", "ab.c", "allowed_not_screened"]
            assert not any(start["args"][5:])


async def test_without_a_controller_the_call_gets_503(pbx: RunningPbx) -> None:
    async with SipCaller(pbx.sip) as caller, caller.call("1000") as call:
        with pytest.raises(CallRejected) as rejected:
            await call.answered()
        assert rejected.value.status == 503


async def test_the_next_controller_takes_the_call_when_one_is_gone(tmp_path: Path) -> None:
    async with running(tmp_path, apps=("sovereign", "sovereign-2")) as pbx:
        async with application(pbx, "sovereign-2") as app, SipCaller(pbx.sip) as caller:
            for _ in range(6):  # the first choice is random
                async with caller.call("1000"):
                    start = await app.next("StasisStart")
                    assert start["application"] == "sovereign-2"


async def test_the_longest_duration_ends_in_the_application_and_then_in_a_hang_up(
    pbx: RunningPbx,
) -> None:
    async with application(pbx) as app, SipCaller(pbx.sip) as caller:
        async with caller.call("1000") as call:
            start = await app.next("StasisStart")
            await answered_by(app, start["channel"]["id"], max_s="0.3")
            event = await app.next("StasisStart")
            assert event["args"] == ["timeout"]
            await app.post(f"channels/{start['channel']['id']}/continue")
            assert (await call.ended()).by == "far end"


async def test_a_call_that_nobody_minds_is_ended_by_the_pbx_which_remembers_how(
    pbx: RunningPbx,
) -> None:
    async with SipCaller(pbx.sip) as caller:
        async with application(pbx) as app, caller.call("1000") as call:
            channel = (await app.next("StasisStart"))["channel"]["id"]
            await answered_by(app, channel)
            await call.answered()
            for name, value in (
                ("SOVEREIGN_CALL", "the-call"),
                ("SOVEREIGN_ALONE_S", "2"),
                ("CHANNEL(language)", "nl"),
                ("SOVEREIGN_ALONE_REASON", "silence_timeout"),
                ("TIMEOUT(absolute)", "0.5"),
            ):
                await app.post(f"channels/{channel}/variable", variable=name, value=value)
            await app.die()
            began_s = time.monotonic()
            ending = await call.ended()
            assert ending.by == "far end"
            assert 7 < ending.at_s - began_s < 11  # 0.5 s, 2 s of waiting, 5.4 s of goodbye
            assert call.heard.level_dbfs(ending.at_s - 4, ending.at_s - 2) > -40, "a voice"
            shown = await pbx.console("dialplan show globals")
            assert "SOVEREIGN_ENDED_the-call=silence_timeout:" in shown


async def test_what_a_controller_does_not_know_or_does_not_answer_ends_with_a_goodbye_and_a_note(
    pbx: RunningPbx,
) -> None:
    """One controller has restarted; the other one is frozen when the longest call is over."""
    async with (
        application(pbx) as app,
        SipCaller(pbx.sip) as caller,
        caller.call("1000") as unknown,
        caller.call("1000") as longest,
    ):
        starts = [await app.next("StasisStart") for _ in range(2)]
        channels = [start["channel"]["id"] for start in starts]
        for number, channel in enumerate(channels):
            variable = f"channels/{channel}/variable"
            await app.post(variable, variable="SOVEREIGN_CALL", value=f"call-{number}")
            await answered_by(app, channel, max_s="60" if number == 0 else "3")
        frozen_s = time.monotonic()
        variable = f"channels/{channels[1]}/variable"
        await app.post(variable, variable="TIMEOUT(absolute)", value="0.5")
        await app.post(
            f"channels/{channels[0]}/continue",
            context="sovereign-answer",
            extension="unknown",
            priority="1",
        )
        endings = await asyncio.gather(unknown.ended(20), longest.ended(20))
        ended_s = sorted(ending.at_s - frozen_s for ending in endings)
        assert ended_s == pytest.approx([5.5, 8.5], abs=1.7)  # 5.5 s of goodbye
        shown = await pbx.console("dialplan show globals")
        for number, reason in ((0, "error"), (1, "max_duration")):
            noted = shown.partition(f"SOVEREIGN_ENDED_call-{number}={reason}:")[2]
            frozen_at_s = time.time() - (time.monotonic() - frozen_s)
            noted_s = int(noted.split()[0]) - frozen_at_s
            assert ended_s[number] == pytest.approx(noted_s, abs=1.7), "the true end"


async def test_a_caller_whose_lease_lapsed_comes_back_to_his_controller(pbx: RunningPbx) -> None:
    async with application(pbx) as app, SipCaller(pbx.sip) as caller:
        async with caller.call("1000") as call:
            channel = (await app.next("StasisStart"))["channel"]["id"]
            await answered_by(app, channel)
            variable = f"channels/{channel}/variable"
            for _ in range(2):
                await app.post(variable, variable="TIMEOUT(absolute)", value="0.2")
                assert (await app.next("StasisStart"))["args"] == ["timeout"]
                await app.post(variable, variable="SOVEREIGN_LAPSED", value="")
            await app.post(variable, variable="TIMEOUT(absolute)", value="60")
            assert call.live


async def test_a_caller_who_waits_alone_is_offered_to_the_controller_that_comes_back(
    pbx: RunningPbx,
) -> None:
    async with application(pbx) as app, SipCaller(pbx.sip) as caller:
        async with caller.call("1000") as call:
            channel = (await app.next("StasisStart"))["channel"]["id"]
            await answered_by(app, channel)
            variable = f"channels/{channel}/variable"
            for _ in range(2):  # the second time is like the first
                await app.post(variable, variable="TIMEOUT(absolute)", value="0.2")
                lapsed_s = time.monotonic()
                await app.die()
                await call.heard.wait_for_audio(lapsed_s + 0.2, DEADLINE_S)  # the beep
                await app.open("sovereign")
                assert (await app.next("StasisStart"))["args"] == ["timeout"]
                await app.post(variable, variable="SOVEREIGN_LAPSED", value="")
            await app.post(variable, variable="TIMEOUT(absolute)", value="60")
            assert call.live


@pytest.mark.parametrize("codecs", [("gsm",), ("g729", "opus")])
async def test_a_codec_we_do_not_speak_gets_488(pbx: RunningPbx, codecs: tuple[str, ...]) -> None:
    async with application(pbx), SipCaller(pbx.sip) as caller:
        async with caller.call("1000", codecs=codecs) as call:
            with pytest.raises(CallRejected) as rejected:
                await call.answered()
            assert rejected.value.status == 488


async def test_an_invitation_without_an_offer_is_answered(pbx: RunningPbx) -> None:
    async with application(pbx) as app, SipCaller(pbx.sip) as caller:
        async with caller.call("1000", line=Line(offer=b"")) as call:
            start = await app.next("StasisStart")
            assert start["args"][:3] == ["inbound", "1000", "ulaw"]
            await answered_by(app, start["channel"]["id"])
            await call.answered()


async def test_an_offer_without_audio_gets_488(pbx: RunningPbx) -> None:
    offer = (
        b"v=0\r\no=t 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        b"m=video 4000 RTP/AVP 31\r\n"
    )
    async with application(pbx), SipCaller(pbx.sip) as caller:
        async with caller.call("1000", line=Line(offer=offer)) as call:
            with pytest.raises(CallRejected) as rejected:
                await call.answered()
            assert rejected.value.status == 488


async def test_the_softphone_registers_with_its_password_only(pbx: RunningPbx) -> None:
    for password, status in (("softphone-of-the-test", 200), ("wrong", 401), (None, 401)):
        async with SipCaller(pbx.sip, user="softphone", password=password) as phone:
            assert await phone.register() == status


async def test_the_softphone_calls_with_its_password(pbx: RunningPbx) -> None:
    async with application(pbx) as app:
        async with SipCaller(pbx.sip, user="softphone", password="softphone-of-the-test") as phone:
            async with phone.call("1000"):
                start = await app.next("StasisStart")
                assert start["channel"]["name"].startswith("PJSIP/softphone-")


async def test_a_stranger_gets_401_and_a_line_in_the_security_log(tmp_path: Path) -> None:
    # Our own address is not among those that need no account here.
    async with running(tmp_path, local_networks=("127.0.0.9/32",)) as pbx:
        async with application(pbx), SipCaller(pbx.sip) as caller, caller.call("1000") as call:
            with pytest.raises(CallRejected) as rejected:
                await call.answered()
            assert rejected.value.status == 401
        logged = pbx.security_log.read_text()
        assert 'SecurityEvent="' in logged
        assert "127.0.0.1" in logged


async def test_nobody_is_the_local_endpoint_by_claiming_its_name(tmp_path: Path) -> None:
    async with running(tmp_path, local_networks=("127.0.0.9/32",)) as pbx:
        for name in ("local", "trunk"):
            async with SipCaller(pbx.sip, user=name) as caller, caller.call("1000") as call:
                with pytest.raises(CallRejected) as rejected:
                    await call.answered()
                assert rejected.value.status == 401


async def test_a_trunk_calls_from_its_address_and_reaches_no_extension(tmp_path: Path) -> None:
    networks = {"local_networks": ("127.0.0.9/32",), "trunk_addresses": ("127.0.0.1/32",)}
    async with running(tmp_path, **networks) as pbx:
        async with application(pbx) as app, SipCaller(pbx.sip) as caller:
            async with caller.call("1000"):
                start = await app.next("StasisStart")
                assert start["channel"]["name"].startswith("PJSIP/trunk-")
                assert start["args"][1] == "+1000"


async def test_garbage_on_the_sip_port_hurts_nobody(pbx: RunningPbx) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for garbage in (b"", b"\x00" * 1200, b"INVITE", b"INVITE sip:1000@x SIP/2.0\r\n\r\n"):
            stranger.sendto(garbage, pbx.sip)
    async with application(pbx) as app, SipCaller(pbx.sip) as caller:
        async with caller.call("1000"):
            await app.next("StasisStart")


async def test_the_console_knows_our_words(pbx: RunningPbx) -> None:
    async with application(pbx) as app, SipCaller(pbx.sip) as caller:
        async with caller.call("1000"):
            start = await app.next("StasisStart")
            assert start["channel"]["name"] in await pbx.console("sovereign calls")
            assert "sovereign" in await pbx.console("sovereign status")
            assert "softphone" in await pbx.console("sovereign trunks")


async def test_nothing_is_logged_as_an_error_when_the_pbx_starts(tmp_path: Path) -> None:
    async with running(tmp_path) as pbx:
        assert "Asterisk 22" in await pbx.console("core show version")
    complaints = [
        line
        for line in (pbx.pbx.folders.log / "messages.log").read_text().splitlines()
        if "ERROR" in line or "WARNING" in line
    ]
    assert complaints == []


async def test_every_module_of_the_list_is_running(pbx: RunningPbx) -> None:
    listed = {
        line.split("=")[1].split(";")[0].strip()
        for line in (pbx.pbx.folders.etc / "modules.conf").read_text().splitlines()
        if line.startswith(("load ", "require "))
    }
    shown = await pbx.console("module show")
    running_modules = {
        line.split()[0] for line in shown.splitlines() if " Running " in line and ".so " in line
    }
    assert running_modules == listed


async def test_two_pbxs_run_beside_each_other(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as one, running(tmp_path / "two") as two:
        assert one.pbx.values.sip_port != two.pbx.values.sip_port
        for pbx in (one, two):
            async with application(pbx) as app, SipCaller(pbx.sip) as caller:
                async with caller.call("1000"):
                    await app.next("StasisStart")


async def test_a_data_folder_with_a_long_path_works(tmp_path: Path) -> None:
    async with running(tmp_path / ("long" * 30)) as pbx:
        assert "Asterisk 22" in await pbx.console("core show version")
