"""Seals secrets that must come back in the clear: AES-256-GCM under a ring of master keys.

A sealed value is `version (1) | key id (8) | nonce (12) | ciphertext and tag`, NIST SP 800-38D.
It opens only for what it was sealed for, so a row copied elsewhere is worth nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sovereign_ari.errors import VaultClosed

KEY_BYTES = 32
KEY_ID_BYTES = 8
_VERSION = b"\x01"
_NONCE_BYTES = 12


def key_id_of(key: bytes) -> bytes:
    """Eight bytes that name a master key and tell nothing about it."""
    return hashlib.sha256(b"sovereign master key\x00" + key).digest()[:KEY_ID_BYTES]


class KeySource(Protocol):
    """Where the ring comes from; another process may change it at any time."""

    def changed(self) -> Sequence[bytes] | None:
        """Give the ring if it is another one than last time, else None. Never raises."""


class Vault:
    """Seals under the first key of a ring, and opens what any of them sealed.

    Args:
        keys: 32 bytes each, the newest first. Without any, nothing can be sealed.
        source: Asked before each sealing, and for a key that is not on the ring: so a process
            follows a rotation that happened elsewhere.
    """

    def __init__(self, keys: Sequence[bytes], source: KeySource | None = None) -> None:
        assert keys or source
        self._source = source
        self._ciphers: dict[bytes, AESGCM] = {}
        self._take(keys)

    @property
    def newest(self) -> bytes:
        """Id of the key that seals."""
        return next(iter(self._ciphers))

    @property
    def key_ids(self) -> list[bytes]:
        """Ids of all keys on the ring, the newest first."""
        return list(self._ciphers)

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        """Encrypt; `bound_to` says what for, e.g. `byok:<organisation>:<provider>`.

        Raises:
            VaultClosed: If there is no key at all.
        """
        self._follow()
        if not self._ciphers:
            raise VaultClosed("there is no master key to seal with")
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self.newest].encrypt(nonce, plain, bound_to.encode())
        return _VERSION + self.newest + nonce + sealed

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """Decrypt.

        Raises:
            VaultClosed: If the key is not on the ring, or the value was tampered with or sealed
                for something else.
        """
        key_id, rest = sealed[1 : 1 + KEY_ID_BYTES], sealed[1 + KEY_ID_BYTES :]
        if sealed[:1] != _VERSION or len(rest) < _NONCE_BYTES:
            raise VaultClosed("this is no sealed value")
        if key_id not in self._ciphers:
            self._follow()
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise VaultClosed(
                f"the master key {key_id.hex()} is not on the ring",
                hint="restore the file of master keys that it was in",
            )
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], bound_to.encode())
        except InvalidTag:
            raise VaultClosed("a sealed value does not belong where it stands") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether a value is sealed under the newest key."""
        return sealed[1 : 1 + KEY_ID_BYTES] == self.newest

    def _follow(self) -> None:
        if self._source is not None and (keys := self._source.changed()) is not None:
            self._take(keys)

    def _take(self, keys: Sequence[bytes]) -> None:
        assert all(len(key) == KEY_BYTES for key in keys)
        self._ciphers = {key_id_of(key): AESGCM(key) for key in keys}

    def __repr__(self) -> str:
        return f"<Vault of {len(self._ciphers)} keys>"
