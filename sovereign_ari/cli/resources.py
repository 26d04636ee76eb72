"""`sovereign assistants|numbers|trunks`: list, show, create from a file, change, delete."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import typer

from sovereign_ari.cli.show import as_json, details, rows
from sovereign_ari.cli.workbench import ask, checked_id, read_file, with_article

ORG = typer.Option(None, "--org", help="Id or name of an organisation; yours when left out.")
JSON = typer.Option(False, "--json", help="Print JSON, as the API answers.")
READ_ONLY = frozenset({"id", "org_id", "created_at", "updated_at"})
"""What `show --json` prints and `create` does not take: a shown file may be created again."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of thing that the API keeps.

    Attributes:
        thing: One of them, for people: `assistant`.
        path: Where the API has them: `/assistants`.
        key: The name of an id in the API's path: `assistant_id`.
        one: Envelope of one.
        many: Envelope of several.
        columns: Title and key of each column of the list.
        shown_only: Keys that an answer has and a body does not take.
        lists_alone: Whether the bare command prints the list.
    """

    thing: str
    path: str
    key: str
    one: str
    many: str
    columns: tuple[tuple[str, str], ...]
    shown_only: frozenset[str] = frozenset()
    lists_alone: bool = False

    @property
    def path_of_one(self) -> str:
        """Where the API has one of them."""
        return f"{self.path}/{{{self.key}}}"


ASSISTANTS = Resource(
    "assistant", "/assistants", "assistant_id", "assistant", "assistants",
    (("id", "id"), ("name", "name"), ("active", "is_active"), ("model", "llm_config.model"),
     ("voice", "tts_config.voice_id"), ("made", "created_at")),
)  # fmt: skip
NUMBERS = Resource(
    "number", "/numbers", "number_id", "number", "numbers",
    (("id", "id"), ("number", "phone_number"), ("name", "name"), ("assistant", "assistant_name"),
     ("trunk", "transfer_trunk_name"), ("active", "is_active")),
    frozenset({"assistant_name", "agent_id", "agent_name", "business_name",
               "transfer_trunk_name", "workflow_name", "source"}),
)  # fmt: skip
TRUNKS = Resource(
    "trunk", "/sip-trunks", "trunk_id", "trunk", "trunks",
    (("id", "id"), ("name", "name"), ("address", "address"), ("transport", "transport"),
     ("user", "auth_username"), ("active", "is_active"), ("registration", "state.registration"),
     ("reachable", "state.reachable"), ("ms", "state.latency_ms"), ("calls", "state.calls"),
     ("last error", "state.last_error")),
    frozenset({"host", "port", "addresses", "outbound_address", "username", "state"}),
    lists_alone=True,
)  # fmt: skip


def commands_of(resource: Resource) -> typer.Typer:
    """The commands of one kind of thing."""
    alone = resource.lists_alone
    app = typer.Typer(no_args_is_help=not alone, invoke_without_command=alone)
    if alone:
        _list_when_bare(app, resource)
    for add in (_add_list, _add_show, _add_create, _add_update, _add_delete):
        add(app, resource)
    return app


def _list_when_bare(app: typer.Typer, resource: Resource) -> None:
    @app.callback()
    def bare(context: typer.Context, org: str | None = ORG, json: bool = JSON) -> None:
        if context.invoked_subcommand is None:
            found = asyncio.run(ask("GET", resource.path, organisation=org))
            print(as_json(found) if json else rows(found[resource.many], resource.columns))


def _add_list(app: typer.Typer, resource: Resource) -> None:
    @app.command("list", help=f"List all {resource.thing}s, newest first.")
    def list_(org: str | None = ORG, json: bool = JSON) -> None:
        found = asyncio.run(ask("GET", resource.path, organisation=org))
        print(as_json(found) if json else rows(found[resource.many], resource.columns))


def _add_show(app: typer.Typer, resource: Resource) -> None:
    @app.command("show", help=f"Show everything about one {resource.thing}.")
    def show(one: str = _id(resource), org: str | None = ORG, json: bool = JSON) -> None:
        ids = {resource.key: checked_id(resource.thing, one)}
        found = asyncio.run(ask("GET", resource.path_of_one, organisation=org, ids=ids))
        _print_one(resource, found, json)


def _add_create(app: typer.Typer, resource: Resource) -> None:
    @app.command(
        "create",
        help=f"Create {with_article(resource.thing)} from a JSON file: what the API takes, or what"
        " `show --json` printed.",
    )
    def create(file: str = _FILE, org: str | None = ORG, json: bool = JSON) -> None:
        body = _writable(resource, read_file(file))
        found = asyncio.run(ask("POST", resource.path, organisation=org, body=body))
        _print_one(resource, found, json)


def _add_update(app: typer.Typer, resource: Resource) -> None:
    @app.command(
        "update", help=f"Change the fields of {with_article(resource.thing)} that a file names."
    )
    def update(
        one: str = _id(resource), file: str = _FILE, org: str | None = ORG, json: bool = JSON
    ) -> None:
        ids = {resource.key: checked_id(resource.thing, one)}
        body = _writable(resource, read_file(file))
        found = asyncio.run(
            ask("PATCH", resource.path_of_one, organisation=org, body=body, ids=ids)
        )
        _print_one(resource, found, json)


def _add_delete(app: typer.Typer, resource: Resource) -> None:
    @app.command("delete", help=f"Delete one {resource.thing}.")
    def delete(one: str = _id(resource), org: str | None = ORG) -> None:
        ids = {resource.key: checked_id(resource.thing, one)}
        asyncio.run(ask("DELETE", resource.path_of_one, organisation=org, ids=ids))
        print(f"deleted {resource.thing} {ids[resource.key]}")


_FILE = typer.Argument(help="A JSON file, or - for standard input.")


def _id(resource: Resource) -> Any:
    return typer.Argument(
        metavar="ID", help=f"The id that `sovereign {resource.thing}s list` shows."
    )


def _writable(resource: Resource, data: dict[str, Any]) -> dict[str, Any]:
    """Open the envelope, under whichever of its names, and leave out what only answers have."""
    inside = data.get(resource.one)
    if isinstance(inside, dict) and all(value == inside for value in data.values()):
        data = inside
        dropped = READ_ONLY | resource.shown_only
        return {key: value for key, value in data.items() if key not in dropped}
    return data


def _print_one(resource: Resource, found: dict[str, Any], json: bool) -> None:
    print(as_json(found) if json else details(found[resource.one]))
