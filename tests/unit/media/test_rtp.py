from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.media.pcm import Encoding
from sovereign_ari.media.rtp import PAYLOAD_TYPES, RtpError, RtpPacket, RtpStream

U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFF_FFFF)

packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=U16,
    timestamp=U32,
    ssrc=U32,
    payload=st.binary(max_size=400),
    marker=st.booleans(),
)


def with_flags(flags: int, rest: bytes) -> bytes:
    return struct.pack("!BBHII", flags, 0, 7, 1120, 0xABCD) + rest


@given(st.binary(max_size=64))
def test_any_datagram_parses_or_raises_rtp_error(datagram: bytes) -> None:
    try:
        packet = RtpPacket.parse(datagram)
    except RtpError:
        return
    assert packet.payload in datagram


@given(flags=st.integers(0x80, 0xBF), rest=st.binary(max_size=80))
def test_any_version_2_datagram_parses_or_raises_rtp_error(flags: int, rest: bytes) -> None:
    try:
        packet = RtpPacket.parse(with_flags(flags, rest))
    except RtpError:
        return
    assert packet.payload in rest


@given(packets)
def test_a_packet_survives_the_wire(packet: RtpPacket) -> None:
    assert RtpPacket.parse(packet.to_bytes()) == packet


@given(packets, st.integers(1, 255))
def test_padding_is_not_payload(packet: RtpPacket, padding: int) -> None:
    datagram = bytearray(packet.to_bytes() + bytes(padding - 1) + bytes([padding]))
    datagram[0] |= 0x20
    assert RtpPacket.parse(bytes(datagram)) == packet


@given(packets, st.integers(0, 15), st.integers(0, 20))
def test_sources_and_extension_are_not_payload(
    packet: RtpPacket, sources: int, words: int
) -> None:
    plain = packet.to_bytes()
    extension = struct.pack("!HH", 0xBEDE, words) + bytes(4 * words)
    datagram = bytearray(plain[:12] + bytes(4 * sources) + extension + plain[12:])
    datagram[0] |= 0x10 | sources
    assert RtpPacket.parse(bytes(datagram)) == packet


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        bytes(11),
        bytes(172),
        with_flags(0xC0, bytes(160)),
        with_flags(0x8F, bytes(59)),
        with_flags(0x90, b"\xbe\xde\x00"),
        with_flags(0x90, b"\xbe\xde\x00\x02" + bytes(7)),
        with_flags(0xA0, b"\x00"),
        with_flags(0xA0, b"\x03\x03"),
        with_flags(0xA0, b""),
    ],
    ids=[
        "empty",
        "short",
        "version 0",
        "version 3",
        "sources cut off",
        "extension header cut off",
        "extension cut off",
        "padding of no bytes",
        "padding longer than the packet",
        "padding without a packet",
    ],
)
def test_an_impossible_packet_is_refused(datagram: bytes) -> None:
    with pytest.raises(RtpError):
        RtpPacket.parse(datagram)


@given(sequence=U16, timestamp=U32, count=st.integers(1, 50))
def test_a_stream_is_contiguous_across_wrap_around(
    sequence: int, timestamp: int, count: int
) -> None:
    stream = RtpStream(9, 0x1234_5678, sequence, timestamp)
    for index in range(count):
        payload = bytes([index]) * 160
        packet = RtpPacket.parse(stream.next(payload, marker=index == 3))
        assert packet == RtpPacket(
            payload_type=9,
            sequence=(sequence + index) % 65536,
            timestamp=(timestamp + 160 * index) % 2**32,
            ssrc=0x1234_5678,
            payload=payload,
            marker=index == 3,
        )


def test_payload_types_are_those_of_rfc_3551() -> None:
    assert PAYLOAD_TYPES == {Encoding.ULAW: 0, Encoding.ALAW: 8, Encoding.G722: 9}
