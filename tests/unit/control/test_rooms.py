from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from sovereign_ari.control import rooms as rooms_module
from sovereign_ari.control.room_files import Room
from sovereign_ari.control.rooms import Rooms
from sovereign_ari.domain.agent import Background
from sovereign_ari.media.ambience_clips import LOOP_S, clip_loop
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


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A folder with one narrowband room, which is not a real one."""
    (tmp_path / "rooms").mkdir()
    Room("forest", 8000).file(tmp_path / "rooms").write_bytes(noise(8000))
    return tmp_path / "rooms"


def noise(rate_hz: int) -> bytes:
    return random.Random(1).randbytes(2 * LOOP_S * rate_hz)


async def test_what_is_missing_is_made_once_for_all_processes_and_calls_have_it_at_once(
    leg: Callable[[AudioFormat], MediaLeg], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = (Room("forest", 8000), Room("city", 16000))
    monkeypatch.setattr(rooms_module, "ROOMS", wanted)
    await asyncio.gather(Rooms(tmp_path).prepare(), Rooms(tmp_path).prepare())
    loops = {str(room): room.read(tmp_path) for room in wanted}
    assert loops == {
        "forest-8000": clip_loop("forest", 8000),
        "city-16000": clip_loop("city", 16000),
    }
    monkeypatch.setattr(sys, "executable", "/bin/false")
    rooms, call = Rooms(tmp_path), leg(ULAW_8K)
    await rooms.prepare()
    rooms.furnish(call, FOREST, 1)
    await made()
    assert is_furnished(call)


async def test_calls_of_a_room_that_is_being_made_get_it_when_it_is_there(
    leg: Callable[[AudioFormat], MediaLeg], tmp_path: Path
) -> None:
    rooms, first, meanwhile = Rooms(tmp_path), leg(ULAW_8K), leg(ULAW_8K)
    rooms.furnish(first, FOREST, 1)
    rooms.furnish(meanwhile, FOREST, 7)
    assert not is_furnished(first)
    assert len([t for t in asyncio.all_tasks() if t.get_name() == "room forest-8000"]) == 1
    await made()
    assert is_furnished(first)
    assert is_furnished(meanwhile)


async def test_a_room_that_is_there_is_read_and_not_made_and_the_next_call_has_it_at_once(
    leg: Callable[[AudioFormat], MediaLeg], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    rooms, call, later = Rooms(cache), leg(ULAW_8K), leg(ULAW_8K)
    rooms.furnish(call, FOREST, 1)
    await made()
    assert is_furnished(call)
    rooms.furnish(later, FOREST, 1)
    assert is_furnished(later)


async def test_two_calls_are_not_in_the_same_place_of_a_room(
    leg: Callable[[AudioFormat], MediaLeg], cache: Path
) -> None:
    rooms, one, other = Rooms(cache), leg(ULAW_8K), leg(ULAW_8K)
    rooms.furnish(one, FOREST, 3)
    rooms.furnish(other, FOREST, 2**70 + 900)
    await made()
    assert heard(one) != heard(other)


async def test_a_wideband_call_has_a_wideband_room(
    leg: Callable[[AudioFormat], MediaLeg], cache: Path
) -> None:
    Room("forest", 16000).file(cache).write_bytes(noise(16000))
    rooms, wide, bare = Rooms(cache), leg(G722_16K), leg(G722_16K)
    rooms.furnish(wide, FOREST, 1)
    await made()
    assert [heard(wide) for _ in range(5)] != [heard(bare) for _ in range(5)]


async def test_half_a_file_is_made_anew(
    leg: Callable[[AudioFormat], MediaLeg], cache: Path
) -> None:
    file = Room("forest", 8000).file(cache)
    file.write_bytes(file.read_bytes()[:1000])
    rooms, call = Rooms(cache), leg(ULAW_8K)
    rooms.furnish(call, FOREST, 1)
    await made()
    assert is_furnished(call)
    assert file.read_bytes() == clip_loop("forest", 8000)


async def test_the_first_folder_that_can_be_written_is_used(
    leg: Callable[[AudioFormat], MediaLeg], cache: Path, tmp_path: Path
) -> None:
    nowhere = tmp_path / "file"
    nowhere.touch()
    rooms, call = Rooms(nowhere / "folder", cache), leg(ULAW_8K)
    rooms.furnish(call, FOREST, 1)
    await made()
    assert is_furnished(call)


@pytest.mark.parametrize("background", [None, Background("submarine", 0.3)])
async def test_no_room_and_an_unknown_room_leave_the_call_as_it_is(
    leg: Callable[[AudioFormat], MediaLeg], cache: Path, background: Background | None
) -> None:
    rooms, bare = Rooms(cache), leg(ULAW_8K)
    rooms.furnish(bare, background, 1)
    await made()
    assert not is_furnished(bare)


async def test_a_room_that_cannot_be_made_leaves_the_call_as_it_is_and_is_tried_again(
    leg: Callable[[AudioFormat], MediaLeg],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    rooms, bare, later = Rooms(tmp_path), leg(ULAW_8K), leg(ULAW_8K)
    for program in ("/bin/false", "/nowhere"):
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", program)
            rooms.furnish(bare, FOREST, 1)
            await made()
            await rooms.prepare()
    assert not is_furnished(bare)
    assert caplog.text.count("could not make a background\n") == 2
    assert caplog.text.count("could not make the backgrounds") == 2
    rooms.furnish(later, FOREST, 1)
    await made()
    assert is_furnished(later)


async def test_a_process_that_never_ends_is_ended_and_the_room_is_tried_again(
    leg: Callable[[AudioFormat], MediaLeg],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    rooms, bare, later = Rooms(tmp_path), leg(ULAW_8K), leg(ULAW_8K)
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
