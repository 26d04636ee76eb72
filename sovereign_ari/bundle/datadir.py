"""The data folder: its lock, its secrets, `ready.json`, and a short folder for sockets."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from sovereign_ari.errors import SetupFailed

# sockaddr_un holds 107 bytes; PostgreSQL and Asterisk append up to 32 to the folder's name.
_LONGEST_SOCKET_FOLDER_BYTES = 75


class DataDir:
    """One data folder, used by one `sovereign up` at a time.

    Args:
        path: The folder; made when missing, readable by its owner and traversable by others.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self.ready_file = self.path / "ready.json"
        self.api_key_file = self.path / "api_key"
        self.softphone_file = self.path / "softphone_password"
        self._lock: IO[str] | None = None
        self._short: Path | None = None
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
        except OSError as error:
            raise SetupFailed(
                f"cannot use the data folder {self.path}: {error.strerror}",
                hint="set SOVEREIGN_DATA_DIR to a folder you may write",
            ) from None
        self.path.chmod(0o711)  # the PostgreSQL user passes through; nobody reads
        self.logs.chmod(0o700)

    def lock(self) -> None:
        """Claim the folder for this process, until it ends.

        Raises:
            SetupFailed: When another process has it.
        """
        handle = (self.path / ".lock").open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            handle.close()
            raise SetupFailed(
                f"the data folder {self.path} is in use by process {owner}",
                hint="stop that one, or set SOVEREIGN_DATA_DIR to another folder",
            ) from None
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        self._lock = handle

    def unlock(self) -> None:
        """Give the folder back, and remove the short folder of sockets, which are dead now."""
        if self._short is not None:
            shutil.rmtree(self._short, ignore_errors=True)
            self._short = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def identity(self) -> str:
        """Twelve hexadecimal digits that stay the same for this folder."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]

    def socket_folder(self, name: str) -> Path:
        """Make a private folder for Unix sockets whose path is short enough.

        Raises:
            SetupFailed: When the short folder belongs to somebody else.
        """
        folder = self.path / "run" / name
        if len(os.fsencode(folder)) > _LONGEST_SOCKET_FOLDER_BYTES:
            base = Path(tempfile.gettempdir()) / f"sovereign-{os.getuid()}-{self.identity()}"
            base.mkdir(mode=0o711, exist_ok=True)
            found = base.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                raise SetupFailed(
                    f"{base} belongs to another user",
                    hint="remove it, or use a shorter data folder",
                )
            self._short = base
            folder = base / name
        folder.parent.mkdir(mode=0o711, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def secret(self, name: str) -> str:
        """Read a generated secret of 0600, making it at the first time."""
        path = self.path / name
        if path.is_file() and (value := path.read_text().strip()):
            return value
        value = secrets.token_urlsafe(18)
        self.write_private(path, value + "\n")
        return value

    def write_private(self, path: Path, text: str) -> None:
        """Replace a file of ours in one step, readable by its owner only."""
        temporary = path.with_name(f".{path.name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            os.fchmod(handle.fileno(), 0o600)
            handle.write(text)
        temporary.replace(path)

    def announce(self, facts: Mapping[str, object]) -> None:
        """Write `ready.json`: everything is up."""
        self.write_private(self.ready_file, json.dumps(dict(facts), indent=2) + "\n")

    def withdraw(self) -> None:
        """Remove `ready.json`: we are not, or no longer, up."""
        self.ready_file.unlink(missing_ok=True)
