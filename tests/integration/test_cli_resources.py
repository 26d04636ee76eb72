"""The commands for what the API keeps, as an operator types them, on a real database."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from db.journal import write_entries
from db.organisations import create_organisation, ensure_operator_organisation
from db.pool import connect
from tests.support.command_server import CommandServer
from tests.support.rows import a_call_id, answered, closed, opened

ROOT = Path(__file__).parents[2]
NUMBER = "+31201234567"


@dataclass(frozen=True)
class Shell:
    """Runs `sovereign` with a database of its own."""

    url: str
    folder: Path
    commands: CommandServer

    async def run(self, *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
        environment = {
            **os.environ,
            "DATABASE_URL": self.url,
            "SOVEREIGN_DATA_DIR": str(self.folder / "data"),
            "PYTHONPATH": str(ROOT),
        }
        done = await self.commands.run(words, environment, self.folder, stdin)
        return done.code, done.out, done.err

    async def json(self, *words: str) -> Any:
        code, out, err = await self.run(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    def file(self, name: str, content: Any) -> str:
        path = self.folder / name
        path.write_text(json.dumps(content))
        return str(path)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """To the database that the commands use."""
    connection = await connect(database_url, application_name="tests")
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
def commands() -> Iterator[CommandServer]:
    with CommandServer() as commands:
        yield commands


@pytest.fixture
def shell(database_url: str, tmp_path: Path, commands: CommandServer) -> Shell:
    return Shell(database_url, tmp_path, commands)


async def test_an_assistant_is_created_from_a_file_shown_changed_and_deleted(shell: Shell) -> None:
    file = shell.file("new.json", {"name": "Reception", "first_message": "Hello."})
    made = (await shell.json("assistants", "create", file))["assistant"]
    assert made["name"] == "Reception"
    code, out, _ = await shell.run("assistants", "list")
    assert code == 0
    assert made["id"] in out
    assert "Reception" in out
    code, out, _ = await shell.run("assistants", "show", made["id"])
    assert code == 0
    assert "first_message" in out
    assert "Hello." in out
    change = shell.file("change.json", {"name": "Night desk"})
    assert (await shell.run("assistants", "update", made["id"], change))[0] == 0
    assert (await shell.json("assistants", "show", made["id"]))["assistant"]["name"] == (
        "Night desk"
    )
    code, out, _ = await shell.run("assistants", "delete", made["id"])
    assert (code, out) == (0, f"deleted assistant {made['id']}\n")
    code, out, err = await shell.run("assistants", "show", made["id"])
    assert (code, out, err) == (1, "", f"error: no assistant {made['id']}\n")


async def test_what_show_prints_can_be_created_again(shell: Shell) -> None:
    file = shell.file("trunk.json", {"name": "Carrier", "address": "sip.example.com:5070"})
    trunk = (await shell.json("trunks", "create", file))["trunk"]
    assistant = (await shell.json("assistants", "create", shell.file("a.json", {"name": "A"})))[
        "assistant"
    ]
    file = shell.file(
        "number.json",
        {
            "phone_number": NUMBER,
            "assistant_id": assistant["id"],
            "transfer_trunk_id": trunk["id"],
        },
    )
    number = (await shell.json("numbers", "create", file))["number"]
    for thing, one in (("trunks", trunk), ("assistants", assistant)):
        shown = await shell.json(thing, "show", one["id"])
        again = (await shell.json(thing, "create", shell.file("again.json", shown)))[thing[:-1]]
        assert again["id"] != one["id"]
        assert again["name"] == one["name"]
    shown = await shell.json("numbers", "show", number["id"])
    assert (await shell.run("numbers", "delete", number["id"]))[0] == 0
    again = (await shell.json("numbers", "create", shell.file("again.json", shown)))["number"]
    assert again["phone_number"] == NUMBER
    assert again["transfer_trunk_id"] == trunk["id"]


async def test_the_bare_command_shows_how_the_trunks_fare(shell: Shell) -> None:
    file = shell.file("trunk.json", {"name": "Carrier", "address": "sip.example.com:5070"})
    await shell.json("trunks", "create", file)
    code, out, err = await shell.run("trunks")
    assert code == 0, err
    title, row = out.splitlines()[0], out.splitlines()[-1]
    for word in ("registration", "reachable", "calls", "last error"):
        assert word in title
    assert "sip.example.com:5070" in row
    assert "unknown" in row


async def test_a_file_may_come_from_standard_input(shell: Shell) -> None:
    code, out, err = await shell.run("assistants", "create", "-", "--json", stdin=b'{"name":"A"}')
    assert code == 0, err
    assert json.loads(out)["assistant"]["name"] == "A"


@pytest.mark.parametrize(
    ("words", "content", "said"),
    [
        (
            ["assistants", "create"],
            {"name": "A", "frist_message": "Hi"},
            "did you mean first_",
        ),
        (["assistants", "create"], ["A"], "does not hold a JSON object"),
        (["numbers", "create"], {"phone_number": "020 123"}, "phone_number: "),
        (["trunks", "create"], {"name": "T"}, "address: is required"),
        (["import", "vapi"], {"name": "A"}, "is not an export of Vapi"),
        (["calls", "create"], {"destination": "12"}, "destination: "),
    ],
)
async def test_a_file_that_does_not_fit_is_refused_with_what_is_wrong(
    shell: Shell, words: Sequence[str], content: Any, said: str
) -> None:
    code, out, err = await shell.run(*words, shell.file("wrong.json", content))
    assert (code, out) == (1, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("thing", ["assistants", "numbers", "trunks", "calls"])
async def test_what_is_no_id_is_refused_with_where_ids_are_shown(shell: Shell, thing: str) -> None:
    code, _, err = await shell.run(thing, "show", "x")
    assert code == 1
    assert f"`sovereign {thing} list` shows the ids" in err


async def test_a_missing_file_is_one_sentence(shell: Shell) -> None:
    code, _, err = await shell.run("assistants", "create", "nowhere.json")
    assert (code, err) == (1, "error: nowhere.json cannot be read: No such file or directory\n")


async def test_another_organisation_is_named_by_its_name_or_id(
    shell: Shell, connection: asyncpg.Connection
) -> None:
    other = await create_organisation(connection, "Agency")
    file = shell.file("a.json", {"name": "Theirs"})
    assert (await shell.run("assistants", "create", file, "--org", "Agency"))[0] == 0
    assert (await shell.json("assistants", "list"))["assistants"] == []
    theirs = await shell.json("assistants", "list", "--org", other)
    assert [assistant["name"] for assistant in theirs["assistants"]] == ["Theirs"]
    code, _, err = await shell.run("assistants", "list", "--org", "Nobody")
    assert code == 1
    assert "no organisation is called 'Nobody'" in err


async def test_an_organisation_is_created_with_a_key_and_deleted(shell: Shell) -> None:
    made = await shell.json("orgs", "create", "Agency")
    assert made["api_key"].startswith("fl_live_")
    listed = (await shell.json("orgs", "list"))["organizations"]
    assert "Agency" in [org["name"] for org in listed]
    assert (await shell.json("orgs", "show", "Agency"))["id"] == made["id"]
    assert (await shell.run("assistants", "list"))[0] == 0  # makes the operator's own
    code, _, err = await shell.run("orgs", "delete", "Operator", "--yes")
    assert code == 1
    assert "stays" in err
    assert (await shell.run("orgs", "delete", "Agency", "--yes"))[0] == 0
    assert (await shell.run("orgs", "show", "Agency"))[0] == 1


async def test_an_organisation_without_a_key_gets_another_from_the_operator(
    shell: Shell,
) -> None:
    await shell.json("orgs", "create", "Agency")
    [first] = (await shell.json("keys", "list", "--org", "Agency"))["keys"]
    assert (await shell.run("keys", "revoke", first["id"]))[0] == 1
    assert (await shell.run("keys", "revoke", first["id"], "--org", "Agency"))[0] == 0
    code, out, _ = await shell.run("keys", "create", "again", "--org", "Agency")
    assert (code, out.startswith("fl_live_")) == (0, True)
    listed = (await shell.json("keys", "list", "--org", "Agency"))["keys"]
    assert [key["state"] for key in listed] == ["valid", "revoked"]


async def test_the_operator_says_what_an_organisation_may_call(shell: Shell) -> None:
    await shell.json("orgs", "create", "Agency")
    code, out, _ = await shell.run(
        "orgs", "permit", "Agency", "--allow", "+31", "--allow", "+32", "--refuse", "+3190",
        "--concurrency", "3", "--rate", "0.5",
    )  # fmt: skip
    assert code == 0, out
    shown = await shell.json("orgs", "show", "Agency")
    assert shown["outbound_allowed_prefixes"] == ["+31", "+32"]
    assert shown["outbound_refused_prefixes"] == ["+3190"]
    assert (shown["outbound_concurrency"], shown["outbound_calls_per_second"]) == (3, 0.5)
    assert (await shell.run("orgs", "permit", "Agency", "--allow-all"))[0] == 0
    shown = await shell.json("orgs", "show", "Agency")
    assert shown["outbound_allowed_prefixes"] is None
    assert shown["outbound_concurrency"] == 3
    code, _, err = await shell.run("orgs", "permit", "Agency", "--allow", "31")
    assert (code, "31 is not the beginning of a number" in err) == (1, True)


async def test_calls_are_listed_shown_and_erased(
    shell: Shell, connection: asyncpg.Connection
) -> None:
    owner = await ensure_operator_organisation(connection)
    running = a_call_id(2)
    await write_entries(connection, [opened(owner), answered(), closed(), opened(owner, running)])
    code, out, _ = await shell.run("calls", "list", "--number", "+31612345678")
    assert code == 0
    assert out.endswith("2 of 2\n")
    code, out, _ = await shell.run("calls", "show", a_call_id())
    assert code == 0
    assert "user_hangup" in out
    code, _, err = await shell.run("calls", "delete", running)
    assert (code, err) == (1, f"error: the call {running} has not ended\n")
    assert (await shell.run("calls", "delete", a_call_id()))[0] == 0
    assert (await shell.run("calls", "delete", a_call_id()))[0] == 1
    assert (await shell.json("calls", "list"))["pagination"]["total"] == 1
