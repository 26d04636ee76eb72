from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.speech.audio_log import AudioLog, Flush

ENTRY = st.binary(min_size=1, max_size=20) | st.integers(1, 9).map(Flush)


@given(entries=st.lists(ENTRY, max_size=40), limit_bytes=st.integers(20, 200))
def test_keeps_the_newest_audio_in_order_and_within_its_limit(
    entries: list[bytes | Flush], limit_bytes: int
) -> None:
    log = AudioLog(limit_bytes)
    for count, entry in enumerate(entries, start=1):
        assert log.append(entry) == count
    kept = [entry for _, entry in log.after(0)]
    assert kept == entries[len(entries) - len(kept) :]
    size = sum(len(entry) for entry in kept if isinstance(entry, bytes))
    assert size <= limit_bytes
    assert (log.first, log.end) == (len(entries) - len(kept), len(entries))


@given(entries=st.lists(ENTRY, max_size=20), until=st.integers(0, 25))
def test_forgets_what_is_recognised(entries: list[bytes | Flush], until: int) -> None:
    log = AudioLog(10_000)
    for entry in entries:
        log.append(entry)
    log.forget(until)
    assert [entry for _, entry in log.after(0)] == entries[until:]
    assert log.end == len(entries)


def test_what_is_added_while_reading_is_read_too() -> None:
    log = AudioLog(100)
    log.append(b"a")
    seen = []
    for position, entry in log.after(0):
        seen.append(entry)
        if position < 3:
            log.append(b"more")
    assert seen == [b"a", b"more", b"more"]
