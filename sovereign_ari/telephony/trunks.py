"""Pushes the objects of all trunks into the PBX, and repairs what somebody changed there.

They live in the PBX's memory, so a PBX that was restarted has none. What was pushed is read back
at once, in the PBX's own spelling: whatever differs from that later has been changed by others.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable

from sovereign_ari.domain.trunk import PREFIX
from sovereign_ari.domain.trunk_objects import (
    ORDER,
    SHARED_PREFIX,
    Kind,
    Layout,
    PbxObject,
    relatives,
)
from sovereign_ari.errors import AsteriskRefused
from sovereign_ari.wire.ari_objects import AriObjects

Key = tuple[Kind, str]
_MERGED: frozenset[Kind] = frozenset({"auth"})
"""Changed by a PUT alone; in all others lists of values would grow."""

FINGERPRINT = "SOVEREIGN_TRUNKS"
"""Global variable of the PBX: tells a controller that starts whether it holds what it should.

With kind and name of an object behind it, the same of that object.
"""

_log = logging.getLogger(__name__)


class TrunkPusher:
    """What one PBX holds for trunks.

    Args:
        objects: Requests to it.
    """

    def __init__(self, objects: AriObjects) -> None:
        self._objects = objects
        self._held: dict[Key, PbxObject] = {}
        self._as_read: dict[Key, list[tuple[str, str]] | None] = {}
        self._refused: dict[Key, PbxObject] = {}
        self._begun = False

    def forget(self) -> None:
        """Assume nothing any more: the PBX was restarted, or others pushed meanwhile."""
        self._held.clear()
        self._as_read.clear()
        self._refused.clear()
        self._begun = False

    @property
    def refused(self) -> list[str]:
        """Objects that the PBX does not take, as `<kind> <name>`."""
        return [f"{kind} {name}" for kind, name in self._refused]

    async def sync(self, layout: Layout) -> int:
        """Remove what is no longer wanted, and make what is new or changed.

        Returns:
            How many objects were made.

        Raises:
            SovereignError: If the PBX does not answer; the next time goes on from there.
        """
        wanted = {thing.key: thing for thing in layout.objects}
        if not self._begun:
            await self._begin(layout)
            self._begun = True
        gone = [key for key in self._held if key not in wanted]
        for kind, name in sorted(gone, key=lambda key: ORDER.index(key[0]), reverse=True):
            await self._delete((kind, name))
        made = await self._make(_changed(layout, self._held, self._refused))
        if made or gone:
            await self._objects.set_global_variable(FINGERPRINT, fingerprint(layout))
        return made

    async def verify(self, layout: Layout) -> list[str]:
        """Read all objects back, and make those again that are gone or were changed.

        Returns:
            Those, as `<kind> <name>`.
        """
        repaired = []
        again = bool(self._refused)
        self._refused.clear()
        for thing in layout.objects:
            if self._held.get(thing.key) == thing:
                found = await self._objects.read(thing.kind, thing.id)
                if found != self._as_read.get(thing.key):
                    repaired.append(f"{thing.kind} {thing.id}")
                    self._held[thing.key] = PbxObject(thing.kind, thing.id, ())
        if repaired:
            _log.warning("trunks: made again what others had changed: %s", ", ".join(repaired))
        if repaired or again:
            await self.sync(layout)
        return repaired

    async def _make(self, things: Iterable[PbxObject]) -> int:
        made = 0
        for thing in things:
            try:
                if thing.key in self._held and thing.kind not in _MERGED:
                    await self._delete(thing.key)
                await self._objects.put(thing.kind, thing.id, thing.fields)
            except AsteriskRefused as refused:
                if refused.status != 400:
                    raise
                _log.error("trunks: the PBX refuses %s %s", thing.kind, thing.id)
                self._refused[thing.key] = thing
                continue
            await self._objects.set_global_variable(_variable(thing), _digest(thing))
            self._held[thing.key] = thing
            self._refused.pop(thing.key, None)
            self._as_read[thing.key] = await self._objects.read(thing.kind, thing.id)
            made += 1
        return made

    async def _delete(self, key: Key) -> None:
        await self._objects.delete(*key)
        self._held.pop(key, None)
        self._as_read.pop(key, None)

    async def _begin(self, layout: Layout) -> None:
        """Take over what a controller before us has pushed: as it is, when it is what we want."""
        names = {thing.id for thing in layout.objects if thing.kind == "endpoint"}
        there = await self._objects.endpoints()
        for endpoint in there:
            if endpoint not in names and await self._is_ours(endpoint):
                for key in relatives(endpoint):
                    await self._objects.delete(*key)
        same = await self._objects.global_variable(FINGERPRINT) == fingerprint(layout)
        for thing in layout.objects:
            found = await self._objects.read(thing.kind, thing.id) if there else None
            if found is not None:
                right = same or await self._is_as_pushed(thing)
                self._held[thing.key] = thing if right else PbxObject(thing.kind, thing.id, ())
                self._as_read[thing.key] = found

    async def _is_as_pushed(self, thing: PbxObject) -> bool:
        """Whether one that is there is what we want: making it anew would take it away briefly."""
        return await self._objects.global_variable(_variable(thing)) == _digest(thing)

    async def _is_ours(self, endpoint: str) -> bool:
        if endpoint.startswith((PREFIX, SHARED_PREFIX)):
            return True
        fields = await self._objects.read("endpoint", endpoint) or []
        return any(key == "auth" and value.startswith(PREFIX) for key, value in fields)


def _variable(thing: PbxObject) -> str:
    return f"{FINGERPRINT}_{thing.kind}_{thing.id}"


def _digest(thing: PbxObject) -> str:
    return hashlib.sha256(repr(thing.fields).encode()).hexdigest()


def fingerprint(layout: Layout) -> str:
    """Digest everything that is to be held."""
    things = [(*thing.key, thing.fields) for thing in layout.objects]
    return hashlib.sha256(repr(things).encode()).hexdigest()


def _changed(
    layout: Layout, held: dict[Key, PbxObject], refused: dict[Key, PbxObject]
) -> list[PbxObject]:
    """List what is new or changed; a registration goes with its auth, which it does not watch."""
    things = [
        thing
        for thing in layout.objects
        if held.get(thing.key) != thing and refused.get(thing.key) != thing
    ]
    accounts = {thing.id for thing in things if thing.kind == "auth"}
    again = [
        thing
        for thing in layout.objects
        if thing.kind == "registration" and thing.id in accounts and thing not in things
    ]
    return [*things, *again]
