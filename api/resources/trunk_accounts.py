"""What may be the account of a SIP trunk: it gets into SIP headers and names of the PBX."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, WithJsonSchema

from sovereign_ari.domain.trunk import PREFIX, is_username
from sovereign_ari.domain.trunk_objects import RESERVED_USERNAMES, SHARED_PREFIX

USERNAME_PATTERN = r"^[A-Za-z0-9_.!~*()+&=/@:-]{1,128}$"
_OURS = (PREFIX, SHARED_PREFIX, "sovereign")
_INBOUND = re.compile(r"[A-Za-z0-9_.-]{3,64}")


def _username(text: str) -> str:
    if any(ord(character) < 0x20 or character == "\x7f" for character in text):
        raise ValueError("holds a line break or a control character")
    if not is_username(text):
        raise ValueError(
            "holds what no user's name has: blanks, quotes, commas, semicolons, brackets or"
            " letters beyond ASCII"
        )
    return text


Username = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    AfterValidator(_username),
    WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": 128, "pattern": USERNAME_PATTERN}
    ),
]


@dataclass(frozen=True, slots=True)
class Account:
    """What a trunk has of an account, and what is to be done with it."""

    username: str | None
    has_password: bool
    register: bool | None
    inbound_auth: bool

    def faults(self) -> list[str]:
        """Say why it cannot work, one line per field."""
        whole = self.username is not None and self.has_password
        lines = []
        if self.register and not whole:
            lines.append("register: needs auth_username and auth_password")
        if self.inbound_auth:
            lines += self._inbound_faults(whole)
        return lines

    def _inbound_faults(self, whole: bool) -> list[str]:
        """Callers with an account are looked up by the name, among the names of the PBX."""
        name = self.username
        if name is None or not whole:
            return ["inbound_auth: needs auth_username and auth_password"]
        if name.lower() in RESERVED_USERNAMES or name.startswith(_OURS):
            return [f"auth_username: {name} is a name of the PBX itself; choose another"]
        if not _INBOUND.fullmatch(name):
            return [
                "auth_username: with inbound_auth it is 3 to 64 letters, digits, dots, hyphens"
                " and underscores"
            ]
        return []
