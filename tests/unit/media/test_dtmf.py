from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.media.dtmf import DIGITS, DigitCollector, DtmfError, TelephoneEvent
from sovereign_ari.media.rtp import RtpPacket


def press(digit: str, timestamp: int, *, ssrc: int = 7) -> list[RtpPacket]:
    """A key held for 100 ms: five packets, and its end three times."""
    states = [(160 * n, False) for n in range(1, 6)] + [(800, True)] * 3
    return [
        RtpPacket(101, 50, timestamp, ssrc, TelephoneEvent(digit, end, ticks).to_bytes())
        for ticks, end in states
    ]


def collect(packets: list[RtpPacket]) -> str:
    collector = DigitCollector()
    return "".join(filter(None, (collector.push(packet) for packet in packets)))


@given(st.binary(max_size=12))
def test_any_payload_parses_or_raises_dtmf_error(payload: bytes) -> None:
    try:
        event = TelephoneEvent.parse(payload)
    except DtmfError:
        return
    assert event.digit in DIGITS
    assert event.to_bytes()[0] == payload[0]


@given(
    st.builds(
        TelephoneEvent,
        digit=st.sampled_from(DIGITS),
        end=st.booleans(),
        duration_ticks=st.integers(0, 65535),
        volume_dbm0=st.integers(0, 63),
    )
)
def test_an_event_survives_the_wire(event: TelephoneEvent) -> None:
    assert TelephoneEvent.parse(event.to_bytes()) == event


def test_the_bytes_are_those_of_rfc_4733() -> None:
    assert TelephoneEvent("#", end=True, duration_ticks=800).to_bytes() == b"\x0b\x8a\x03\x20"


@pytest.mark.parametrize("payload", [b"", b"\x05\x0a\x00", b"\x10\x0a\x00\xa0", b"\xff" * 4])
def test_what_is_no_digit_is_refused(payload: bytes) -> None:
    with pytest.raises(DtmfError):
        TelephoneEvent.parse(payload)


@pytest.mark.parametrize("digit", ["", "x", "12"])
def test_what_is_no_digit_cannot_be_sent(digit: str) -> None:
    with pytest.raises(DtmfError):
        TelephoneEvent(digit, end=False, duration_ticks=160).to_bytes()


@given(
    digits=st.text(DIGITS, max_size=8),
    first=st.integers(0, 2**32 - 1),
    kept=st.lists(st.integers(1, 255), min_size=8, max_size=8),
)
def test_each_press_is_told_once_whatever_is_lost_of_it(
    digits: str, first: int, kept: list[int]
) -> None:
    packets = []
    for number, (digit, mask) in enumerate(zip(digits, kept, strict=False)):
        whole = press(digit, (first + number * 1600) % 2**32)
        packets += [packet for bit, packet in enumerate(whole) if mask >> bit & 1]
    assert collect(packets) == digits


def test_the_same_key_twice_is_two_digits() -> None:
    assert collect(press("4", 0) + press("4", 2400)) == "44"


def test_a_packet_overtaken_by_the_next_press_is_not_a_third() -> None:
    one, two = press("1", 0), press("2", 2400)
    assert collect([*one[:-1], two[0], one[-1], *two[1:]]) == "12"


def test_a_new_sender_starts_anew() -> None:
    assert collect(press("9", 4000) + press("9", 160, ssrc=8)) == "99"
