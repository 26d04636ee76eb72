"""The memory of a PBX for objects that are pushed, as the real one keeps it."""

from __future__ import annotations

from sovereign_ari.errors import AsteriskRefused


class PbxMemory:
    """What `AriObjects` reaches: a second PUT merges, and lists of values grow.

    One on an endpoint that has a `set_var` is refused, as Asterisk 22 does: it copies the endpoint
    under the variable's name, which is no field.

    Attributes:
        things: Fields of all objects.
        variables: Global ones.
        done: Every change, as `put <kind>` or `delete <kind>`.
        refuses: Kinds that it does not take.
    """

    def __init__(self) -> None:
        self.things: dict[tuple[str, str], list[tuple[str, str]]] = {}
        self.variables: dict[str, str] = {}
        self.done: list[str] = []
        self.refuses: set[str] = set()

    async def read(self, kind: str, name: str) -> list[tuple[str, str]] | None:
        found = self.things.get((kind, name))
        return None if found is None else list(found)

    async def put(self, kind: str, name: str, fields: tuple[tuple[str, str], ...]) -> None:
        if kind in self.refuses:
            raise AsteriskRefused(400, "a field does not fit")
        there = self.things.get((kind, name), [])
        if any(key == "set_var" for key, _ in there):
            raise AsteriskRefused(500, "Cannot update sorcery object")
        self.done.append(f"put {kind}")
        lists = {"match", "set_var", "contact", "permit", "deny"}
        named = {key for key, _ in fields if key not in lists}
        kept = [(key, value) for key, value in there if key not in named]
        self.things[kind, name] = [*kept, *fields]

    async def delete(self, kind: str, name: str) -> None:
        self.done.append(f"delete {kind}")
        self.things.pop((kind, name), None)

    async def channels(self) -> dict[str, list[str]]:
        """See `AriObjects`: nobody calls."""
        return {}

    async def endpoints(self) -> dict[str, list[str]]:
        return {name: [] for kind, name in self.things if kind == "endpoint"}

    async def global_variable(self, name: str) -> str:
        return self.variables.get(name, "")

    async def set_global_variable(self, name: str, value: str) -> None:
        self.variables[name] = value
