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
    id_of,
    relatives,
)
from sovereign_ari.errors import AsteriskRefused
from sovereign_ari.wire.ari_objects import AriObjects

Key = tuple[Kind, str]
_MERGED: frozenset[Kind] = frozenset({"auth", "endpoint"})
"""Changed by a PUT alone, so that they are never away; in others lists of values would grow."""

_TOLD_LAST: frozenset[Kind] = frozenset({"auth", "identify"})
"""Their digests are told at the end: of an auth when its registration has followed, of an identify
when the one before is gone, which is found by its digest."""

_LISTS = ("permit", "deny")
_UNFIT = (400, 500)

FINGERPRINT = "SOVEREIGN_TRUNKS"
"""Global variable of the PBX: tells a controller that starts whether it holds what it should.

With kind and slot of an object behind it, the same of that object.
"""

_log = logging.getLogger(__name__)


class TrunkPusher:
    """What one PBX holds for trunks.

    Args:
        objects: Requests to it.
    """

    def __init__(self, objects: AriObjects) -> None:
        self._objects = objects
        self._held: dict[Key, PbxObject | None] = {}  # None: it is there, and we know not what
        self._as_read: dict[Key, list[tuple[str, str]] | None] = {}
        self._refused: dict[Key, PbxObject] = {}
        self._untold: dict[Key, PbxObject] = {}  # by kind and slot: the PBX has no digest yet
        self._told: str | None = None  # the fingerprint it has, as far as we know
        self._begun = False

    def forget(self) -> None:
        """Assume nothing any more: the PBX was restarted, or others pushed meanwhile."""
        self._held.clear()
        self._as_read.clear()
        self._refused.clear()
        self._untold.clear()
        self._told = None
        self._begun = False

    @property
    def refused(self) -> list[str]:
        """Objects that the PBX does not take, as `<kind> <name>`."""
        return [f"{kind} {name}" for kind, name in self._refused]

    async def sync(self, layout: Layout) -> int:
        """Make what is new or changed, and then remove what is no longer wanted.

        Returns:
            How many objects were made.

        Raises:
            SovereignError: If the PBX does not answer; the next time goes on from there, and what
                the PBX has confirmed is left alone.
        """
        wanted = {thing.key for thing in layout.objects}
        if not self._begun:
            await self._begin(layout)
            self._begun = True
        things = _changed(layout, self._held, self._refused)
        for thing in things:
            if self._held.get(thing.key) == thing:  # still to be made anew should we break off
                self._held[thing.key] = None
        made = await self._make(things)
        gone = [key for key in self._held if key not in wanted]
        for kind, name in sorted(gone, key=lambda key: ORDER.index(key[0]), reverse=True):
            await self._delete((kind, name))
        for place in list(self._untold):
            await self._tell(place)
        if self._told != (mark := fingerprint(layout)):
            await self._objects.set_global_variable(FINGERPRINT, mark)
            self._told = mark
        return len(made)

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
                if found is None or found != self._as_read.setdefault(thing.key, found):
                    repaired.append(f"{thing.kind} {thing.id}")
                    self._held[thing.key] = None
        if repaired:
            _log.warning("trunks: made again what others had changed: %s", ", ".join(repaired))
        if repaired or again:
            await self.sync(layout)
        return repaired

    async def _make(self, things: Iterable[PbxObject]) -> list[PbxObject]:
        made = []
        for thing in things:
            try:
                await self._put(thing)
            except AsteriskRefused as refused:
                if refused.status not in _UNFIT:
                    raise
                _log.error("trunks: the PBX refuses %s %s", thing.kind, thing.id)
                self._refused[thing.key] = thing
                self._held.pop(thing.key, None)
                continue
            await self._confirm(thing)
            made.append(thing)
        return made

    async def _confirm(self, thing: PbxObject) -> None:
        """Keep that the PBX has taken an object, whatever comes next."""
        self._held[thing.key] = thing
        self._refused.pop(thing.key, None)
        self._as_read.pop(thing.key, None)
        self._untold[_place(thing)] = thing
        if thing.kind not in _TOLD_LAST:
            await self._tell(_place(thing))
        self._as_read[thing.key] = await self._objects.read(thing.kind, thing.id)

    async def _tell(self, place: Key) -> None:
        """Leave the digest of an object for whoever comes after us."""
        await self._objects.set_global_variable(_variable(*place), self._untold[place].digest)
        del self._untold[place]

    async def _put(self, thing: PbxObject) -> None:
        """Change an object in its place if the PBX can do that, else make it anew."""
        held = self._held.get(thing.key)
        if held is not None and _can_be_merged(held, thing):
            try:
                return await self._objects.put(thing.kind, thing.id, thing.fields)
            except AsteriskRefused as refused:
                _log.warning("trunks: %s %s is made anew: %s", thing.kind, thing.id, refused)
        if thing.key in self._held:
            await self._delete(thing.key)
        self._held[thing.key] = None  # without an answer it may be there, and a list would grow
        await self._objects.put(thing.kind, thing.id, thing.fields)

    async def _delete(self, key: Key) -> None:
        self._held[key] = None  # without an answer it may be gone
        await self._objects.delete(*key)
        self._held.pop(key, None)
        self._as_read.pop(key, None)

    async def _begin(self, layout: Layout) -> None:
        """Take over what a controller before us has pushed: as it is, when it is what we want."""
        there = await self._objects.endpoints()
        if not there:
            return
        same = await self._objects.global_variable(FINGERPRINT) == fingerprint(layout)
        if same:
            self._told = fingerprint(layout)
        else:
            await self._find_old(layout, there)
        for thing in layout.objects:
            found = await self._objects.read(thing.kind, thing.id)
            if found is not None:
                self._held[thing.key] = thing if same or await self._is_right(thing) else None
                self._as_read[thing.key] = found

    async def _find_old(self, layout: Layout, there: Iterable[str]) -> None:
        """Find objects of ours that are to go; all are named after an endpoint that is there."""
        wanted = {thing.key for thing in layout.objects}
        for endpoint in there:
            if await self._is_ours(endpoint):
                for kind, slot in relatives(endpoint):
                    key = kind, id_of(kind, slot, await self._digest_of(kind, slot))
                    if key not in wanted and await self._objects.read(*key) is not None:
                        self._held[key] = None

    async def _is_right(self, thing: PbxObject) -> bool:
        """Whether what is there was pushed as it should be; an identify says so by its name."""
        if thing.kind == "identify":
            self._untold[_place(thing)] = thing
            return True
        return await self._digest_of(*_place(thing)) == thing.digest

    async def _digest_of(self, kind: Kind, slot: str) -> str:
        """Whatever was pushed there last: making the same anew would take it away briefly."""
        return await self._objects.global_variable(_variable(kind, slot))

    async def _is_ours(self, endpoint: str) -> bool:
        if endpoint.startswith((PREFIX, SHARED_PREFIX)):
            return True
        fields = await self._objects.read("endpoint", endpoint) or []
        return any(key == "auth" and value.startswith(PREFIX) for key, value in fields)


def _place(thing: PbxObject) -> tuple[Kind, str]:
    return thing.kind, thing.slot


def _variable(kind: Kind, slot: str) -> str:
    return f"{FINGERPRINT}_{kind}_{slot}"


def _can_be_merged(held: PbxObject, thing: PbxObject) -> bool:
    """Whether one becomes the other by a PUT: all fields but lists are replaced.

    One that is as it should be is made anew all the same, for that has a reason.
    """
    lists = any(key in _LISTS for key, _ in (*held.fields, *thing.fields))
    return thing.kind in _MERGED and not lists and held != thing


def fingerprint(layout: Layout) -> str:
    """Digest everything that is to be held."""
    things = [(*thing.key, thing.fields) for thing in layout.objects]
    return hashlib.sha256(repr(things).encode()).hexdigest()


def _changed(
    layout: Layout, held: dict[Key, PbxObject | None], refused: dict[Key, PbxObject]
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
