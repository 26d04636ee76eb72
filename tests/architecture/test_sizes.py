"""Files and functions stay small enough to be read at once; the largest are reported."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE_LINES = 400
FUNCTION_LINES = 60
SOURCES = sorted(p for top in ("sovereign_ari", "api", "db") for p in (ROOT / top).rglob("*.py"))


def functions(path: Path) -> list[tuple[int, str]]:
    """Lines of code of each function, its docstring not counted."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            first = body[0].lineno if body else node.lineno
            found.append(((node.end_lineno or first) - first + 1, f"{path.name}:{node.name}"))
    return found


def test_no_file_is_too_long() -> None:
    sizes = sorted(((len(p.read_text().splitlines()), p.name) for p in SOURCES), reverse=True)
    assert sizes[0][0] <= FILE_LINES, f"the largest files: {sizes[:5]}"


def test_no_function_is_too_long() -> None:
    sizes = sorted((size for path in SOURCES for size in functions(path)), reverse=True)
    assert sizes[0][0] <= FUNCTION_LINES, f"the longest functions: {sizes[:5]}"
