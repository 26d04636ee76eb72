"""`sovereign keys rotate-master`: another master key, while everything runs."""

from __future__ import annotations

import asyncio
import os

import typer

from sovereign_ari.cli.database import database_url, opened, reaching_it
from sovereign_ari.cli.table import table
from sovereign_ari.errors import SetupFailed
from sovereign_ari.settings import read_settings
from sovereign_ari.vault_rotation import Rotation, drop_old, rotate

_INTERRUPTED = 130


def rotate_master(
    resume: bool = typer.Option(
        False, help="Go on after an interruption: seal what is left under the newest key."
    ),
    drop: bool = typer.Option(
        False, "--drop-old", help="Drop the older keys, when nothing is sealed under them."
    ),
) -> None:
    """Put a new master key on top of the file, and seal every stored secret again under it.

    Processes that run follow by themselves; other machines need the changed file first.
    """
    if resume and drop:
        raise SetupFailed("--resume and --drop-old are two steps", hint="use one of them")
    settings = read_settings(os.environ)
    url, path = database_url(settings), settings.master_keys

    async def work() -> Rotation | int:
        async with opened(url) as connection:
            if drop:
                return await drop_old(connection, path)
            return await rotate(connection, path, new_key=not resume)

    try:
        with reaching_it():
            outcome = asyncio.run(work())
    except KeyboardInterrupt:
        print("interrupted: go on with `sovereign keys rotate-master --resume`")
        raise typer.Exit(_INTERRUPTED) from None
    if isinstance(outcome, int):
        print(f"older keys dropped from {path}: {outcome}")
        return
    _report(outcome)


def _report(rotation: Rotation) -> None:
    """Say what was done, and what comes next.

    Raises:
        SetupFailed: If some values did not open.
    """
    print(f"the newest master key is {rotation.newest.hex()}")
    rows = [(name, str(count)) for name, count in rotation.done.items()]
    print(table(("column", "sealed again"), rows))
    print(f"sealed again in all: {sum(rotation.done.values())}")
    if rotation.closed:
        for name in rotation.closed:
            print(f"does not open: {name}")
        raise SetupFailed(
            f"values that did not open and stay as they are: {len(rotation.closed)}",
            hint="restore the master key that they were sealed under, or enter them again",
        )
    if rotation.older:
        print(
            f"older keys that are still in the file: {rotation.older}; when every machine has the"
            " file, `sovereign keys rotate-master --drop-old` drops them"
        )
