"""The private PostgreSQL: one cluster per data folder, reachable by a Unix socket only.

`DATABASE_URL` replaces it. The system's PostgreSQL programs are used, never its clusters.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import asyncpg

from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.bundle.processes import Account, Command
from sovereign_ari.errors import SetupFailed

ROLE = "sovereign"
DATABASE = "sovereign"
MINIMUM_MAJOR = 14
_OS_USER = "postgres"
_ELSEWHERE = Path("/var/lib/sovereign-ari")
_POLL_S = 0.02
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "logging_collector": "off",
    "log_error_verbosity": "terse",  # a DETAIL quotes rows, and rows hold callers' numbers
    "shared_buffers": "128MB",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where one cluster is and who owns it.

    Attributes:
        binaries: Folder of `initdb` and `postgres`.
        data: Its data folder.
        sockets: Folder of its Unix socket.
        account: The system user it runs as; PostgreSQL refuses root.
        log_path: What it prints.
    """

    binaries: Path
    data: Path
    sockets: Path
    account: Account
    log_path: Path

    def url(self, database: str = DATABASE) -> str:
        """URL of a database, for asyncpg and psql alike."""
        query = urlencode({"host": str(self.sockets), "user": ROLE})
        return f"postgresql:///{database}?{query}"

    def command(self) -> Command:
        """What the supervisor runs. SIGINT is PostgreSQL's fast shutdown."""
        options = {**_SETTINGS, "unix_socket_directories": str(self.sockets)}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return Command(
            name="postgres",
            argv=(str(self.binaries / "postgres"), "-D", str(self.data), *flags),
            log_path=self.log_path,
            environment=_environment(),
            account=self.account,
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
        )


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LANG": "C", "LC_ALL": "C"}


def find_binaries() -> Path:
    """Find the folder with the newest usable `initdb` and `postgres`.

    Raises:
        SetupFailed: When there is none.
    """
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _number(path.parent.name)
    )
    if on_path := shutil.which("postgres"):
        folders.append(Path(on_path).resolve().parent)
    for folder in reversed(folders):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            _check_version(folder)
            return folder
    raise SetupFailed(
        "no PostgreSQL server is installed",
        hint="apt-get install postgresql, or set DATABASE_URL to a server of yours",
    )


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"[0-9.]+", text) else 0.0


def _check_version(folder: Path) -> None:
    printed = subprocess.run(
        [folder / "postgres", "--version"], stdout=subprocess.PIPE, text=True, check=False
    ).stdout
    found = re.search(r"(\d+)", printed)
    if found is None or int(found[1]) < MINIMUM_MAJOR:
        raise SetupFailed(
            f"{folder} holds {printed.strip() or 'a PostgreSQL that does not start'}",
            hint=f"PostgreSQL {MINIMUM_MAJOR} or newer is needed",
        )


def _account() -> Account:
    """Choose who runs PostgreSQL: we ourselves, or its own system user when we are root."""
    if os.getuid() != 0:
        return Account()
    try:
        entry = pwd.getpwnam(_OS_USER)
    except KeyError:
        raise SetupFailed(
            f"PostgreSQL does not run as root, and this system has no user {_OS_USER!r}",
            hint=f"run as an ordinary user, or make one: adduser --system --group {_OS_USER}",
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def _can_pass(folder: Path, account: Account) -> bool:
    """Whether the account may enter the folder."""
    done = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)],
        user=account.user_id,
        group=account.group_id,
        extra_groups=[] if account.user_id is not None else None,
        stderr=subprocess.DEVNULL,
        cwd="/",
        check=False,
    )
    return done.returncode == 0


def _own(folder: Path, account: Account) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if account.user_id is not None and account.group_id is not None:
        os.chown(folder, account.user_id, account.group_id)
    folder.chmod(0o700)


def prepare_cluster(data: DataDir, say: Callable[[str], None]) -> Cluster:
    """Make the cluster at the first time, and say where it is.

    Raises:
        SetupFailed: When there is no PostgreSQL, or it cannot be set up here.
    """
    binaries = find_binaries()
    account = _account()
    base = data.path
    sockets = data.socket_folder("postgres")
    if not _can_pass(base, account):
        # Opening the folders above it to everybody is not ours to do.
        base = _ELSEWHERE / data.identity()
        base.mkdir(mode=0o711, parents=True, exist_ok=True)
        sockets = base / "sockets"
        say(f"user {_OS_USER} cannot enter {data.path}; the database is in {base}")
    cluster = Cluster(binaries, base / "postgres", sockets, account, data.logs / "postgres.log")
    _own(cluster.data, account)
    _own(cluster.sockets, account)
    _initialise(cluster)
    return cluster


def _initialise(cluster: Cluster) -> None:
    """Run initdb unless the cluster exists; a broken attempt is removed, nothing else is."""
    version_file = cluster.data / "PG_VERSION"
    if version_file.exists():
        stored = version_file.read_text().strip()
        if stored != _major(cluster.binaries):
            raise SetupFailed(
                f"{cluster.data} was made by PostgreSQL {stored}, not by {cluster.binaries}",
                hint=f"install PostgreSQL {stored} again, or move the data with pg_upgrade",
            )
        return
    done = subprocess.run(
        [
            *(str(cluster.binaries / "initdb"), "-D", str(cluster.data), "-U", ROLE),
            *("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"),
        ],
        user=cluster.account.user_id,
        group=cluster.account.group_id,
        extra_groups=[] if cluster.account.user_id is not None else None,
        env=_environment(),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        with cluster.log_path.open("a") as output:
            output.write(done.stdout)
        last = (done.stdout.strip().splitlines() or ["no message"])[-1]
        raise SetupFailed(
            f"PostgreSQL could not be set up: {last}", hint=f"see {cluster.log_path}"
        )


def _major(binaries: Path) -> str:
    printed = subprocess.run(
        [binaries / "postgres", "--version"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    found = re.search(r"\d+", printed)
    return found[0] if found else ""


async def wait_until_ready(cluster: Cluster, timeout_s: float) -> None:
    """Return when the database takes connections, making it at the first time.

    Raises:
        SetupFailed: When that takes longer than `timeout_s`.
    """
    connection = await _connect(cluster, timeout_s)
    try:
        query = "select 1 from pg_database where datname = $1"
        if await connection.fetchval(query, DATABASE) is None:
            await connection.execute(f"create database {DATABASE}")
    finally:
        await connection.close()


async def _connect(cluster: Cluster, timeout_s: float) -> asyncpg.Connection:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        try:
            return await asyncpg.connect(cluster.url("postgres"), timeout=timeout_s)
        except (OSError, asyncpg.PostgresError) as error:
            if loop.time() > deadline:
                raise SetupFailed(
                    f"PostgreSQL did not come up within {timeout_s:g} s: {error}",
                    hint=f"see {cluster.log_path}",
                ) from None
        await asyncio.sleep(_POLL_S)
