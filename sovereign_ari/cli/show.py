"""How commands show what they found: tables and lists for people, JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sovereign_ari.cli.table import table

LONGEST_CELL = 40


def as_json(found: Any) -> str:
    """The answer of the API, readable."""
    return json.dumps(found, indent=2, ensure_ascii=False)


def rows(found: Iterable[Mapping[str, Any]], columns: Sequence[tuple[str, str]]) -> str:
    """A table; a column's key may reach inside: `llm_config.model`."""
    return table(
        [title for title, _ in columns],
        [[cell(_at(one, key)) for _, key in columns] for one in found],
    )


def details(found: Mapping[str, Any]) -> str:
    """One line per field; what is empty is left out, what is nested is indented JSON."""
    width = max(len(key) for key in found)
    return "\n".join(
        f"{key.ljust(width)}  {_value(value, width + 2)}"
        for key, value in found.items()
        if value is not None
    )


def cell(value: Any) -> str:
    """One value in a table."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case str() if _is_moment(value):
            return value[:16].replace("T", " ")
        case list():
            return cell(", ".join(str(item) for item in value))
        case _:
            text = " ".join(str(value).split())
            return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def _at(found: Mapping[str, Any], key: str) -> Any:
    value: Any = found
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _is_moment(text: str) -> bool:
    return len(text) == 24 and text[10] == "T" and text.endswith("Z")


def _value(value: Any, indent: int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict | list):
        text = json.dumps(value, indent=2, ensure_ascii=False)
    else:
        text = str(value)
    return text.replace("\n", "\n" + " " * indent)
