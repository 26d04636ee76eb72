"""Session descriptions (RFC 4566, RFC 3264): what a telephone offers and what came back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

PAYLOAD_TYPES: dict[str, tuple[int, str]] = {
    "ulaw": (0, "PCMU/8000"),
    "gsm": (3, "GSM/8000"),
    "alaw": (8, "PCMA/8000"),
    "g722": (9, "G722/8000"),
    "g729": (18, "G729/8000"),
    "opus": (107, "opus/48000/2"),
}
"""Codec → payload type and rtpmap; gsm, g729 and opus can be offered but not spoken."""

EVENT_PAYLOAD_TYPE = 101


@dataclass(frozen=True, slots=True)
class RemoteMedia:
    """The other side's audio.

    Attributes:
        address: Where to send RTP.
        codec: The codec it listed first.
        event_payload_type: For RFC 4733 digits, None when it takes none.
    """

    address: tuple[str, int]
    codec: str
    event_payload_type: int | None


def audio_offer(local_ip: str, rtp_port: int, codecs: Sequence[str], session: int) -> bytes:
    """Describe one audio stream with digits as events and 20 ms packets."""
    kinds = [PAYLOAD_TYPES[name] for name in codecs]
    numbers = " ".join([*(str(number) for number, _ in kinds), str(EVENT_PAYLOAD_TYPE)])
    lines = [
        "v=0",
        f"o=tester {session} {session} IN IP4 {local_ip}",
        "s=call",
        f"c=IN IP4 {local_ip}",
        "t=0 0",
        f"m=audio {rtp_port} RTP/AVP {numbers}",
        *(f"a=rtpmap:{number} {name}" for number, name in kinds),
        f"a=rtpmap:{EVENT_PAYLOAD_TYPE} telephone-event/8000",
        f"a=fmtp:{EVENT_PAYLOAD_TYPE} 0-16",
        "a=ptime:20",
        "a=sendrecv",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


def parse_media(body: bytes) -> RemoteMedia | None:
    """Read an answer; None when it carries no audio that we could speak."""
    text = body.decode("utf-8", "replace")
    stream = re.search(r"^m=audio (\d+) RTP/AVP ([\d ]+)", text, re.MULTILINE)
    place = re.search(r"^c=IN IP4 (\S+)", text, re.MULTILINE)
    if stream is None or place is None or int(stream[1]) == 0:
        return None
    names = {int(m[1]): m[2].lower() for m in re.finditer(r"a=rtpmap:(\d+) ([\w-]+)", text)}
    names = {0: "pcmu", 8: "pcma", 9: "g722"} | names
    ours = {"pcmu": "ulaw", "pcma": "alaw", "g722": "g722"}
    listed = [int(number) for number in stream[2].split()]
    spoken = [ours[names[n]] for n in listed if names.get(n) in ours]
    events = [n for n in listed if names.get(n) == "telephone-event"]
    if not spoken:
        return None
    return RemoteMedia((place[1], int(stream[1])), spoken[0], events[0] if events else None)
