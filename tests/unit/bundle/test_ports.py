from __future__ import annotations

import socket

import pytest

from sovereign_ari.bundle.ports import SIP, choose_port, free_port, is_free
from sovereign_ari.errors import SetupFailed

LOOPBACK = "127.0.0.1"


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_sip_port_must_be_free_for_udp_and_tcp(kind: int) -> None:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind((LOOPBACK, 0))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        assert not is_free(LOOPBACK, holder.getsockname()[1], SIP)


def test_a_busy_default_moves_to_a_free_port() -> None:
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        busy = holder.getsockname()[1]
        found = choose_port("SOVEREIGN_API_PORT", busy, chosen=False, address=LOOPBACK)
        assert found != busy
        assert is_free(LOOPBACK, found)


def test_a_busy_port_chosen_by_hand_is_an_error_that_names_both() -> None:
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        busy = holder.getsockname()[1]
        with pytest.raises(SetupFailed, match=f"{busy}.*SOVEREIGN_API_PORT"):
            choose_port("SOVEREIGN_API_PORT", busy, chosen=True, address=LOOPBACK)


def test_a_port_promised_to_another_part_is_not_given_twice() -> None:
    wanted = free_port(LOOPBACK)
    taken = [wanted]
    assert choose_port("X", wanted, chosen=False, address=LOOPBACK, taken=taken) != wanted
