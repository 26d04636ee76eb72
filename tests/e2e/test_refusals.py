from __future__ import annotations

import pytest

from tests.support.fake_ari import until
from tests.support.reception import Reception, hear_tones
from tests.support.sip_caller import CallRejected, Line

VIDEO_ONLY = b"\r\n".join(
    [
        b"v=0",
        b"o=tester 1 1 IN IP4 127.0.0.1",
        b"s=call",
        b"c=IN IP4 127.0.0.1",
        b"t=0 0",
        b"m=video 40000 RTP/AVP 96",
        b"a=rtpmap:96 H264/90000",
        b"",
    ]
)
TORN = b"v=0\r\no=tester 1 1 IN IP4 127.0.0.1\r\ns=call\r\nm=audio notaport RTP"


async def refused(reception: Reception, number: str, line: Line | None = None) -> CallRejected:
    async with reception.phone.call(number, line=line) as call:
        with pytest.raises(CallRejected) as refusal:
            await call.answered()
        return refusal.value


async def test_an_unknown_number_is_answered_404_and_has_a_row(reception: Reception) -> None:
    assert (await refused(reception, "+31209999999")).status == 404
    record = await reception.record("+31209999999")
    assert (record["status"], record["end_reason"]) == ("rejected", "no_assistant")
    assert record["started_at"] is None
    assert record["agent_id"] is None
    assert "+31209999999" in record["error"]


async def test_what_a_carrier_writes_behind_a_number_is_no_part_of_it(
    reception: Reception,
) -> None:
    number = await reception.number()
    async with reception.phone.call(f"{number};npdi;phone-context=+31") as call:
        await call.answered()
    assert (await reception.record(number))["phone_number"] == number


async def test_an_unknown_extension_is_answered_404(reception: Reception) -> None:
    assert (await refused(reception, "4711")).status == 404


async def test_a_name_that_is_no_number_is_answered_404(reception: Reception) -> None:
    assert (await refused(reception, "nobody")).status == 404


async def test_an_inactive_assistant_is_answered_480_and_has_a_row(reception: Reception) -> None:
    number = await reception.number(is_active=False)
    assert (await refused(reception, number)).status == 480
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("rejected", "no_assistant")
    assert record["started_at"] is None


async def test_a_number_without_assistant_is_answered_480(reception: Reception) -> None:
    number = await reception.number()
    numbers = (await reception.api.get("/numbers"))["numbers"]
    (row,) = [row for row in numbers if row["phone_number"] == number]
    await reception.api.change(f"/numbers/{row['id']}", {"assistant_id": None})
    assert (await refused(reception, number)).status == 480
    assert (await reception.record(number))["end_reason"] == "no_assistant"


@pytest.mark.parametrize("codec", ["gsm", "g729", "opus"])
async def test_a_codec_we_do_not_speak_is_answered_488(reception: Reception, codec: str) -> None:
    number = await reception.number()
    async with reception.phone.call(number, codecs=(codec,)) as call:
        with pytest.raises(CallRejected) as refusal:
            await call.answered()
    assert refusal.value.status == 488


async def test_an_offer_without_audio_is_answered_488(reception: Reception) -> None:
    number = await reception.number()
    assert (await refused(reception, number, Line(offer=VIDEO_ONLY))).status == 488


async def test_an_offer_that_is_torn_is_refused(reception: Reception) -> None:
    number = await reception.number()
    assert (await refused(reception, number, Line(offer=TORN))).status in (400, 488)


async def test_a_call_taken_back_before_the_answer_leaves_a_row(reception: Reception) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await until(lambda: call.ringing_at_s is not None)  # a row exists from the first ring
        await call.hang_up()
    record = await reception.record(number)
    assert record["end_reason"] == "user_hangup"


MALFORMED = [
    b"",
    b"\r\n\r\n",
    b"\0" * 100,
    b"INVITE",
    b"INVITE sip:1000@127.0.0.1 SIP/2.0\r\n\r\n",
    b"INVITE sip:1000@127.0.0.1 SIP/2.0\r\nVia: x\r\nFrom: y\r\nTo: z\r\n"
    b"Call-ID: \r\nCSeq: a\r\n\r\n",
    b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"INVITE sip:" + b"9" * 4000 + b"@127.0.0.1 SIP/2.0\r\n\r\n",
    "INVITE sip:✆@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP ✆\r\n\r\n".encode(),
    b"BYE sip:1000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKx\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 BYE\r\n\r\n",
]


async def test_malformed_sip_harms_no_call(reception: Reception) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        for data in MALFORMED:
            reception.phone.endpoint.send_raw(data, reception.platform.sip)
        await call.answered()
        for data in MALFORMED:
            reception.phone.endpoint.send_raw(data, reception.platform.sip)
        await hear_tones(call, "Hello", call.answered_at_s)
        assert call.live
