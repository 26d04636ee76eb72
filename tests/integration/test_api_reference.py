"""The OpenAPI document is complete and true, and the reference page is served without a CDN."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from api.app import all_endpoints
from api.bodies import parse
from api.docs import SERVED
from api.error_codes import CODES, as_markdown
from api.openapi_parts import example_of
from tests.support.api import Api, running_api

ROOT = Path(__file__).parents[2]
METHODS = {"get", "post", "patch", "delete", "put"}


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    response = await api.client.get("/api/openapi.json")
    found: dict[str, Any] = await response.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            yield f"{method.upper()} {path}", item[method]


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """A validator whose references lead into the document."""
    return Draft202012Validator({**schema, "components": document["components"]})


async def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


async def test_every_operation_says_everything(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["summary"], name
        assert len(operation["description"]) > 20, name
        answers = operation["responses"]
        success = [status for status in answers if status.startswith("2")]
        assert len(success) == 1, name
        assert "example" in answers[success[0]]["content"]["application/json"], name
        if operation.get("security") != []:
            assert {"401", "403", "429", "500", "503"} <= answers.keys(), name
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            assert "example" in content, name
            assert {"400", "413"} <= answers.keys(), name
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] != "path" or "example" in parameter, name


async def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        contents = [
            answer["content"]["application/json"]
            for answer in operation["responses"].values()
            if "content" in answer
        ]
        if "requestBody" in operation:
            contents.append(operation["requestBody"]["content"]["application/json"])
        for content in contents:
            faults = list(validator(document, content["schema"]).iter_errors(content["example"]))
            assert not faults, (name, [fault.message[:200] for fault in faults])


@pytest.mark.parametrize(
    "endpoint",
    [endpoint for endpoint in all_endpoints() if endpoint.body is not None],
    ids=lambda endpoint: f"{endpoint.method} {endpoint.path}",
)
def test_every_example_of_a_body_is_taken_and_shows_every_answer_key(endpoint: Any) -> None:
    assert parse(endpoint.body, dict(example_of(endpoint.body)))


async def test_examples_of_errors_are_errors(document: dict[str, Any]) -> None:
    shown = set()
    for answer in document["components"]["responses"].values():
        content = answer["content"]["application/json"]
        for code, example in content["examples"].items():
            assert validator(document, content["schema"]).is_valid(example["value"])
            assert example["value"]["error"]["code"] == code
            shown.add(code)
    assert shown == set(CODES)


def _codes_raised() -> Iterator[tuple[str, str]]:
    """Every code that stands in the text of the program, and where."""
    for top in ("api", "db", "sovereign_ari"):
        for path in sorted((ROOT / top).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                    continue
                name, code = node.func.id, None
                if name == "Problem" and len(node.args) > 1:
                    code = node.args[1]
                elif name in ("Impossible", "InvalidRequest", "refusal"):
                    code = next((k.value for k in node.keywords if k.arg == "code"), None)
                elif name == "_unauthorized":
                    code = node.args[0]
                if isinstance(code, ast.Constant):
                    yield str(code.value), f"{path.name}:{node.lineno}"


def test_every_code_that_is_raised_stands_in_the_table() -> None:
    raised = dict(_codes_raised())
    assert len(raised) > 8
    assert {code: where for code, where in raised.items() if code not in CODES} == {}
    assert all(re.fullmatch(r"[a-z0-9_]+", code) for code in CODES)


def test_the_page_shows_the_table() -> None:
    table = as_markdown()
    assert all(f"| `{code}` |" in table for code in CODES)


async def test_the_reference_is_served_whole_and_from_here_alone(api: Api) -> None:
    for path in SERVED:
        async with api.client.get(path) as response:
            assert response.status == 200, path
            assert response.headers["Content-Security-Policy"].startswith("default-src 'self'")
            text = await response.text()
        if path == "/docs":
            linked = re.findall(r'(?:src|href)="([^"]+)"', text)
            assert len(linked) >= 4
            assert all(one.startswith(("/docs/", "/api/", "data:")) for one in linked)
    async with api.client.get("/docs/vendor/README.md") as response:
        assert response.status == 404
    async with api.client.get("/docs/", allow_redirects=False) as response:
        assert response.headers["Location"] == "/docs"
