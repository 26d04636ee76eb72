"""`sovereign up`: starts everything in order, keeps it running, and ends it in order.

Order of start: PostgreSQL and Asterisk, migrations, then api, worker and controllers. Order of
end: controllers (they drain their calls), api and worker, Asterisk, PostgreSQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import aiohttp

from sovereign_ari.bundle import postgres
from sovereign_ari.bundle.asterisk import BundledAsterisk, find_program
from sovereign_ari.bundle.banner import Facts, banner, ready_document
from sovereign_ari.bundle.calllines import follow_calls
from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.bundle.family import Family, cancelled
from sovereign_ari.bundle.plan import (
    Ports,
    app_names,
    choose_ports,
    own_commands,
    pbx_values,
    reachable,
)
from sovereign_ari.errors import SetupFailed
from sovereign_ari.settings import Settings

START_TIMEOUT_S = 60.0
_GRACE_S = 5.0  # on top of the drain time, before a controller is killed
_STOP_S = 10.0
_POLL_S = 0.05
_PROBE_TIMEOUT_S = 2.0

Say = Callable[[str], None]
# Brings the database at a URL up to date and makes sure of an API key in the data folder;
# returns the key when it is new.
Prepare = Callable[[str, DataDir], Awaitable[str | None]]


class Supervisor:
    """One run of `sovereign up`.

    Args:
        settings: As read by the command.
        environment: What children inherit.
        prepare: See `Prepare`.
        say: Prints one line for the operator.
    """

    def __init__(
        self, settings: Settings, environment: Mapping[str, str], prepare: Prepare, say: Say
    ) -> None:
        self._settings = settings
        self._environment = environment
        self._prepare = prepare
        self._say = say
        self._data = DataDir(settings.data_dir)
        self._facts: Facts | None = None
        self._calls: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._kill = asyncio.Event()

    async def run(self) -> None:
        """Run until SIGINT or SIGTERM. A second signal ends everything at once.

        Raises:
            SetupFailed: When something does not start; what had started is stopped again.
        """
        self._data.lock()
        try:
            self._data.withdraw()
            with self._signals():
                family = Family(self._say, self._announce)
                self._pids = family.pids
                try:
                    await self._until_stopped(family)
                finally:
                    self._facts = None
                    self._data.withdraw()
                    await self._end(family)
                    await cancelled(self._calls)
        finally:
            self._data.unlock()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def asked() -> None:
            (self._kill if self._stop.is_set() else self._stop).set()

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, asked)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def _until_stopped(self, family: Family) -> None:
        began = time.monotonic()
        starting = asyncio.create_task(self._start(family), name="start")
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                return
            facts, new_key = starting.result()
            self._facts = facts
            family.settle()
            self._announce()
            has_provider = self._settings.openai_api_key is not None
            took_s = time.monotonic() - began
            for line in banner(facts, took_s, new_key, has_provider=has_provider):
                self._say(line)
            following = follow_calls(facts.database_url, self._say)
            self._calls = asyncio.create_task(following, name="calls")
            await stopping
        finally:
            await cancelled(starting, stopping)

    def _announce(self) -> None:
        if self._facts is not None:
            self._data.announce(ready_document(self._facts, self._pids()))

    async def _start(self, family: Family) -> tuple[Facts, str | None]:
        ports = choose_ports(self._settings)
        pbx = await self._start_asterisk(family, ports)
        database_url = await self._start_postgres(family)
        new_key = await self._prepare(database_url, self._data)
        if pbx is not None:
            await family.unless_one_fails(pbx.wait_until_ready(START_TIMEOUT_S))
        facts = self._describe(ports, database_url, pbx)
        await self._start_ours(family, ports, facts, pbx)
        return facts, new_key

    async def _start_asterisk(self, family: Family, ports: Ports) -> BundledAsterisk | None:
        if self._settings.ari_url is not None:
            return None
        program = await asyncio.to_thread(find_program, self._settings.cache_dir)
        pbx = BundledAsterisk(self._data, program, pbx_values(self._settings, self._data, ports))
        pbx.configure()
        await family.launch(pbx.command())
        return pbx

    async def _start_postgres(self, family: Family) -> str:
        url = self._settings.database_url
        if url is not None:
            return url.get_secret_value()
        cluster = await asyncio.to_thread(postgres.prepare_cluster, self._data, self._say)
        await family.launch(cluster.command())
        await postgres.wait_until_ready(cluster, START_TIMEOUT_S)
        return cluster.url()

    async def _start_ours(
        self, family: Family, ports: Ports, facts: Facts, pbx: BundledAsterisk | None
    ) -> None:
        shared = {
            "DATABASE_URL": facts.database_url,
            "SOVEREIGN_DATA_DIR": str(self._data.path),
            "SOVEREIGN_API_PORT": str(ports.api),
            "SOVEREIGN_ARI_URL": facts.ari_url,
        }
        if pbx is not None:
            shared["SOVEREIGN_ARI_USERNAME"] = pbx.values.ari_username
            shared["SOVEREIGN_ARI_PASSWORD"] = pbx.values.ari_password
            shared["SOVEREIGN_SIP_PORT"] = str(ports.sip)
            if (manager := pbx.values.manager) is not None:
                shared["SOVEREIGN_AMI_PORT"] = str(manager.port)
                shared["SOVEREIGN_AMI_PASSWORD"] = manager.password
            shared["SOVEREIGN_PBX_LOG"] = str(pbx.folders.log / "messages.log")
        if not self._settings.chosen("log_format"):
            shared["SOVEREIGN_LOG_FORMAT"] = "json"
        environment = {**self._environment, **shared}
        for command in own_commands(self._data, environment, ports, app_names(self._settings)):
            await family.launch(command)
        probes = [f"{facts.api_url}/health", *(f"{url}/readyz" for url in facts.controller_urls)]
        await family.unless_one_fails(_answering(probes, START_TIMEOUT_S))

    def _describe(self, ports: Ports, database_url: str, pbx: BundledAsterisk | None) -> Facts:
        host = reachable(self._settings.bind)
        return Facts(
            api_url=f"http://{host}:{ports.api}/api/v1",
            sip_uri=f"sip:1000@{host}:{ports.sip}" if pbx is not None else None,
            sip_port=ports.sip if pbx is not None else None,
            ari_url=pbx.ari_url if pbx is not None else str(self._settings.ari_url),
            database_url=database_url,
            asterisk_cli=pbx.cli if pbx is not None else None,
            controller_urls=tuple(f"http://127.0.0.1:{port}" for port in ports.controllers),
            api_key_file=self._data.api_key_file,
            softphone_file=self._data.softphone_file if pbx is not None else None,
            data_dir=self._data.path,
        )

    async def _end(self, family: Family) -> None:
        """Stop in order, or kill everybody when a second signal comes meanwhile."""
        orderly = asyncio.create_task(self._stop_in_order(family), name="stop")
        hurry = asyncio.ensure_future(self._kill.wait())
        try:
            await asyncio.wait({orderly, hurry}, return_when=asyncio.FIRST_COMPLETED)
            if not orderly.done():
                self._say("ending everything at once")
                await cancelled(orderly)
                await family.kill()
        finally:
            await cancelled(orderly, hurry)

    async def _stop_in_order(self, family: Family) -> None:
        names = family.names()
        controllers = [name for name in names if name.startswith("controller")]
        if controllers:
            self._say("draining calls; Ctrl-C again ends them now")
        await family.stop(controllers, self._settings.drain_timeout_s + _GRACE_S)
        await family.stop([name for name in names if name in ("api", "worker")], _STOP_S)
        await family.stop(["asterisk"], _STOP_S)
        await cancelled(self._calls)
        await family.stop(["postgres"], _STOP_S)
        if controllers:
            self._say("everything has stopped")


async def _answering(urls: Sequence[str], timeout_s: float) -> None:
    """Return when every URL answers 200."""
    waiting = list(urls)
    limit = aiohttp.ClientTimeout(total=_PROBE_TIMEOUT_S)
    try:
        async with asyncio.timeout(timeout_s), aiohttp.ClientSession(timeout=limit) as session:
            while waiting:
                try:
                    async with session.get(waiting[0]) as answer:
                        if answer.status == 200:
                            waiting.pop(0)
                            continue
                except (aiohttp.ClientError, TimeoutError):
                    pass
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise SetupFailed(
            f"{waiting[0]} did not answer within {timeout_s:g} s", hint="see the log folder"
        ) from None
