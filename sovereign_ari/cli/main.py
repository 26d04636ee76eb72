"""The commands. Each reads the settings once and calls one function.

What only one of them needs, it imports itself: the others start in half of the time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import NoReturn

import typer
import uvloop

from sovereign_ari.bundle.datadir import DataDir
from sovereign_ari.bundle.processes import tie_to
from sovereign_ari.cli import calls, importing, keys, orgs, resources
from sovereign_ari.cli.database import database_url, prepare_database, reaching_it
from sovereign_ari.errors import InvalidRequest, OperatorError, SovereignError
from sovereign_ari.settings import Settings, read_settings

app = typer.Typer(
    name="sovereign",
    help="Open, self-hosted voice-AI telephone platform around Asterisk.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(keys.app, name="keys", help="API keys of the operator's organisation.")
app.add_typer(resources.commands_of(resources.ASSISTANTS), name="assistants", help="Assistants.")
app.add_typer(resources.commands_of(resources.NUMBERS), name="numbers", help="Phone numbers.")
app.add_typer(resources.commands_of(resources.TRUNKS), name="trunks", help="SIP trunks.")
app.add_typer(calls.app, name="calls", help="Calls: list, read, place, erase.")
app.add_typer(orgs.app, name="orgs", help="Organisations.")
app.add_typer(importing.app, name="import", help="Assistants of other platforms.")


@app.command()
def up(
    tied: bool = typer.Option(False, hidden=True, help="End when the parent process ends."),
) -> None:
    """Start everything on this machine, and stay in the foreground."""
    from sovereign_ari.bundle.supervisor import Supervisor

    if tied:
        tie_to(os.getppid(), signal.SIGTERM)
    settings = read_settings(os.environ)

    async def prepare(url: str, data: DataDir) -> str | None:
        return await prepare_database(settings, url, data)

    supervisor = Supervisor(settings, os.environ, prepare, _say)
    asyncio.run(supervisor.run())


def _say(line: str) -> None:
    """Print a line. A terminal or a pipe that went away ends nothing: lines go nowhere then."""
    try:
        print(line, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@app.command()
def api() -> None:
    """Serve the REST API."""
    from sovereign_ari.app import run_api

    _serve(run_api)


@app.command()
def controller() -> None:
    """Answer calls of one Asterisk."""
    from sovereign_ari.first_aid import hold_callers

    hold_callers(read_settings(os.environ))
    from sovereign_ari.app import run_controller

    _serve(run_controller)


@app.command()
def worker() -> None:
    """Do the work that nobody waits for."""
    from sovereign_ari.app import run_worker

    _serve(run_worker)


def _serve(run: Callable[[Settings], Awaitable[None]]) -> None:
    settings = read_settings(os.environ)

    async def serve() -> None:
        await run(settings)

    uvloop.run(serve())


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    from db.migrate import migrate_database

    with reaching_it():
        applied = asyncio.run(migrate_database(database_url(read_settings(os.environ))))
    for migration in applied:
        print(f"applied {migration.number:04}_{migration.name}")
    if not applied:
        print("the schema is up to date")


@app.command()
def status() -> None:
    """Show what is running."""
    from sovereign_ari.cli.status import status as run_status

    raise typer.Exit(0 if asyncio.run(run_status(read_settings(os.environ))) else 1)


@app.command()
def doctor() -> None:
    """Check every part, and say what to do about each fault."""
    from sovereign_ari.cli.doctor import doctor as run_doctor

    # A shell that starts us in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    raise typer.Exit(0 if asyncio.run(run_doctor(read_settings(os.environ))) else 1)


def main() -> None:
    """Run a command: a fault is one sentence and a hint on standard error, and exit code 1."""
    try:
        app()
    except Exception as error:  # noqa: BLE001  # the last line of defence of the process
        _report(error)


def _report(error: Exception) -> None:
    while isinstance(error, ExceptionGroup):  # tasks of a group: the first to fail is the cause
        error = error.exceptions[0]
    if isinstance(error, InvalidRequest):
        _fail("\n       ".join(error.details) or str(error), None)
    if isinstance(error, SovereignError):
        _fail(str(error), error.hint if isinstance(error, OperatorError) else None)
    if os.environ.get("SOVEREIGN_LOG_LEVEL") == "debug":
        traceback.print_exception(error)
    _fail(f"{type(error).__name__}: {error}", "SOVEREIGN_LOG_LEVEL=debug shows where")


def _fail(message: str, hint: str | None) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    if hint is not None:
        print(f"hint:  {hint}", file=sys.stderr)
    sys.exit(1)
