"""The OpenAPI document, and the API held against it by generated requests."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from openapi_spec_validator import validate

from api.app import all_endpoints
from tests.support.api import Api, running_api

ROOT = Path(__file__).parents[2]
THOROUGH = os.environ.get("SOVEREIGN_TEST_EXAMPLES") == "thorough"
FUZZED = "100" if THOROUGH else "6"
"""Generated requests of each kind to each endpoint; those at the boundaries come on top."""

# A body of more than 1 MiB is refused before it is read. What is valid may still be impossible,
# and a call that is not in progress takes no command.
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "422", "429", "5xx"]

[[operations]]
include-path = "/api/v1/calls/{call_id}/control"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "409", "422", "429"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "429"]
"""


def _faults(output: str) -> str:
    """The part of a report that a person reads, without bodies of thousands of characters."""
    lines = output.partition("FAILURES")[2] or output
    return "\n".join(line[:500] for line in lines.splitlines())


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def test_the_document_is_valid_openapi_and_needs_no_key(api: Api) -> None:
    response = await api.client.get("/api/openapi.json")
    document = await response.json()
    validate(document)
    assert document["openapi"].startswith("3.1")


async def test_every_route_that_takes_a_key_stands_in_the_document(api: Api) -> None:
    document = await (await api.client.get("/api/openapi.json")).json()
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    served = {("GET", "/health"), ("GET", "/api/v1/health")}
    served |= {(endpoint.method, "/api/v1" + endpoint.path) for endpoint in all_endpoints()}
    assert described == served
    names = [o["operationId"] for path in document["paths"].values() for o in path.values()]
    assert len(names) == len(set(names))


@pytest.mark.timeout(600)  # a machine that has other things to do only takes longer
@pytest.mark.parametrize(
    "options",
    [
        ["--phases", "fuzzing", "--max-examples", FUZZED, "--no-shrink"],
        # Every boundary of every field; resources with large bodies have too many for a minute.
        ["--phases", "coverage", "--include-path-regex", "numbers|keys|usage|leads|v1/calls$"],
    ],
    ids=["fuzzing", "coverage"],
)
async def test_generated_requests_find_no_fault(
    api: Api, tmp_path: Path, options: list[str]
) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run",
        str(api.client.make_url("/api/openapi.json")), "-H", f"Authorization: Bearer {api.key}",
        *options, "--mode", "all", "--generation-deterministic", "--continue-on-failure",
        "--generation-allow-x00", "false", "--suppress-health-check", "all", "--no-color",
        "--warnings", "off", "--request-timeout", "30",
        cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks",
        },
    )  # fmt: skip
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, _faults(output.decode(errors="replace"))
    assert b"No issues found" in output
