"""Which ports the bundle listens on.

A port left to its default moves to a free one when it is busy; a port set by hand does not.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

from sovereign_ari.errors import SetupFailed

TCP = (socket.SOCK_STREAM,)
SIP = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
_ATTEMPTS = 64
# Above the RTP ports and below those that Linux gives to connections, one of which could take the
# port between our look at it and the server's start.
_FIRST, _LAST = 30_000, 32_767


def is_free(address: str, port: int, kinds: tuple[int, ...] = TCP) -> bool:
    """Whether every kind of socket could be bound to the port at this moment."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind in kinds:
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                # What a server does: a port in TIME_WAIT is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def free_port(address: str, kinds: tuple[int, ...] = TCP, taken: Collection[int] = ()) -> int:
    """Find a port that is free for every kind of socket and not among `taken`.

    Raises:
        SetupFailed: When the system gives none after many attempts.
    """
    for _ in range(_ATTEMPTS):
        port = random.randint(_FIRST, _LAST)
        if port not in taken and is_free(address, port, kinds):
            return port
    raise SetupFailed(f"no free port on {address}", hint="see `ss -tulpn`")


def choose_port(
    variable: str,
    wanted: int,
    *,
    chosen: bool,
    address: str,
    kinds: tuple[int, ...] = TCP,
    taken: Collection[int] = (),
) -> int:
    """Take the wanted port, or another when it is busy and was only a default.

    Args:
        variable: The setting's name, for the message.
        wanted: The port that was set or is the default.
        chosen: Whether the operator set it.
        address: The local address it will be bound to.
        kinds: Socket kinds that need it.
        taken: Ports that this start has promised to somebody else.

    Raises:
        SetupFailed: When a port chosen by the operator is busy.
    """
    if wanted not in taken and is_free(address, wanted, kinds):
        return wanted
    if chosen:
        raise SetupFailed(
            f"port {wanted} on {address} is in use, and {variable} asks for it",
            hint=f"free it (`ss -tulpn | grep :{wanted}`), or set {variable} to another port",
        )
    return free_port(address, kinds, taken)
