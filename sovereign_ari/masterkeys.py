"""The file of master keys: one key a line in base64, the newest first; `#` begins a comment.

Every process and every machine of an installation needs the same file.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import secrets
from pathlib import Path

from sovereign_ari.errors import SetupFailed
from sovereign_ari.vault import KEY_BYTES, Vault, key_id_of

_log = logging.getLogger(__name__)


class KeyFile:
    """The file, as a source of keys that notices when it becomes another one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None

    def read(self) -> list[bytes]:
        """Read all keys, the newest first.

        Raises:
            SetupFailed: If the file cannot be read, or holds something else or nothing.
        """
        self._seen = self._signature()
        return read_keys(self._path)

    def changed(self) -> list[bytes] | None:
        """Read again if the file is another one than last time; one look at its folder if not.

        A file that cannot be read is logged once, and leaves everything as it was.
        """
        if self._signature() in (None, self._seen):
            return None
        try:
            return self.read()
        except SetupFailed as error:
            _log.error("%s", error)  # a sentence for the operator says it all
            return None

    def _signature(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def load_vault(path: Path) -> Vault:
    """Open the vault of an installation; a file that is missing is made, with one new key.

    Raises:
        SetupFailed: If the file cannot be read or made, or holds something else.
    """
    if not path.exists():
        _create(path)
    file = KeyFile(path)
    return Vault(file.read(), file)


def opening_vault(path: Path) -> Vault:
    """A vault for a process that only opens: it makes no file, and reads it when it is needed."""
    return Vault([], KeyFile(path))


def read_keys(path: Path) -> list[bytes]:
    """Read all keys, the newest first.

    Raises:
        SetupFailed: If the file cannot be read, or holds something else or nothing.
    """
    keys = []
    for number, line in enumerate(_read(path).splitlines(), start=1):
        if (text := _key_in(line)) == "":
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


def add_key(path: Path) -> None:
    """Put a new key on top of the file, which processes that run will follow.

    Raises:
        SetupFailed: If the file cannot be read or written.
    """
    read_keys(path)
    _replace(path, _new_line() + _read(path))


def keep_newest(path: Path) -> None:
    """Drop all keys but the first.

    Raises:
        SetupFailed: If the file cannot be read or written.
    """
    read_keys(path)
    _replace(path, next(line for line in _read(path).splitlines() if _key_in(line)) + "\n")


def _key_in(line: str) -> str:
    return line.partition("#")[0].strip()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupFailed(f"the master keys cannot be read: {error}") from None


def _new_line() -> str:
    key = secrets.token_bytes(KEY_BYTES)
    return f"{base64.b64encode(key).decode()} # {key_id_of(key).hex()}\n"


def _create(path: Path) -> None:
    """Write a file with one key, whole or not at all; another process may do so at once."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = _draft(path, _new_line())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # the other process was first
        finally:
            draft.unlink()
    except OSError as error:
        raise SetupFailed(f"the master keys cannot be made: {error}") from None


def _replace(path: Path, text: str) -> None:
    """Write the file anew, at once and for the same owner."""
    path = path.resolve()  # a link stays one
    try:
        owner = path.stat()
        draft = _draft(path, text)
        try:
            if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(draft, owner.st_uid, owner.st_gid)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise SetupFailed(f"the master keys cannot be written: {error}") from None


def _draft(path: Path, text: str) -> Path:
    """Write a file beside it, that nobody else may read, down to the disk."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
    return draft
