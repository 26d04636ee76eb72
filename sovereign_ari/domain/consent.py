"""Whether somebody who was asked to take a call said yes or no. Pure.

In doubt he said neither, and is asked again: a caller must not be put through to a machine, nor to
somebody who does not want it. So a no beats a yes, and long speeches are no answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MOST_WORDS = 5
"""An answer is short; our own question, heard as an echo, is not."""

_YES: Mapping[str, frozenset[str]] = {
    "en": frozenset({"yes", "yeah", "yep", "sure", "okay", "ok", "accept", "connect", "one"}),
    "nl": frozenset({"ja", "jawel", "prima", "goed", "oké", "ok", "akkoord", "verbind", "één"}),
    "de": frozenset({"ja", "jawohl", "gerne", "gern", "okay", "ok", "annehmen", "verbinden"}),
    "fr": frozenset({"oui", "ouais", "bien", "accord", "ok", "accepte", "accepter"}),
    "es": frozenset({"sí", "si", "claro", "vale", "ok", "acepto", "aceptar"}),
    "it": frozenset({"sì", "si", "certo", "va", "ok", "accetto", "accettare"}),
    "pt": frozenset({"sim", "claro", "ok", "aceito", "aceitar"}),
    "pl": frozenset({"tak", "dobrze", "jasne", "ok", "przyjmuję"}),
}
_NO: Mapping[str, frozenset[str]] = {
    "en": frozenset({"no", "nope", "not", "don't", "can't", "decline", "busy", "two", "later"}),
    "nl": frozenset({"nee", "neen", "niet", "geen", "later", "weiger", "twee"}),
    "de": frozenset({"nein", "nee", "nicht", "kein", "keine", "später", "ablehnen", "zwei"}),
    "fr": frozenset({"non", "pas", "refuse", "refuser", "deux"}),
    "es": frozenset({"no", "ahora", "rechazo", "rechazar", "dos"}),
    "it": frozenset({"no", "non", "rifiuto", "rifiutare", "due"}),
    "pt": frozenset({"não", "nao", "recuso", "recusar", "dois"}),
    "pl": frozenset({"nie", "odrzucam", "dwa"}),
}

LANGUAGES: Mapping[str, str] = {language: language for language in _YES}
"""Those in which an answer is understood, by themselves."""


def consent(text: str, language: str) -> bool | None:
    """Read an answer; None when it is neither.

    Args:
        text: What was understood.
        language: Two letters; English is understood in any.
    """
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+", text.lower().replace("’", "'"))
    if not words or len(words) > MOST_WORDS:
        return None
    said = set(words)
    if said & (_NO["en"] | _NO.get(language, frozenset()) | {"2"}):
        return False
    if said & (_YES["en"] | _YES.get(language, frozenset()) | {"1"}):
        return True
    return None
