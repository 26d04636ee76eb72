"""Sealing: what comes back, what does not, and following a ring that changes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.errors import VaultClosed
from sovereign_ari.vault import KEY_ID_BYTES, Vault, key_id_of

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
VAULT = Vault([OLD])
BINDINGS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


class Ring:
    """A source whose ring a test changes."""

    def __init__(self) -> None:
        self.next: Sequence[bytes] | None = None
        self.asked = 0

    def changed(self) -> Sequence[bytes] | None:
        self.asked += 1
        keys, self.next = self.next, None
        return keys


@given(st.binary(max_size=500), BINDINGS)
def test_what_is_sealed_opens(plain: bytes, bound_to: str) -> None:
    sealed = VAULT.seal(plain, bound_to)
    assert VAULT.open(sealed, bound_to) == plain
    assert VAULT.seal(plain, bound_to) != sealed
    assert len(plain) < 8 or plain not in sealed


@given(BINDINGS, BINDINGS)
def test_a_value_opens_only_for_what_it_was_sealed_for(one: str, other: str) -> None:
    sealed = VAULT.seal(b"secret", one)
    if one != other:
        with pytest.raises(VaultClosed, match="does not belong"):
            VAULT.open(sealed, other)


def test_no_byte_can_be_changed_or_cut_off() -> None:
    sealed = VAULT.seal(b"secret", "b")
    for place in range(len(sealed)):
        for bit in (1, 128):
            changed = bytearray(sealed)
            changed[place] ^= bit
            with pytest.raises(VaultClosed):
                VAULT.open(bytes(changed), "b")
        with pytest.raises(VaultClosed):
            VAULT.open(sealed[:place], "b")
    with pytest.raises(VaultClosed):
        VAULT.open(sealed + b"\0", "b")


@given(st.binary(max_size=80))
def test_any_bytes_open_or_are_refused(sealed: bytes) -> None:
    with pytest.raises(VaultClosed):
        VAULT.open(sealed, "b")


def test_a_missing_key_is_named() -> None:
    with pytest.raises(VaultClosed, match=key_id_of(NEW).hex()) as caught:
        VAULT.open(Vault([NEW]).seal(b"secret", "b"), "b")
    assert caught.value.hint


def test_the_newest_key_seals_and_older_ones_open() -> None:
    ring = Vault([NEW, OLD])
    before = VAULT.seal(b"secret", "b")
    assert ring.open(before, "b") == b"secret"
    assert not ring.is_current(before)
    after = ring.seal(b"secret", "b")
    assert after[1 : 1 + KEY_ID_BYTES] == key_id_of(NEW)
    assert ring.is_current(after)
    assert ring.key_ids == [key_id_of(NEW), key_id_of(OLD)]


def test_a_value_under_an_unknown_key_makes_the_ring_be_read_again() -> None:
    source = Ring()
    vault = Vault([OLD], source)
    source.next = [NEW, OLD]
    assert vault.open(Vault([NEW]).seal(b"secret", "b"), "b") == b"secret"
    assert source.asked == 1
    assert vault.open(VAULT.seal(b"old", "b"), "b") == b"old"
    assert source.asked == 1, "a known key needs no look"
    with pytest.raises(VaultClosed):
        vault.open(Vault([bytes(32)]).seal(b"secret", "b"), "b")
    assert source.asked == 2


def test_sealing_follows_a_rotation_at_once() -> None:
    source = Ring()
    vault = Vault([OLD], source)
    source.next = [NEW, OLD]
    assert vault.seal(b"secret", "b")[1 : 1 + KEY_ID_BYTES] == key_id_of(NEW)


def test_a_vault_that_begins_without_keys_seals_nothing_and_learns_to_open() -> None:
    source = Ring()
    vault = Vault([], source)
    with pytest.raises(VaultClosed, match="no master key"):
        vault.seal(b"secret", "b")
    source.next = [OLD]
    assert vault.open(VAULT.seal(b"secret", "b"), "b") == b"secret"


def test_a_vault_shows_no_key() -> None:
    assert repr(Vault([NEW, OLD])) == "<Vault of 2 keys>"
    key_id = key_id_of(OLD)
    assert key_id not in OLD
    assert len(key_id) == KEY_ID_BYTES
