"""`FakeAri` that plays the dialplan too, and goes wrong at any step of a call."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sovereign_ari.domain.dialplan import (
    JOIN_EXTENSION,
    LATER_EXTENSION,
    REFERRED_CONTEXT,
    TRANSFER_CONTEXT,
    UNKNOWN_EXTENSION,
)
from tests.support.fake_ari import FakeAri

_STEPS = [
    (r"POST channels/externalMedia", "media"),
    (r"POST channels/create", "create"),
    (r"POST channels/\S+/dial", "dial"),
    (r"POST channels/\S+/ring", "ring"),
    (r"POST applications/\S+/subscription", "watch"),
    (r"POST bridges/\S+/addChannel", "join"),
    (r"POST bridges", "bridge"),
    (r"POST channels/\S+/variables", "variables"),
    (r"POST channels/\S+/continue", "continue"),
    (r"DELETE channels/\S+-media", "hang-up-media"),
    (r"DELETE channels/\S+", "hang-up"),
    (r"DELETE bridges/\S+", "destroy"),
]


def step_of(what: str) -> str:
    """Name a request by what it does for a call."""
    return next((name for pattern, name in _STEPS if re.fullmatch(pattern, what)), what)


@dataclass
class Pbx(FakeAri):
    """`FakeAri` that plays the dialplan too, and can hold a request at any step.

    `held` requests wait, before they act, until their event is set. `faults` maps a step to a
    status, or to 0: act, then drop the connection. `late_s` says how late each request is served.
    """

    held: dict[str, asyncio.Event] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    mute: set[str] = field(default_factory=set)
    owned: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    sent_away: list[str] = field(default_factory=list)
    sent_on: list[str] = field(default_factory=list)
    begun_anew: list[tuple[str, str]] = field(default_factory=list)
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    garbage: bool = False
    unjoinable: bool = False
    called: int = 0
    far_ends: dict[str, socket.socket] = field(default_factory=dict)
    dialled: list[str] = field(default_factory=list)
    callee: Callable[[str], Coroutine[Any, Any, None]] | None = None
    late_s: Callable[[], float] | None = None

    def hold(self, step: str) -> asyncio.Event:
        self.held[step] = asyncio.Event()
        return self.held[step]

    async def call(self, caller: str, codec: str = "ulaw") -> None:
        self.called += 1
        self.channels[caller] = "Ring"
        self.owned.add(caller)
        await self.enter(caller, "inbound", "1000", codec, "+31200000000", "allowed")

    async def enter(self, channel: str, *args: str) -> None:
        event = {"type": "StasisStart", "args": args, "channel": self.channel(channel)}
        if args[0] not in self.mute:
            await self.push(event)

    async def hang_up(self, channel: str, cause: int = 16) -> None:
        if self.channels.pop(channel, None) is None:
            return
        self.owned.discard(channel)
        if far_end := self.far_ends.pop(channel, None):
            far_end.close()
        event = {"cause": cause, "channel": self.channel(channel)}
        for kind in ("ChannelHangupRequest", "ChannelDestroyed"):
            await self.push({"type": kind, **event})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/ari/")
        if path == "events":
            return await super().handle(request)
        self._tasks.add(task := asyncio.create_task(self._answer(request, path)))
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)  # a client that has gone away stops nothing

    async def _answer(self, request: web.Request, path: str) -> web.StreamResponse:
        what = f"{request.method} {path}"
        step = step_of(what)
        if (gate := self.held.get(step)) is not None:
            self.waiting.append(step)
            await gate.wait()
        if self.late_s is not None:
            await asyncio.sleep(self.late_s())
        if self.garbage:
            return web.json_response([{"nothing": 1}, None])
        fault = self.faults.get(step)
        if fault:
            self.requests.append(what)
            return web.json_response({"message": "refused"}, status=fault)
        if fault == 0:
            self.drop_after_acting.add(what)
        return await super().handle(request)

    def _act(self, method: str, path: list[str], query: Any) -> web.Response:
        match method, path:
            case "GET", _:
                return self._tell(path, query) or super()._act(method, path, query)
            case "POST", ["channels", "externalMedia"]:
                return self._open_media(query["channelId"])
            case "POST", ["channels", "create"]:
                return self._create(query)
            case "POST", ["channels", channel, *rest] if channel in self.channels:
                self._play(channel, rest, query)
                return web.Response(status=204)
            case "POST", ["applications", _, "subscription"] if (
                query["eventSource"].removeprefix("channel:") in self.channels
            ):
                return web.json_response({"name": self.app})
            case "POST", ["bridges", _, "addChannel"] if self.channels.keys() >= set(
                query["channel"].split(",")
            ):
                return super()._act(method, path, query)
            case "POST", ["bridges"]:
                self.names[query["bridgeId"]] = query["name"]
                return super()._act(method, path, query)
            case "POST", ["channels" | "bridges" | "applications", *_]:
                return web.json_response({"message": "not found"}, status=404)
            case "DELETE", _:
                return self._delete(path, query) or super()._act(method, path, query)
            case _:
                return super()._act(method, path, query)

    def _delete(self, path: list[str], query: Any) -> web.Response | None:
        match path:
            case ["applications", *_]:
                self.owned.discard(query["eventSource"].removeprefix("channel:"))
                return web.json_response({"name": self.app, "channel_ids": sorted(self.owned)})
            case ["channels", channel] if channel in self.channels:
                self._later(self.hang_up(channel))
                return web.Response(status=204)
            case _:
                return None

    def _play(self, channel: str, request: list[str], query: Any) -> None:
        """Do what a request for a channel leads to in the dialplan."""
        match request:
            case ["continue"] if query["extension"] == UNKNOWN_EXTENSION:
                self.sent_away.append(channel)
                self._later(self.hang_up(channel, 41))
            case ["continue"] if query["context"] == TRANSFER_CONTEXT:
                self.owned.discard(channel)
                self.leave_bridges(channel)
                if query["extension"] == JOIN_EXTENSION:
                    self._later(self._join(channel))
            case ["continue"] if query["context"] == REFERRED_CONTEXT:
                self.leave_bridges(channel)
                self.begun_anew.append((channel, query["extension"]))
            case ["continue"] if query["extension"] == LATER_EXTENSION:
                self.sent_on.append(channel)
            case ["continue"]:
                self._later(self.enter(channel, "answered"))
            case ["dial"]:
                assert self.callee is not None
                self._later(self.callee(channel))
            case _:
                pass

    async def _join(self, caller: str) -> None:
        """Have the dialplan join a caller with the leg that waits for him, if it is there."""
        legs = [channel for channel in self.channels if channel.endswith("-transfer")]
        if not legs or self.unjoinable:
            self.owned.add(caller)
            await self.enter(caller, "back", "NONEXISTENT", "")
        else:
            self.bridges["basic"] = {caller, *legs}
            self.names["basic"] = ""

    def leave_bridges(self, channel: str) -> None:
        for members in self.bridges.values():
            members.discard(channel)

    def _tell(self, path: list[str], query: Any) -> web.Response | None:
        match path:
            case ["channels", channel, "variable"] if channel in self.variables:
                value = self.variables[channel].get(query["variable"], "")
                return web.json_response({"value": value})
            case ["channels", channel] if channel in self.channels:
                return web.json_response(self.channel(channel))
            case ["applications", _]:
                body = {"name": self.app, "channel_ids": sorted(self.owned), "bridge_ids": []}
                return web.json_response(body)
            case ["bridges"]:
                names = {bridge: self.names.get(bridge, self.app) for bridge in self.bridges}
                listed = [
                    {"id": b, "name": names[b], "channels": sorted(self.bridges[b])}
                    for b in self.bridges
                ]
                return web.json_response(listed)
            case _:
                return None

    def _create(self, query: Any) -> web.Response:
        channel = query["channelId"]
        if channel in self.channels:
            return web.json_response({"message": "already exists"}, status=409)
        self.channels[channel] = "Down"
        self.owned.add(channel)
        self.dialled.append(query["endpoint"])
        self._later(self.enter(channel, "leg"))
        return web.json_response(self.channel(channel))

    async def change(self, channel: str, state: str) -> None:
        """Tell that a channel we dial rings, or is up."""
        if channel in self.channels:
            self.channels[channel] = state
            about = {**self.channel(channel), "state": state}
            await self.push({"type": "ChannelStateChange", "channel": about})

    async def refuse_call(self, channel: str, cause: int, sip: int) -> None:
        """End a channel that we dial, with the SIP status of the other side."""
        self.channels.pop(channel, None)
        self.owned.discard(channel)
        event = {"cause": cause, "tech_cause": sip, "channel": self.channel(channel)}
        for kind in ("ChannelHangupRequest", "ChannelDestroyed"):
            await self.push({"type": kind, **event})

    def _open_media(self, channel: str) -> web.Response:
        self.channels[channel] = "Up"
        self.owned.add(channel)
        far_end = self.far_ends[channel] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        far_end.bind(("127.0.0.1", 0))
        variables = {
            "UNICASTRTP_LOCAL_ADDRESS": "127.0.0.1",
            "UNICASTRTP_LOCAL_PORT": str(far_end.getsockname()[1]),
        }
        self._later(self.enter(channel, "media"))
        return web.json_response(self.channel(channel, channelvars=variables))

    def _later(self, work: Any) -> None:
        """Do something without an order between it and the answer, as Asterisk does."""
        self._tasks.add(task := asyncio.create_task(work))
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait until every request is answered, those that nobody waits for any more too."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def leave_over(self, *channels: str, bridge: str | None = None) -> None:
        """Own what a controller of our name made in a former life."""
        self.channels |= dict.fromkeys(channels, "Up")
        self.owned |= set(channels)
        if bridge:
            self.bridges[bridge] = set(channels)

    def forget_everything(self) -> None:
        """Restart, or let go of what was put there by hand."""
        self.channels.clear()
        self.bridges.clear()
        self.owned.clear()
        for far_end in self.far_ends.values():
            far_end.close()
        self.far_ends.clear()

    def __post_init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
