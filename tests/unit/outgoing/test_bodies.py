"""Unpacking of answers within bounds."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.bodies import Allowance, Unpacker


def unpacked(encoding: str, raw: bytes, most: int, step: int = 7) -> bytes:
    unpacker = Unpacker(encoding, Allowance(most))
    found = b"".join(unpacker.feed(raw[n : n + step]) for n in range(0, len(raw), step))
    unpacker.finish()
    return found


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@given(st.binary(max_size=2000), st.integers(2, 50))
def test_what_was_packed_comes_out_whole(data: bytes, step: int) -> None:
    for encoding, packed, expected in [
        ("", data, data),
        ("identity", data, data),
        ("gzip", gzip.compress(data), data),
        ("GZIP", gzip.compress(data), data),
        ("gzip", gzip.compress(data) + gzip.compress(data), data + data),
        ("deflate", zlib.compress(data), data),
    ]:
        assert unpacked(encoding, packed, 4000, step) == expected
    assert unpacked("deflate", raw_deflate(data), 2000, 5000) == data


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]), st.integers(1, 40))
def test_any_bytes_are_unpacked_or_refused(data: bytes, encoding: str, step: int) -> None:
    try:
        assert len(unpacked(encoding, data, 100, step)) <= 100
    except OutgoingFailed:
        pass


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_one_byte_too_many_is_refused(encoding: str) -> None:
    packs: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        "gzip": gzip.compress,
        "deflate": zlib.compress,
    }
    pack = packs[encoding]
    assert unpacked(encoding, pack(bytes(1000)), 1000) == bytes(1000)
    with pytest.raises(OutgoingFailed, match=r"^the answer is larger than 1000 bytes$"):
        unpacked(encoding, pack(bytes(1001)), 1000)


def test_a_bomb_takes_no_memory() -> None:
    bomb = gzip.compress(bytes(20_000_000))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        with pytest.raises(OutgoingFailed, match="larger than 100000 bytes"):
            unpacked("gzip", bomb, 100_000, step=len(bomb))
        assert tracemalloc.get_traced_memory()[1] - before < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_body_that_ends_too_early_is_refused() -> None:
    with pytest.raises(OutgoingFailed, match="compression is broken"):
        unpacked("gzip", gzip.compress(b"x" * 100)[:-9], 1000)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "gzip,"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(OutgoingFailed, match="not asked for"):
        Unpacker(encoding, Allowance(1))
