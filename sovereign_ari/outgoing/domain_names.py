"""Names of domains that can send mail: written in ASCII, whatever alphabet they were given in."""

from __future__ import annotations

import re

import idna

LONGEST = 253  # RFC 1035 section 2.3.4, less the length bytes and the root
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_TOP = r"[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
PATTERN = rf"^(?:{_LABEL}\.)+{_TOP}$"
FAULT = "is not the name of a domain, such as mail.example.com"
_NAME = re.compile(PATTERN.removeprefix("^").removesuffix("$"))


def ascii_domain(text: str) -> str:
    """Write a name in lower-case ASCII, as RFC 5891 does, without the dot of the root.

    Raises:
        ValueError: If it is no name of at least two labels.
    """
    name = text.removesuffix(".")
    if not name.isascii() or "xn--" in name.lower():
        try:
            name = idna.encode(name, uts46=True).decode("ascii")
        except UnicodeError:  # includes idna.IDNAError
            raise ValueError(FAULT) from None
    if len(name) > LONGEST or _NAME.fullmatch(name) is None:
        raise ValueError(FAULT)
    return name.lower()
