"""What a call may leave behind in a running product, and must not."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.support.platform import Platform

SETTLE_TIMEOUT_S = 6.0
_POLL_S = 0.1


async def assert_nothing_left(platform: Platform) -> None:
    """Wait until no call has left anything behind.

    Raises:
        AssertionError: Naming what is still there after some seconds.
    """
    deadline = asyncio.get_running_loop().time() + SETTLE_TIMEOUT_S
    while left := await residue(platform):
        assert asyncio.get_running_loop().time() < deadline, "; ".join(left)
        await asyncio.sleep(_POLL_S)


async def residue(platform: Platform) -> list[str]:
    """List what there is besides an idle product: channels, bridges, RTP, live calls."""
    left: list[str] = []
    ports = udp_ports(platform.controller_pid)
    if len(ports) > 1:  # one serves all calls
        left.append(f"UDP sockets of the controller: {ports}")
    whats = ("sovereign_calls_live", "sovereign_rtp_far_ends", "sovereign_pacer_lines")
    counts = {what: await platform.metric(what) for what in whats}
    left += [f"{what} {count:g}" for what, count in counts.items() if count]
    if left:
        return left
    channels = await platform.asterisk_cli("core show channels concise")
    named = [line.partition("!")[0] for line in channels.splitlines() if "!" in line]
    if named:
        left.append(f"channels: {named}")
    bridges = await platform.asterisk_cli("bridge show all")
    found = re.findall(r"^(\S+)\s+\d+\s+\S+", bridges, re.MULTILINE)
    if found:
        left.append(f"bridges: {found}")
    return left


def udp_ports(pid: int) -> list[int]:
    """List the UDP ports that a process has bound."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except OSError:
            continue  # closed between the listing and the look
        if match := re.fullmatch(r"socket:\[(\d+)\]", target):
            inodes.add(match[1])
    ports = []
    for line in Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[9] in inodes:
            ports.append(int(fields[1].rpartition(":")[2], 16))
    return sorted(ports)


def tasks_and_memory(pid: int) -> tuple[float, int]:
    """Read CPU seconds used so far and resident bytes of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(fields[21])
    return (int(fields[11]) + int(fields[12])) / 100, pages * 4096
