"""What is changed over the API holds from the next call on, without a restart."""

from __future__ import annotations

from tests.e2e.test_refusals import refused
from tests.support.reception import Reception, hear_tones, said


async def _greeting(reception: Reception, number: str, text: str) -> None:
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, text, call.answered_at_s)


async def test_a_changed_assistant_speaks_from_the_next_call_on(reception: Reception) -> None:
    number = await reception.number(first_message="Before")
    [row] = [one for one in (await reception.api.get("/numbers"))["numbers"]
             if one["phone_number"] == number]  # fmt: skip
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Before", call.answered_at_s)
        await reception.api.change(
            f"/assistants/{row['assistant_id']}", {"first_message": "After"}
        )
    first = await reception.record(number)
    assert said(first) == [("assistant", "Before")]
    await _greeting(reception, number, "After")


async def test_a_number_given_to_another_assistant_is_answered_by_that_one(
    reception: Reception,
) -> None:
    number = await reception.number(first_message="One")
    other = await reception.api.create("/assistants", {"name": "Two", "first_message": "Two"})
    [row] = [one for one in (await reception.api.get("/numbers"))["numbers"]
             if one["phone_number"] == number]  # fmt: skip
    await _greeting(reception, number, "One")
    await reception.api.change(f"/numbers/{row['id']}", {"assistant_id": other["assistant"]["id"]})
    await _greeting(reception, number, "Two")
    await reception.api.change(f"/numbers/{row['id']}", {"is_active": False})
    assert (await refused(reception, number)).status == 480
