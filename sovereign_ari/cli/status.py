"""`sovereign status`: what runs in the data folder, and whether it answers."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg

from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.cli.database import read_ready
from sovereign_ari.cli.table import table
from sovereign_ari.settings import Settings

_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Probe:
    """The outcome of asking one part whether it is well."""

    name: str
    where: str
    good: bool
    detail: str


async def status(settings: Settings) -> bool:
    """Print a table of the parts; return whether everything is well."""
    ready = read_ready(settings.data_dir)
    if ready is None:
        print(f"nothing is running in {settings.data_dir.resolve()}")
        return False
    probes = await probe_parts(ready, ari_login(settings))
    rows = [
        (probe.name, "ok" if probe.good else "FAULT", probe.detail, probe.where)
        for probe in probes
    ]
    print(table(("part", "state", "detail", "where"), rows))
    return all(probe.good for probe in probes)


def ari_login(settings: Settings) -> str:
    """Authorization header for ARI: the setting, or what the bundle made for its own PBX."""
    if settings.ari_password is not None:
        password = settings.ari_password.get_secret_value()
    else:
        password = DataDir(settings.data_dir).secret("ari_password")
    return aiohttp.encode_basic_auth(settings.ari_username, password)


async def probe_parts(ready: dict[str, Any], login: str) -> list[Probe]:
    """Ask every part that `ready.json` names."""
    probes = [_process(name, pid) for name, pid in ready["pids"].items()]
    limit = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=limit) as session:
        probes.append(await _http(session, "api", f"{ready['api_url']}/health"))
        controllers = [
            await _http(session, "controller", f"{url}/healthz")
            for url in ready["controller_urls"]
        ]
        probes += controllers
        probes.append(await _http(session, "ARI", f"{ready['ari_url']}/asterisk/ping", login))
    probes.append(await _database(ready["database_url"]))
    return probes


def _process(name: str, pid: int) -> Probe:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return Probe(f"process {name}", f"pid {pid}", False, "not running")
    except PermissionError:
        pass
    return Probe(f"process {name}", f"pid {pid}", True, "running")


async def _http(
    session: aiohttp.ClientSession, name: str, url: str, login: str | None = None
) -> Probe:
    began = time.monotonic()
    try:
        async with session.get(url, headers={"Authorization": login} if login else {}) as answer:
            took_ms = (time.monotonic() - began) * 1000
            return Probe(name, url, answer.status == 200, f"{answer.status} in {took_ms:.0f} ms")
    except (aiohttp.ClientError, TimeoutError) as error:
        return Probe(name, url, False, str(error) or "no answer")


async def _database(url: str) -> Probe:
    began = time.monotonic()
    try:
        connection = await asyncpg.connect(url, timeout=_TIMEOUT_S)
        try:
            version = await connection.fetchval("show server_version")
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError, ValueError) as error:
        return Probe("PostgreSQL", "DATABASE_URL", False, str(error) or "no answer")
    took_ms = (time.monotonic() - began) * 1000
    return Probe("PostgreSQL", "database_url", True, f"{version} in {took_ms:.0f} ms")
