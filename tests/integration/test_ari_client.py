"""The ARI client against a server that misbehaves on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.errors import AsteriskRefused, AsteriskUnavailable, AsteriskUnknown
from sovereign_ari.media.pcm import ULAW_8K
from sovereign_ari.wire.ari_events import NOT_READ, AriEvents
from sovereign_ari.wire.ari_http import AriAddress, AriHttp
from sovereign_ari.wire.ari_messages import (
    AriEvent,
    AriGarbage,
    ChannelDestroyed,
    StasisStart,
    decode_event,
)
from tests.support.fake_ari import FakeAri, fake_ari, until


@pytest.fixture
async def ari() -> AsyncIterator[FakeAri]:
    async with fake_ari() as server:
        yield server


async def test_external_media_answers_where_asterisk_receives(ari: FakeAri) -> None:
    async with AriHttp(ari.address) as http:
        peer = await http.open_external_media(
            "m", to=("127.0.0.1", 4000), audio=ULAW_8K, argument="media"
        )
    assert peer == ("127.0.0.1", 40000)
    assert ari.queries == [
        {
            "channelId": "m",
            "app": "sovereign",
            "external_host": "127.0.0.1:4000",
            "format": "ulaw",
            "data": "media",
        }
    ]


async def test_deleting_what_is_gone_is_no_error(ari: FakeAri) -> None:
    async with AriHttp(ari.address) as http:
        await http.hang_up("gone")
        await http.destroy_bridge("gone")


async def test_a_refusal_is_told_from_an_unknown_outcome(ari: FakeAri) -> None:
    ari.refuse["POST channels/c/ring"] = 409
    ari.drop_after_acting.add("POST bridges")
    async with AriHttp(ari.address) as http:
        with pytest.raises(AsteriskRefused) as refused:
            await http.ring("c")
        assert refused.value.status == 409
        with pytest.raises(AsteriskUnknown):
            await http.create_bridge("b")
        assert "b" in ari.bridges  # it was made: only our id can undo it
        await http.destroy_bridge("b")
    assert ari.bridges == {}


async def test_an_asterisk_that_is_not_there_is_unavailable() -> None:
    async with AriHttp(AriAddress("http://127.0.0.1:9/ari", "u", "p", "a")) as http:
        with pytest.raises(AsteriskUnavailable):
            await http.channels()


@pytest.mark.parametrize("answer", [None, [], {"nothing": 1}])
async def test_an_answer_without_what_was_asked_for_is_unknown(
    ari: FakeAri, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    async def answered(*_: object) -> object:
        return answer

    async with AriHttp(ari.address) as http:
        monkeypatch.setattr(http, "_ask", answered)
        for asked in (http.channel_name("c"), http.channel_variable("c", "X"), http.started_at()):
            with pytest.raises(AsteriskUnknown):
                await asked
        await http.stop_watching("c")


async def test_a_wrong_password_is_refused(ari: FakeAri) -> None:
    address = AriAddress(ari.url, "user", "wrong", "sovereign")
    async with AriHttp(address) as http:
        with pytest.raises(AsteriskRefused) as refused:
            await http.channels()
    assert refused.value.status == 401
    assert "wrong" not in str(refused.value)


async def test_garbage_is_counted_and_the_next_event_still_arrives(ari: FakeAri) -> None:
    got: list[AriEvent] = []
    async with listening(ari, got) as events:
        for text in ("", "not json", "[]", '{"type":"StasisStart"}', "\x00"):
            await ari.push(text)
        await ari.push({"type": "SomethingNew", "channel": {"id": "c"}})
        await ari.push({"type": "StasisStart", "args": ["x"], "channel": ari.channel("c")})
        await until(lambda: got)
        assert isinstance(got[0], StasisStart)
        assert events.garbage == 5
        assert ari.connects == 1


async def test_every_socket_is_spared_what_is_not_read(ari: FakeAri) -> None:
    async with listening(ari, []):
        await ari.drop_sockets()
        await until(lambda: ari.requests.count("PUT applications/sovereign/eventFilter") == 2)


@pytest.mark.parametrize("name", NOT_READ)
def test_what_asterisk_keeps_to_itself_is_nothing_that_we_read(name: str) -> None:
    assert decode_event(f'{{"type": "{name}"}}') is None


async def test_a_pbx_that_says_everything_is_heard_as_well(ari: FakeAri) -> None:
    ari.refuse["PUT applications/sovereign/eventFilter"] = 400
    got: list[AriEvent] = []
    async with listening(ari, got) as events:
        await ari.push({"type": "ChannelVarset", "channel": ari.channel("c"), "variable": "x"})
        await ari.push({"type": "StasisStart", "args": ["x"], "channel": ari.channel("c")})
        await until(lambda: got)
        assert (len(got), events.garbage) == (1, 0)


async def test_a_lost_socket_is_opened_again_and_compared(ari: FakeAri) -> None:
    got: list[AriEvent] = []
    async with listening(ari, got) as events:
        await ari.drop_sockets()
        await until(lambda: ari.connects == 2 and ari.sockets)
        await ari.push({"type": "ChannelDestroyed", "cause": 16, "channel": ari.channel("c")})
        await until(lambda: got)
        assert isinstance(got[0], ChannelDestroyed)
        assert events.reconnects == 1


@given(st.one_of(st.text(), st.binary()))
def test_any_frame_decodes_or_is_garbage(frame: str | bytes) -> None:
    try:
        decode_event(frame)
    except AriGarbage:
        pass


class listening:
    """Events posted to a list while the block runs."""

    def __init__(self, ari: FakeAri, got: list[AriEvent]) -> None:
        self._ari = ari
        self.events = AriEvents(ari.address, post=got.append, connected=self._connected)

    async def _connected(self) -> None:
        """Nothing to compare."""

    async def __aenter__(self) -> AriEvents:
        self._task = asyncio.create_task(self.events.run(), name="events")
        await until(lambda: self._ari.sockets)
        return self.events

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait((self._task,))
