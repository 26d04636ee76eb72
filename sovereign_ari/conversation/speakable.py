"""What models write, as a voice can say it: no markup, no signs that nobody pronounces. Pure.

Words are kept, their marking is not: of a link the text stays, of a table the cells, of a block of
code what is in it, of an address on the web the host. What has no letter or digit left is nothing.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

_KEPT_SIGNS = frozenset("°№℃℉")
_JOINERS = "\u200c\u200d"
_FIRST_EMOJI = "\U0001f000"

_AUTOLINK = re.compile(r"<(?:mailto:)?((?:https?://|[^<>\s@]+@)[^<>\s]+)>")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,500}>|</?[A-Za-z][\w:-]*(?:\s(?=[^<>=]*=)[^<>]*)?\Z")
_FENCE = re.compile(r"^[ \t]*(?:```+|~~~+)[ \t]*[\w+#.-]*[ \t]*$", re.MULTILINE)
_LINK = re.compile(
    r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)|\[\w*\])"
)
_LINK_END = re.compile(r"\]\([^()\s]*\)?")
_CITATION = re.compile(r"\[\^?\d{1,3}\]|【[^【】]*】")
_ADDRESS = re.compile(r"\b(?:(?:https?|ftp)://(?:[^\s/@]*@)?(?:www\.)?|www\.)([^\s/?#:]+)(\S*)")
_TABLE_RULE = re.compile(r"^(?=[^\n]*--)[ \t|:+=-]+$|^[ \t]*(?:[*_=] ?){3,}$", re.MULTILINE)
_LINE_START = re.compile(
    r"^[ \t]*(?:#{1,6}(?:[ \t]+|$)|(?:>[ \t]*)+|[-*+•◦▪‣·–](?:[ \t]+(?:\[[ xX]\][ \t]+)?|$))",
    re.MULTILINE,
)
_TIMES = re.compile(r"(?<=\d)[ \t]*\*[ \t]*(?=\d)")
_MARKS = re.compile(r"[*`]+|~~+|__+|(?<![^\W_])_|_(?![^\W_])")
_ESCAPES = re.compile(r"\\[nt]?")
_RULES = re.compile(r"[-–—=~#_.•]{4,}|[=~#]{2,}")
_CRIES = re.compile(r"[!?][!?1]*[!?]")
_DOUBLED = re.compile(r"([,;:])(?:\s*[,;:])+")
_ANY = re.compile(r"[^\W_]")


def speakable(text: str) -> str:
    """Take everything out that cannot be pronounced; empty when nothing is left."""
    text = _plain(text)
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", _COMMENT.sub(" ", _AUTOLINK.sub(r"\1", text)))
    text = _LINE_START.sub("", _TABLE_RULE.sub(" ", _FENCE.sub(" ", text)))
    if "[" in text or "]" in text or "【" in text:
        text = _LINK_END.sub(" ", _CITATION.sub("", _LINK.sub(r"\1", text)))
        text = text.replace("[", "").replace("]", "")
    text = _ADDRESS.sub(_host, text)
    if "|" in text:
        text = "\n".join(_cells(line) for line in text.split("\n"))
    text = _MARKS.sub("", _TIMES.sub(" × ", text)).replace("_", " ")
    text = _ESCAPES.sub(" ", text).replace("{", "").replace("}", "")
    text = _CRIES.sub(lambda cry: "?" if "?" in cry.group() else "!", text)
    text = _DOUBLED.sub(r"\1", _RULES.sub(_pause, text))
    text = " ".join(text.split()).lstrip(",;: ")
    return text if _ANY.search(text) else ""


def _plain(text: str) -> str:
    """Drop controls, emoji and invisible characters; compose the others."""
    text = text.replace("\r", "\n").replace("\t", " ")
    if text.isascii():
        return "".join(each for each in text if each >= " " or each == "\n").replace("\x7f", "")
    kept = []
    for place, character in enumerate(text):
        if character in _JOINERS:  # which some scripts need within their words
            before, after = text[place - 1 : place], text[place + 1 : place + 2]
            keep = "\u0600" <= before < "\u1000" and "\u0600" <= after < "\u1000"
        else:
            keep = _is_text(character)
        if keep:
            kept.append(character)
    return unicodedata.normalize("NFC", "".join(kept))


@lru_cache(maxsize=4096)
def _is_text(character: str) -> bool:
    if character == "\n" or character in _KEPT_SIGNS:
        return True
    if character >= _FIRST_EMOJI and not character.isalpha():
        return False
    if "\ufe00" <= character <= "\ufe0f" or character == "\u20e3":
        return False
    kind = unicodedata.category(character)
    return kind[0] != "C" and kind != "So" and not "\u2190" <= character <= "\u21ff"


def _host(address: re.Match[str]) -> str:
    """Say only where an address leads, and keep the punctuation behind it."""
    host, rest = address.groups()
    behind = re.search(r"[.,;:!?)\"']*\Z", host + rest)
    tail = behind.group() if behind else ""
    return host.rstrip(".,;:!?)\"'") + tail


def _cells(line: str) -> str:
    if "|" not in line:
        return line
    return ", ".join(cell for each in line.split("|") if (cell := each.strip()))


def _pause(rule: re.Match[str]) -> str:
    return "..." if set(rule.group()) == {"."} else " "
