"""Seals secrets that must come back in the clear: AES-256-GCM under a ring of master keys.

A sealed value is `version (1) | key id (8) | nonce (12) | ciphertext and tag`, NIST SP 800-38D.
It opens only for what it was sealed for, so a row copied elsewhere is worth nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sovereign_ari.errors import VaultClosed

KEY_BYTES = 32
_VERSION = b"\x01"
_ID_BYTES = 8
_NONCE_BYTES = 12


def key_id_of(key: bytes) -> bytes:
    """Eight bytes that name a master key and tell nothing about it."""
    return hashlib.sha256(b"sovereign master key\x00" + key).digest()[:_ID_BYTES]


class Vault:
    """Seals under the first key of a ring, and opens what any of them sealed.

    Args:
        keys: 32 bytes each, the newest first.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        assert keys
        assert all(len(key) == KEY_BYTES for key in keys)
        self._ciphers = {key_id_of(key): AESGCM(key) for key in keys}
        self.newest = key_id_of(keys[0])

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        """Encrypt; `bound_to` says what for, e.g. `byok:<organisation>:<provider>`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._ciphers[self.newest].encrypt(nonce, plain, bound_to.encode())
        return _VERSION + self.newest + nonce + sealed

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """Decrypt.

        Raises:
            VaultClosed: If the key is not on the ring, or the value was tampered with or sealed
                for something else.
        """
        key_id, rest = sealed[1 : 1 + _ID_BYTES], sealed[1 + _ID_BYTES :]
        cipher = self._ciphers.get(key_id)
        if sealed[:1] != _VERSION or cipher is None:
            raise VaultClosed(f"the master key {key_id.hex()} is not on the ring")
        try:
            return cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], bound_to.encode())
        except InvalidTag:
            raise VaultClosed("a sealed value does not belong where it stands") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether a value is sealed under the newest key."""
        return sealed[1 : 1 + _ID_BYTES] == self.newest

    def __repr__(self) -> str:
        return f"<Vault of {len(self._ciphers)} keys>"
