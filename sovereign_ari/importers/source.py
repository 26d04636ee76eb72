"""Reading a foreign export: what nobody took is what was not carried over. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an export became.

    Attributes:
        body: As `POST /assistants` takes it.
        notes: One line per thing that was changed or left behind, `path: what`.
    """

    body: dict[str, Any]
    notes: tuple[str, ...]


class Source:
    """An export that is being read.

    Args:
        data: The decoded file.
        ignored: Keys at the top that say nothing about how an assistant behaves.
    """

    def __init__(self, data: Mapping[str, Any], ignored: Collection[str] = ()) -> None:
        self._data = data
        self._taken: set[Path] = {(name,) for name in ignored}
        self._notes: list[str] = []

    def take(self, path: str, *kinds: type) -> Any:
        """Give a value with everything in it; None when it is not there or of no such kind.

        Args:
            path: Names with dots between.
            kinds: What it may be; a number is never a bool.
        """
        value: Any = self._data
        names = path.split(".")
        for name in names:
            if not isinstance(value, Mapping) or name not in value:
                return None
            value = value[name]
        if kinds and (not isinstance(value, kinds) or _is_stray_bool(value, kinds)):
            return None
        self._taken.add(tuple(names))
        return value

    def number(self, path: str, low: float, high: float, scale: float = 1) -> float | None:
        """Give a number times `scale`, moved into a range that we take."""
        value = self.take(path, int, float)
        if value is None:
            return None
        scaled = value * scale
        fitted = min(max(scaled, low), high)
        if fitted != scaled:
            self.note(path, f"{scaled:g} became {fitted:g}, the nearest that is possible here")
        return int(fitted) if float(fitted).is_integer() else float(fitted)

    def text(self, path: str, longest: int) -> str | None:
        """Give a text that says something; a longer one is left behind."""
        value = self.take(path, str)
        if value is None or not value.strip():
            return None
        if len(value) > longest:
            self.note(path, f"is longer than {longest} characters and was left out")
            return None
        return str(value)

    def note(self, path: str, what: str) -> None:
        """Say what became of something."""
        self._notes.append(f"{path}: {what}")

    def note_rest(self, path: str, value: Mapping[str, Any], taken: Collection[str]) -> None:
        """Note what says something in an object of a list, but for the names that were taken."""
        for name, item in value.items():
            if name not in taken and not _says_nothing(item):
                self.note(f"{path}.{name}", "has no counterpart and was left out")

    def notes(self) -> tuple[str, ...]:
        """Everything noted, and everything that says something and was not taken."""
        left = [f"{path}: has no counterpart and was left out" for path in self._left()]
        return (*self._notes, *left)

    def _left(self) -> list[str]:
        return [".".join(map(str, path)) for path in self._walk(self._data, ())]

    def _walk(self, value: Any, path: Path) -> Iterator[Path]:
        if path in self._taken or _says_nothing(value):
            return
        inside = isinstance(value, Mapping) and any(
            taken[: len(path)] == path and len(taken) > len(path) for taken in self._taken
        )
        if inside or not path:
            for name, item in value.items():
                yield from self._walk(item, (*path, name))
        else:
            yield path


def _is_stray_bool(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, bool) and bool not in kinds


def _says_nothing(value: Any) -> bool:
    """Empty, or switched off."""
    return value is None or value is False or value in ("", [], {})
