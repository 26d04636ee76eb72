"""SIP that is meant to do harm, or is only broken: the right answer, little to read, no harm."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.reception import Reception, hear_tones, said, say_tones
from tests.support.sip_call import Call
from tests.support.sip_raw import Oddity, answer_to, answers_to, odd_invite

LOUDEST_LOG = 2  # lines for one odd INVITE
SESSION = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\n"
HERE = b"c=IN IP4 127.0.0.1\r\nt=0 0\r\n"
AUDIO = b"m=audio 4000 RTP/AVP 0\r\n"
MANY = b"".join(b" %d" % number for number in range(100)) + b"\r"
DROPPED = None
"""Not SIP: there is nothing to answer."""

NAMES = {
    "a name with quotes and brackets": Oddity(caller='"a \\" <b>; ${EXTEN}" <sip:t@127.0.0.1>'),
    "a name that is a dialplan function": Oddity(caller='"${SHELL(touch /x)}" <sip:t@127.0.0.1>'),
    "a header in the name": Oddity(caller='"x%0d%0aX-Evil: 1" <sip:t%0d%0aX-Evil@127.0.0.1>'),
    "a number that is dialplan": Oddity(caller="<sip:%24%7BEXTEN%7D%22%2C1%7C@127.0.0.1>"),
    "a number with commas": Oddity(caller="<sip:+316,alaw,prohib@127.0.0.1>"),
    "a number without end": Oddity(caller=f"<sip:{'9' * 900}@127.0.0.1>"),
    "a name without end": Oddity(caller=f'"{"A" * 3000}" <sip:t@127.0.0.1>'),
    "bytes that are no text": Oddity(caller='"J\udcff\udcfe" <sip:t@127.0.0.1>'),
    "nobody": Oddity(caller="<sip:127.0.0.1>"),
    "a tel URI": Oddity(caller="<tel:+31612345678>"),
    "a Diversion that is dialplan": Oddity(headers=(("Diversion", '"${X}" <sip:${Y}@x>'),)),
}
DESTINATIONS: dict[str, tuple[Oddity, int | None]] = {
    "dialplan": (Oddity("sip:%24%7BEXTEN%7D@{server}"), 404),
    "another priority": (Oddity("sip:{number},known@{server}"), 404),
    "another channel": (Oddity("sip:{number}&PJSIP@{server}"), 404),
    "a line break": (Oddity("sip:{number}%0d%0aX@{server}"), 404),
    "a file": (Oddity("sip:../../etc/passwd@{server}"), 404),
    "an extension of ours": (Oddity("sip:offer@{server}"), 404),
    "a time-out": (Oddity("sip:T@{server}"), 404),
    "too many digits": (Oddity(f"sip:+{'9' * 300}@{{server}}"), 404),
    "nobody": (Oddity("sip:{server}"), 404),
    "a password": (Oddity("sip:{number}:secret@{server}"), 200),
    "a port of its own": (Oddity("sip:{number}@127.0.0.1:1"), 200),
    "a port that none is": (Oddity("sip:{number}@127.0.0.1:99999"), DROPPED),
    "no SIP": (Oddity("http://{server}/"), DROPPED),
}
MESSAGES: dict[str, tuple[Oddity, int | None]] = {
    "a header of 20 kB": (Oddity(headers=(("X-Long", "B" * 20_000),)), 200),
    "300 headers": (Oddity(headers=tuple((f"X-{n}", "1") for n in range(300))), 200),
    "no hops left": (Oddity(forwards="0"), 200),  # it is here: nobody forwards it
    "hops that are no number": (Oddity(forwards="x"), DROPPED),
    "through 50 others": (
        Oddity(vias=tuple(f"SIP/2.0/UDP 192.0.2.{n};branch=z9hG4bK{n}" for n in range(50))),
        200,
    ),
    "an extension nobody has": (Oddity(headers=(("Require", "telepathy"),)), 420),
    "a call that is not": (Oddity(headers=(("Replaces", "a;to-tag=1;from-tag=2"),)), 481),
}
DESCRIPTIONS: dict[str, tuple[bytes, int | None]] = {
    "garbage": (b"garbage", 400),
    "8000 attributes": (SESSION + HERE + AUDIO + b"a=x\r\n" * 8000, 200),
    "no media": (SESSION + HERE, 488),
    "no address": (SESSION + b"t=0 0\r\n" + AUDIO, 400),
    "an address that none is": (SESSION + HERE.replace(b"127.0.0.1", b"a.b.") + AUDIO, 488),
    "port 0": (SESSION + HERE + AUDIO.replace(b"4000", b"0"), 488),
    "port 99999": (SESSION + HERE + AUDIO.replace(b"4000", b"99999"), 400),
    "codecs that none are": (SESSION + HERE + AUDIO.replace(b" 0\r", b" 200 -1\r"), 400),
    "100 codecs": (SESSION + HERE + AUDIO.replace(b" 0\r", MANY), 200),
    "30 streams": (SESSION + HERE + AUDIO * 30, 200),
    "secrets that we do not share": (SESSION + HERE + AUDIO.replace(b"AVP", b"SAVP"), 488),
}


def lines_of(reception: Reception) -> int:
    """How much the PBX and the controller have had to say so far."""
    logs: Path = reception.platform.data_dir / "logs"
    files = (logs / "asterisk" / "messages.log", logs / "controller.log")
    lines = [line for file in files for line in file.read_text(errors="replace").splitlines()]
    return len([line for line in lines if '"level": "info"' not in line])


async def test_nothing_that_a_stranger_writes_does_harm(reception: Reception) -> None:
    """And a call that goes on meanwhile hears every word without a hole."""
    number, victim = await reception.number(first_message="Hi"), await reception.number()
    wanted: dict[str, tuple[Oddity, int | None]] = {
        **{name: (odd, 200) for name, odd in NAMES.items()},
        **DESTINATIONS,
        **MESSAGES,
        **{name: (Oddity(body=body), status) for name, (body, status) in DESCRIPTIONS.items()},
    }
    async with reception.phone.call(victim) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        before = lines_of(reception)
        got: dict[str, int | None] = {}
        in_order = sorted(wanted, key=lambda name: wanted[name][1] is DROPPED)  # they take time
        for some in batches(in_order, 12):
            talk = asyncio.create_task(talks_cleanly(call))
            answers = await answers_to(
                reception.phone.endpoint,
                reception.platform.sip,
                number,
                [wanted[name][0] for name in some],
            )
            got |= dict(zip(some, answers, strict=True))
            await talk
        assert got == {name: status for name, (_, status) in wanted.items()}
        assert lines_of(reception) - before <= LOUDEST_LOG * len(wanted)
    answered = [name for name, status in got.items() if status == 200]
    calls = await reception.all_ended(number, len(answered))
    callers = {call["caller_phone"] for call in calls}
    assert max(len(caller) for caller in callers if caller) <= 64
    assert not [caller for caller in callers if caller and set(caller) & set("${}()\"'<>,;\r\n")]
    assert [words for role, words in said(await reception.record(victim)) if role == "user"]


def batches(names: list[str], size: int) -> list[list[str]]:
    return [names[n : n + size] for n in range(0, len(names), size)]


async def talks_cleanly(call: Call) -> None:
    spoken_s = await say_tones(call, "clean")
    begun_s = await hear_tones(call, "You said: clean", spoken_s)
    ended_s = await call.heard.wait_for_silence(0.2, 5)
    assert call.heard.holes(begun_s + 0.02, ended_s - 0.02, buffer_s=1.0) == []


async def test_a_storm_of_one_invite_is_one_call(reception: Reception) -> None:
    number = await reception.number()
    before = lines_of(reception)
    endpoint, server = reception.phone.endpoint, reception.platform.sip
    invite = odd_invite(endpoint.address, server, number, Oddity())
    assert await answer_to(endpoint, server, invite, copies=100) == 200
    assert len(await reception.all_ended(number, 1)) == 1
    assert lines_of(reception) - before <= LOUDEST_LOG


async def test_a_hundred_orders_in_a_second_disturb_nobody(reception: Reception) -> None:
    number, other = await reception.number(), await reception.number()
    async with reception.phone.call(number) as ordered, reception.phone.call(other) as call:
        await ordered.answered()
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        (live,) = await reception.calls(number)
        body = {"type": "inject-context", "content": "We are closed.", "trigger_response": False}
        path = f"/calls/{live['id']}/control"
        talk = asyncio.create_task(talks_cleanly(call))
        answers = await asyncio.gather(
            *(reception.api.request("POST", path, body) for _ in range(100))
        )
        await talk
        assert {answer.status for answer in answers} == {200, 429}
        assert ordered.live
