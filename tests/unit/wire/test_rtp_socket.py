"""One socket for all calls: each hears its own far end, and nobody else."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Iterator

import pytest

from sovereign_ari.media.rtp import RtpPacket
from sovereign_ari.wire.rtp_socket import FEW_CALLS, FarEnd, RtpSocket
from tests.support.fake_ari import until

PACKET = RtpPacket(0, 1, 160, 7, bytes(160)).to_bytes()


class Asterisk:
    """Ports that packets come from."""

    def __init__(self, rtp: RtpSocket) -> None:
        self._rtp = rtp
        self._made: list[socket.socket] = []

    def port(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("127.0.0.1", 0))
        made.connect(self._rtp.local)
        self._made.append(made)
        return made

    def close(self) -> None:
        for made in self._made:
            made.close()


@pytest.fixture
def asterisk(rtp: RtpSocket) -> Iterator[Asterisk]:
    asterisk = Asterisk(rtp)
    yield asterisk
    asterisk.close()


class Call:
    """What one call hears."""

    def __init__(self, rtp: RtpSocket, port: socket.socket) -> None:
        self.heard: list[int] = []
        self.far_end: FarEnd = rtp.listen_to(port.getsockname(), self._take)

    def _take(self, packet: RtpPacket) -> None:
        self.heard.append(packet.sequence)


def numbered(sequence: int) -> bytes:
    return RtpPacket(0, sequence, sequence * 160, 7, bytes(160)).to_bytes()


@pytest.mark.parametrize("calls", [2, FEW_CALLS, FEW_CALLS + 1, 40])
async def test_each_call_hears_its_own_far_end_in_order(
    rtp: RtpSocket, asterisk: Asterisk, calls: int
) -> None:
    rtp.open()
    ports = [asterisk.port() for _ in range(calls)]
    made = [Call(rtp, port) for port in ports]
    for sequence in range(4):
        for number, port in enumerate(ports):
            port.send(numbered(100 * sequence + number))
        await until(lambda: all(len(call.heard) > sequence for call in made))  # noqa: B023
    for number, call in enumerate(made):
        assert call.heard == [100 * sequence + number for sequence in range(4)]
    for call in made[1:]:
        call.far_end.close()
    ports[0].send(numbered(9))  # the rhythm ends with the many
    await until(lambda: made[0].heard[-1] == 9)
    ports[0].send(numbered(10))
    await until(lambda: made[0].heard[-1] == 10)
    assert rtp.far_ends == 1
    assert rtp.strangers == 0


async def test_strangers_and_garbage_are_counted_and_heard_by_nobody(
    rtp: RtpSocket, asterisk: Asterisk
) -> None:
    rtp.open()
    ours, stranger = asterisk.port(), asterisk.port()
    stranger.send(PACKET)
    await until(lambda: rtp.strangers == 1)
    call = Call(rtp, ours)
    assert call.far_end.strangers == 0, "that was before this call"
    stranger.send(PACKET)
    stranger.send(b"")
    for garbage in (b"", b"garbage", bytes(3000), b"\xff" * 200):
        ours.send(garbage)
    ours.send(numbered(5))
    await until(lambda: bool(call.heard))
    call.far_end.close()
    stranger.send(PACKET)
    await until(lambda: rtp.strangers == 4)
    assert (call.heard, call.far_end.malformed, call.far_end.strangers) == ([5], 4, 2)


async def test_a_port_that_is_used_again_belongs_to_the_new_call(
    rtp: RtpSocket, asterisk: Asterisk
) -> None:
    rtp.open()
    port = asterisk.port()
    before = Call(rtp, port)
    port.send(numbered(1))
    await until(lambda: before.heard == [1])
    after = Call(rtp, port)
    port.send(numbered(2))
    await until(lambda: after.heard == [2])
    before.far_end.close()
    before.far_end.close()
    port.send(numbered(3))
    await until(lambda: after.heard == [2, 3])
    assert before.heard == [1]
    after.far_end.close()
    assert rtp.far_ends == 0


async def test_a_call_that_fails_to_take_a_packet_costs_no_other_call_one(
    rtp: RtpSocket, asterisk: Asterisk, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = asterisk.port(), asterisk.port()

    def fail(packet: RtpPacket) -> None:
        raise ValueError("a bug")

    rtp.listen_to(broken.getsockname(), fail)
    call = Call(rtp, sound)
    for sequence in range(3):
        broken.send(numbered(sequence))
        sound.send(numbered(sequence))
    rtp.open()
    await until(lambda: call.heard == [0, 1, 2])
    assert [record.message for record in caplog.records] == ["a call cannot take a packet"]


@pytest.mark.parametrize("calls", [1, FEW_CALLS + 1])
async def test_closed_amid_packets_it_reads_no_more(
    rtp: RtpSocket, asterisk: Asterisk, calls: int
) -> None:
    rtp.open()
    ports = [asterisk.port() for _ in range(calls)]
    closed = asyncio.Event()

    def close(packet: RtpPacket) -> None:
        rtp.close()
        closed.set()

    for port in ports:
        rtp.listen_to(port.getsockname(), close)
        port.send(PACKET)
    async with asyncio.timeout(5):
        await closed.wait()
    rtp.close()


def test_an_address_that_is_not_ours_leaves_no_socket() -> None:
    with pytest.raises(OSError, match="assign"):
        RtpSocket("192.0.2.1")
    gc.collect()  # an open socket would warn, and a warning is an error
