from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from sovereign_ari.control import rooms as rooms_module
from sovereign_ari.control.rooms import Rooms
from sovereign_ari.domain.agent import Background
from sovereign_ari.media.pcm import G722_16K, ULAW_8K, AudioFormat
from sovereign_ari.media.rtp import RtpPacket
from sovereign_ari.media.transcode import silence_frame
from sovereign_ari.wire.media_leg import MediaLeg
from sovereign_ari.wire.rtp_socket import RtpSocket

FOREST = Background("forest", 0.3)


@pytest.fixture
def leg() -> Iterator[Callable[[AudioFormat], MediaLeg]]:
    with ExitStack() as stack:
        rtp = stack.enter_context(closing(RtpSocket("127.0.0.1")))

        def open_leg(audio: AudioFormat) -> MediaLeg:
            made = MediaLeg(audio, rtp, 1, lambda: 0.0, lambda frame, now_s: None)
            return stack.enter_context(closing(made))

        yield open_leg


def heard(leg: MediaLeg) -> bytes:
    return RtpPacket.parse(leg.next_packet(0.0)).payload


def is_furnished(leg: MediaLeg) -> bool:
    return heard(leg) != silence_frame(ULAW_8K)


async def made() -> None:
    """Let what is being made be finished."""
    while making := [t for t in asyncio.all_tasks() if t.get_name().startswith("room ")]:
        await asyncio.wait(making)
        await asyncio.sleep(0)


async def test_the_first_call_waits_for_no_room_and_those_after_it_have_it_at_once(
    leg: Callable[[AudioFormat], MediaLeg],
) -> None:
    rooms, first, meanwhile, later = Rooms(), leg(ULAW_8K), leg(ULAW_8K), leg(ULAW_8K)
    rooms.furnish(first, FOREST, 1)
    rooms.furnish(meanwhile, FOREST, 7)
    assert not is_furnished(first)
    assert len([t for t in asyncio.all_tasks() if t.get_name() == "room forest"]) == 1
    await made()
    assert is_furnished(first)
    assert is_furnished(meanwhile)
    rooms.furnish(later, FOREST, 1)
    assert is_furnished(later)


async def test_two_calls_are_not_in_the_same_place_of_a_room(
    leg: Callable[[AudioFormat], MediaLeg],
) -> None:
    rooms, one, other = Rooms(), leg(ULAW_8K), leg(ULAW_8K)
    rooms.furnish(one, FOREST, 3)
    rooms.furnish(other, FOREST, 2**70 + 900)
    await made()
    assert heard(one) != heard(other)


async def test_a_wideband_call_has_a_wideband_room(
    leg: Callable[[AudioFormat], MediaLeg],
) -> None:
    rooms, wide, bare = Rooms(), leg(G722_16K), leg(G722_16K)
    rooms.furnish(wide, FOREST, 1)
    await made()
    assert [heard(wide) for _ in range(5)] != [heard(bare) for _ in range(5)]


@pytest.mark.parametrize("background", [None, Background("submarine", 0.3)])
async def test_no_room_and_an_unknown_room_leave_the_call_as_it_is(
    leg: Callable[[AudioFormat], MediaLeg], background: Background | None
) -> None:
    rooms, bare = Rooms(), leg(ULAW_8K)
    rooms.furnish(bare, background, 1)
    await made()
    assert not is_furnished(bare)


async def test_a_room_that_cannot_be_made_leaves_the_call_as_it_is_and_is_tried_again(
    leg: Callable[[AudioFormat], MediaLeg],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rooms, bare, later = Rooms(), leg(ULAW_8K), leg(ULAW_8K)
    for program in ("/bin/false", "/nowhere"):
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", program)
            rooms.furnish(bare, FOREST, 1)
            await made()
    assert not is_furnished(bare)
    assert caplog.text.count("could not make a background") == 2
    rooms.furnish(later, FOREST, 1)
    await made()
    assert is_furnished(later)


async def test_a_process_that_never_ends_is_ended_and_the_room_is_tried_again(
    leg: Callable[[AudioFormat], MediaLeg],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    rooms, bare, later = Rooms(), leg(ULAW_8K), leg(ULAW_8K)
    stuck = tmp_path / "stuck"
    stuck.write_text("#!/bin/sh\nexec sleep 600\n")
    stuck.chmod(0o700)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(stuck))
        patched.setattr(rooms_module, "MADE_WITHIN_S", 0.2)
        rooms.furnish(bare, FOREST, 1)
        async with asyncio.timeout(5):
            await made()
    assert "not within 0.2 s" in caplog.text
    rooms.furnish(later, FOREST, 1)
    await made()
    assert is_furnished(later)
