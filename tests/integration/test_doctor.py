"""`sovereign doctor` as an operator uses it, against the product as shipped."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from sovereign_ari.cli.doctor_call import QUESTION
from sovereign_ari.wire.ari_http import AriAddress, AriHttp
from tests.support.fake_openai import FakeOpenAI, Fault, fake_openai
from tests.support.platform import REPOSITORY, Platform, running_platform
from tests.support.residue import assert_nothing_left

KEY = "a-key-of-the-tests"
ENDS_WITHIN_S = 100
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def no_task_outlives_its_test() -> AsyncIterator[None]:
    """Nothing of the doctor runs in this process; the servers live as long as the module."""
    yield


@dataclass(frozen=True, slots=True)
class Diagnosis:
    code: int
    output: str

    def grade_of(self, what: str) -> str:
        """Read the grade of one line: its first word."""
        found = re.search(rf"^  (\S+) +{re.escape(what)} ", self.output, re.MULTILINE)
        assert found, f"no line about {what!r}:\n{self.output}"
        return found[1]

    def line_of(self, what: str) -> str:
        found = re.search(rf"^  \S+ +{re.escape(what)} .*(\n +-> .*)?", self.output, re.MULTILINE)
        assert found, f"no line about {what!r}:\n{self.output}"
        return found[0]


async def start_doctor(data_dir: Path, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sovereign_ari", "doctor"),
        cwd=data_dir,
        env={
            **kept,
            "PYTHONPATH": str(REPOSITORY),
            "SOVEREIGN_DATA_DIR": str(data_dir),
            **env,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def diagnosis_of(process: asyncio.subprocess.Process) -> Diagnosis:
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Diagnosis(process.returncode, output.decode())


async def ask_doctor(data_dir: Path, **env: str) -> Diagnosis:
    return await diagnosis_of(await start_doctor(data_dir, env))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyless() -> AsyncIterator[Platform]:
    async with running_platform({}) as platform:
        yield platform


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def vendor() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai(api_key=KEY) as server:
        server.realtime.recognise = lambda pcm: QUESTION
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyed(vendor: FakeOpenAI) -> AsyncIterator[Platform]:
    async with running_platform(with_key(vendor)) as platform:
        yield platform


async def make_bridge(platform: Platform, name: str) -> None:
    password = (platform.data_dir / "ari_password").read_text().strip()
    address = AriAddress(platform.ready["ari_url"], "sovereign", password, "tests")
    async with AriHttp(address) as ari:
        await ari.create_bridge(name)


def with_key(vendor: FakeOpenAI, key: str = KEY) -> dict[str, str]:
    return {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": vendor.base_url}


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def healthy(keyless: Platform) -> Diagnosis:
    """Diagnose a healthy product, in which a doctor that was killed had left its bridge."""
    await make_bridge(keyless, "sovereign-doctor-0-bridge")
    diagnosis = await ask_doctor(keyless.data_dir)
    await assert_nothing_left(keyless)
    return diagnosis


async def test_a_healthy_product_is_called_and_measured(healthy: Diagnosis) -> None:
    diagnosis = healthy
    assert diagnosis.code == 0, diagnosis.output
    assert "FAIL" not in diagnosis.output
    assert re.search(
        r"^(all is well|nothing is broken; \d could be better)$", diagnosis.output, re.M
    )
    assert re.search(r"\d+ ms by sovereign", diagnosis.line_of("answer"))
    assert re.search(r"\d+ ms after the answer", diagnosis.line_of("greeting"))
    for direction in ("we hear the agent", "the agent hears us"):
        figures = r"(\d+) packets, \d+ lost, \d+ late, jitter \d+\.\d ms"
        found = re.search(figures, diagnosis.line_of(direction))
        assert found, diagnosis.output
        assert int(found[1]) > 100
    assert diagnosis.grade_of("level") == "OK"
    assert f'"{QUESTION}"' in diagnosis.line_of("understood")
    reaction = diagnosis.line_of("voice to voice")
    assert re.search(r" \d+ ms: configured end-of-turn delay 400, recogniser \d+,", reaction)


async def test_the_stages_add_up_to_what_was_measured(healthy: Diagnosis) -> None:
    reaction = healthy.line_of("voice to voice")
    heard, _, stages = reaction.partition("\n")[0].partition(" ms: ")
    total_ms = int(heard.split()[-1])
    spent_ms = [int(part.split()[-1]) for part in stages.split(", ")]
    assert len(spent_ms) == 6
    # Our loudness and the product's detector may disagree about the last syllable.
    assert sum(spent_ms) == pytest.approx(total_ms, abs=300)


async def test_a_demo_that_is_not_active_is_named(keyless: Platform) -> None:
    async with keyless.api() as api:
        (demo,) = (await api.get("/assistants"))["assistants"]
        await api.change(f"/assistants/{demo['id']}", {"is_active": False})
        try:
            diagnosis = await ask_doctor(keyless.data_dir)
        finally:
            await api.change(f"/assistants/{demo['id']}", {"is_active": True})
    assert diagnosis.code == 1
    assert diagnosis.grade_of("answer") == "FAIL"
    assert "active" in diagnosis.line_of("answer")
    assert "1 broken" in diagnosis.output
    await assert_nothing_left(keyless)


async def test_a_controller_that_hangs_is_named(keyless: Platform) -> None:
    with stopped(keyless.controller_pid):
        diagnosis = await ask_doctor(keyless.data_dir)
    assert diagnosis.code == 1
    assert diagnosis.grade_of("controller") == "FAIL"
    assert "was not answered within" in diagnosis.line_of("answer")
    assert "a controller took the call and does nothing" in diagnosis.line_of("answer")
    await assert_nothing_left(keyless)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_doctor_leaves_nothing_behind(
    keyless: Platform, number: signal.Signals
) -> None:
    process = await start_doctor(keyless.data_dir, {})
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            while "Local/1000" not in await keyless.asterisk_cli("core show channels concise"):
                pass  # each look takes a process and 20 ms
        assert "sovereign-doctor-" in await keyless.asterisk_cli("bridge show all")
        process.send_signal(number)
    finally:
        diagnosis = await diagnosis_of(process)
    assert diagnosis.code != 0
    assert "Traceback" not in diagnosis.output
    await assert_nothing_left(keyless)


async def test_free_conversation_is_measured_too(keyed: Platform, vendor: FakeOpenAI) -> None:
    diagnosis = await ask_doctor(keyed.data_dir, **with_key(vendor))
    assert diagnosis.code == 0, diagnosis.output
    assert diagnosis.grade_of("OpenAI key") == "OK"
    assert f'"{QUESTION}"' in diagnosis.line_of("understood")
    await assert_nothing_left(keyed)


async def test_the_slow_provider_is_named(keyed: Platform, vendor: FakeOpenAI) -> None:
    vendor.chat.first_token_s = 4.5
    try:
        diagnosis = await ask_doctor(keyed.data_dir, **with_key(vendor))
    finally:
        vendor.chat.first_token_s = 0.0
    assert diagnosis.code == 0  # the caller is asked for a moment meanwhile
    assert diagnosis.grade_of("voice to voice") in ("SLOW", "POOR")
    hint = diagnosis.line_of("voice to voice").partition("->")[2]
    assert re.search(r"most of it is the model \(openai/\S+\): 4\d\d\d ms", hint), diagnosis.output
    await assert_nothing_left(keyed)


async def test_a_deaf_recogniser_is_told_from_a_deaf_line(
    keyed: Platform, vendor: FakeOpenAI
) -> None:
    recognise, vendor.realtime.recognise = vendor.realtime.recognise, lambda pcm: ""
    try:
        diagnosis = await ask_doctor(keyed.data_dir, **with_key(vendor))
    finally:
        vendor.realtime.recognise = recognise
    assert diagnosis.code == 1
    assert diagnosis.grade_of("the agent hears us") != "FAIL"
    reaction = diagnosis.line_of("voice to voice")
    assert "about nothing that we said" in reaction  # for it asks us to say it again
    assert "it hears us, but recognises nothing: look at openai/" in reaction
    await assert_nothing_left(keyed)


async def test_a_voice_that_refuses_is_named(keyed: Platform, vendor: FakeOpenAI) -> None:
    vendor.speech.faults.append(Fault(status=401))
    try:
        diagnosis = await ask_doctor(keyed.data_dir, **with_key(vendor))
    finally:
        vendor.speech.faults.clear()
    assert diagnosis.code == 1
    assert diagnosis.grade_of("provider") == "FAIL"
    assert "check the provider's key" in diagnosis.line_of("provider")
    assert diagnosis.grade_of("greeting") == "FAIL"
    await assert_nothing_left(keyed)


async def test_with_nothing_up_it_says_so_and_checks_the_rest(
    tmp_path: Path, vendor: FakeOpenAI
) -> None:
    diagnosis = await ask_doctor(tmp_path, **with_key(vendor))
    assert diagnosis.code == 1
    assert "nothing is up in" in diagnosis.line_of("running")
    assert "start it with `sovereign up`" in diagnosis.line_of("running")
    for part in ("Python", "espeak-ng", "Asterisk program", "OpenAI key", "SIP port"):
        assert diagnosis.grade_of(part) == "OK", diagnosis.output
    assert "a call to" not in diagnosis.output


async def test_a_wrong_key_is_told_from_a_vendor_that_is_away(
    tmp_path: Path, vendor: FakeOpenAI
) -> None:
    wrong = await ask_doctor(tmp_path, **with_key(vendor, key="sk-wrong-7311"))
    assert wrong.grade_of("OpenAI key") == "FAIL"
    assert "answered 401" in wrong.line_of("OpenAI key")
    assert "check OPENAI_API_KEY" in wrong.line_of("OpenAI key")
    assert "sk-wrong-7311" not in wrong.output
    away = await ask_doctor(tmp_path, OPENAI_API_KEY=KEY, OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert away.grade_of("OpenAI key") == "FAIL"
    assert "check OPENAI_BASE_URL and the network" in away.line_of("OpenAI key")
