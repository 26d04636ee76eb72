"""What carriers and telephones do at the edges of a call that comes in, on a real PBX."""

from __future__ import annotations

import asyncio

from sovereign_ari.domain.call import NO_AUDIO
from tests.support.fake_ari import until
from tests.support.own_endpoint import own_endpoint
from tests.support.reception import Reception, hear_tones, said, say_tones
from tests.support.rtp_port import RtpPort
from tests.support.sip_call import Call
from tests.support.sip_caller import CallRejected, Line, SipCaller
from tests.support.sip_messages import SipMessage
from tests.support.sip_session import audio_offer

FAX = b"m=image 40000 udptl t38\r\na=T38FaxVersion:0\r\n"
VIDEO = b"m=video 40002 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
OTHER_ADDRESS = "127.0.0.2"


async def talk(call: Call, word: str) -> None:
    spoken_s = await say_tones(call, word)
    await hear_tones(call, f"You said: {word}", spoken_s)


def offer(call: Call, codec: str = "ulaw") -> bytes:
    return audio_offer("127.0.0.1", call.rtp.port, (codec,), 1)


async def invite(call: Call, body: bytes, **headers: str) -> SipMessage:
    extra = [(name.replace("_", "-"), value) for name, value in headers.items()]
    answer = await call.ask("INVITE", body, extra)
    assert answer is not None
    return answer


async def holds_and_comes_back(call: Call) -> None:
    """By the three ways in which telephones say it."""
    for held in (
        offer(call).replace(b"a=sendrecv", b"a=inactive"),
        offer(call).replace(b"a=sendrecv", b"a=sendonly"),
        offer(call).replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 0.0.0.0"),
    ):
        assert (await invite(call, held)).status == 200
        assert (await invite(call, offer(call))).status == 200


async def refreshes(call: Call) -> None:
    """Session timers (RFC 4028), by INVITE and by UPDATE."""
    timer = {"Supported": "timer", "Session_Expires": "90;refresher=uac"}
    refreshed = await invite(call, offer(call), **timer)
    assert refreshed.header("Session-Expires") == "90;refresher=uac"
    too_short = await invite(call, offer(call), Supported="timer", Session_Expires="30")
    assert (too_short.status, too_short.header("Min-SE")) == (422, "90")
    again = [("Supported", "timer"), ("Session-Expires", "90;refresher=uac")]
    update = await call.ask("UPDATE", extra=again)
    assert update is not None
    assert (update.status, update.header("Session-Expires")) == (200, "90;refresher=uac")


async def moves(call: Call, port: RtpPort) -> None:
    """The audio goes on at another port, in another codec."""
    old = call.rtp
    assert old.sender is not None
    assert old.remote is not None
    old.sender.close()
    call.rtp = port
    assert (await invite(call, offer(call, "alaw"))).status == 200
    port.connect(old.remote, "alaw", 101, Line().faults).start()


async def test_a_call_goes_on_whatever_its_telephone_negotiates(reception: Reception) -> None:
    number = await reception.number()
    port = RtpPort("127.0.0.1")
    async with reception.phone.call(number) as call:
        await call.answered()
        first = call.rtp
        await hear_tones(call, "Hello", call.answered_at_s)
        assert (await invite(call, offer(call).split(b"m=")[0] + FAX)).status == 488
        both = await invite(call, offer(call) + FAX + VIDEO)
        assert both.status == 200
        assert b"m=image 0 " in both.body
        assert b"m=video 0 " in both.body
        assert (await invite(call, b"")).status == 200  # what have you got?
        await talk(call, "refused")
        await holds_and_comes_back(call)
        await refreshes(call)
        await talk(call, "held")
        refused = await call.ask("REFER", extra=[("Refer-To", "<sip:1000@127.0.0.1>")])
        assert refused is not None
        assert refused.status == 603
        await moves(call, port)
        await talk(call, "moved")
        call.rtp.change_codec("g722")
        assert (await invite(call, offer(call, "g722"))).status == 200
        await talk(call, "wide")
        assert call.heard.foreign == 0
        assert call.live
        call.rtp = first
    port.close()
    record = await reception.record(number)
    assert [words for role, words in said(record) if role == "user"] == [
        "refused", "held", "moved", "wide",
    ]  # fmt: skip
    events = (await reception.timeline(record))["events"]
    holds = [event["detail"]["on"] for event in events if event["kind"] == "hold"]
    assert holds == [True, False] * 3


async def call_as(reception: Reception, user: str, dialled: str, *headers: tuple[str, str]) -> int:
    """Call, and hang up as soon as it is answered; returns the status."""
    address = OTHER_ADDRESS if any(name.startswith("P-A") for name, _ in headers) else "127.0.0.1"
    async with SipCaller(reception.platform.sip, local_ip=address, user=user) as phone:
        async with phone.call(dialled, line=Line(headers=headers)) as call:
            try:
                await call.answered()
            except CallRejected as refusal:
                return refusal.status
    return 200


async def test_who_calls_is_known_as_a_number_or_not_at_all(reception: Reception) -> None:
    number = await reception.number()
    assert await call_as(reception, "0687654321", number) == 200
    assert (await reception.record(number))["caller_phone"] == "+31687654321"
    private: list[tuple[str, tuple[tuple[str, str], ...]]] = [
        ("anonymous", ()),
        ("+31687654321", (("Privacy", "id"),)),
        ("+31687654321", (("Privacy", "user;id"),)),
    ]
    other = await reception.number()
    codes = await asyncio.gather(
        *(call_as(reception, user, other, *headers) for user, headers in private)
    )
    assert codes == [200] * len(private)
    assert {c["caller_phone"] for c in await reception.all_ended(other, len(private))} == {None}
    trusted = await reception.number()
    asserted = ("P-Asserted-Identity", "<sip:0031612345678@127.0.0.1>")
    async with own_endpoint(reception.platform, OTHER_ADDRESS, {"trust_id_inbound": "yes"}):
        assert await call_as(reception, "anonymous", trusted, asserted) == 200
        assert (await reception.record(trusted))["caller_phone"] == "+31612345678"
        assert await call_as(reception, "anonymous", trusted, asserted, ("Privacy", "id")) == 200
        last = (await reception.all_ended(trusted, 2))[0]
    assert last["caller_phone"] is None


async def test_a_number_is_understood_however_a_carrier_writes_it(reception: Reception) -> None:
    """All at once, from one telephone: its calls are calls of their own."""
    number = await reception.number()
    national = f"0{number[3:]}"
    forms = [
        number, f"00{number[1:]}", number[1:], national, f"{number[:3]}-{number[3:]}",
        f"{number};npdi", f"{number}:password",
    ]  # fmt: skip
    wrong = [f"{number},1", f"{number}%22,known", "0201", f"{number}@x".replace("@", "%40")]

    async def one(form: str) -> int:
        async with reception.phone.call(form) as call:
            try:
                await call.answered()
            except CallRejected as refusal:
                return refusal.status
            await call.heard.wait_for_audio(call.answered_at_s, 8)
            return 200

    got = await asyncio.gather(*map(one, forms + wrong))
    assert dict(zip(forms + wrong, got, strict=True)) == {
        form: 200 if form in forms else 404 for form in forms + wrong
    }
    calls = await reception.all_ended(number, len(forms))
    assert {call["phone_number"] for call in calls} == {number}


async def test_a_call_that_is_taken_back_at_once_has_a_row_that_says_so(
    reception: Reception,
) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await until(lambda: call.status_code == 100 or call.ringing_at_s is not None)
        await call.hang_up()
    record = await reception.record(number)
    assert (record["end_reason"], record["started_at"]) == ("user_hangup", None)


async def test_a_caller_whose_audio_stops_is_not_kept_for_ever(reception: Reception) -> None:
    number = await reception.number()
    short = {"rtp_timeout": "2"}
    async with own_endpoint(reception.platform, OTHER_ADDRESS, short):
        async with SipCaller(reception.platform.sip, local_ip=OTHER_ADDRESS) as phone:
            async with phone.call(number, line=Line(dtx=True)) as call:
                await call.answered()
                ending = await call.ended(8)
                assert ending.by == "far end"
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended-with-error", "error")
    assert record["error"] == NO_AUDIO
