"""The file of master keys: one key a line in base64, the newest first; `#` begins a comment.

Every process and every machine of an installation needs the same file.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from pathlib import Path

from sovereign_ari.errors import SetupFailed
from sovereign_ari.vault import KEY_BYTES, Vault


def load_vault(path: Path) -> Vault:
    """Open the vault of an installation; a file that is missing is made, with one new key.

    Raises:
        SetupFailed: If the file cannot be read or made, or holds something else.
    """
    if not path.exists():
        _create(path)
    return Vault(read_keys(path))


def read_keys(path: Path) -> list[bytes]:
    """Read all keys, the newest first.

    Raises:
        SetupFailed: If the file cannot be read, or holds something else or nothing.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupFailed(f"the master keys cannot be read: {error}") from None
    keys = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            key = base64.b64decode(text, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise SetupFailed(f"{path}, line {number}: not {KEY_BYTES} bytes in base64")
        keys.append(key)
    if not keys:
        raise SetupFailed(f"{path} holds no master key")
    return keys


def _create(path: Path) -> None:
    """Write a file with one key, whole or not at all; another process may do so at once."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    line = base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_bytes(line)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # the other process was first
        finally:
            draft.unlink()
    except OSError as error:
        raise SetupFailed(f"the master keys cannot be made: {error}") from None
