"""`sovereign import vapi|retell FILE`: an assistant of another platform becomes one of ours."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

import typer

from sovereign_ari.cli.resources import JSON, ORG
from sovereign_ari.cli.show import as_json
from sovereign_ari.cli.workbench import ask, read_file
from sovereign_ari.errors import InvalidRequest
from sovereign_ari.importers import retell, vapi
from sovereign_ari.importers.blocks import Catalogue
from sovereign_ari.importers.source import Imported
from sovereign_ari.settings import read_settings

app = typer.Typer(no_args_is_help=True)
_FILE = typer.Argument(help="The exported JSON file, or - for standard input.")
_DRY = typer.Option(False, "--dry-run", help="Print the assistant as a file, and create nothing.")
_VAPI_KEYS = ("model", "voice", "transcriber", "firstMessage")
_RETELL_KEYS = ("response_engine", "retellLlmData", "conversationFlow", "general_prompt")
Convert = Callable[[Mapping[str, Any], Catalogue, Mapping[str, Any]], Imported]


@app.command("vapi")
def import_vapi(
    file: str = _FILE, org: str | None = ORG, dry_run: bool = _DRY, json: bool = JSON
) -> None:
    """Import what `GET https://api.vapi.ai/assistant/ID` answers."""
    _import(_read(file, "Vapi", _VAPI_KEYS), vapi.convert, org, dry_run, json)


@app.command("retell")
def import_retell(
    file: str = _FILE, org: str | None = ORG, dry_run: bool = _DRY, json: bool = JSON
) -> None:
    """Import an agent as Retell's dashboard exports it, or a response engine of its API."""
    _import(_read(file, "Retell", _RETELL_KEYS), retell.convert, org, dry_run, json)


def _read(file: str, platform: str, keys: Collection[str]) -> dict[str, Any]:
    data: dict[str, Any] = read_file(file)
    if not data.keys() & set(keys):
        raise InvalidRequest(
            f"{file} is not an export of {platform}: it has none of {', '.join(keys)}"
        )
    return data


def _import(
    data: dict[str, Any], convert: Convert, org: str | None, dry_run: bool, json: bool
) -> None:
    """Convert and create; what was not carried over goes to standard error."""
    from sovereign_ari.app import default_blocks  # loads everything
    from sovereign_ari.speech.registry import load_catalogue

    default_llm = default_blocks(read_settings(os.environ))["llm"]
    imported = convert(data, load_catalogue(), default_llm)
    for note in imported.notes:
        print(f"note: {note}", file=sys.stderr)
    if dry_run:
        print(as_json(imported.body))
        return
    made = asyncio.run(ask("POST", "/assistants", organisation=org, body=imported.body))
    print(as_json(made) if json else made["assistant"]["id"])
