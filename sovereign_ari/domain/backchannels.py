"""What a listener says without wanting to speak: "mm-hm", "ja", "ok". Pure.

English, Dutch and German stand together: callers mix them, and hardly a word means a backchannel
in one language and something else in another. A refusal ("no", "nee", "nein") is none, for it is
meant to stop the speaker, nor is a hesitation ("uh"), with which a caller takes the floor.
"""

from __future__ import annotations

import re

from sovereign_ari.domain.spoken import leading, phrases, words_of

MOST_WORDS = 5
"""Whoever says more of them than this at once wants to be heard."""

_HUM = re.compile(r"m+|h+m+|m+h+m*|a+h+a*|o+h+|u+h+u+h+")
_PHRASES = phrases(
    # English
    "uh huh, huh, ok, okay, okey, k, yes, yeah, yea, yep, yup, ya, aye, right, sure, alright, all "
    "right, true, exactly, correct, indeed, absolutely, definitely, totally, fine, good, great, "
    "nice, cool, perfect, lovely, wow, really, of course, i see, i know, got it, gotcha, makes "
    "sense, sounds good, thats right, thats correct, thats true, i understand, understood, "
    # Dutch
    "ja, jaja, jawel, jep, jup, oke, okee, precies, klopt, dat klopt, juist, inderdaad, zeker, "
    "natuurlijk, tuurlijk, goed, prima, mooi, leuk, fijn, top, he, he he, tja, zo, ach, echt, "
    "echt waar, snap ik, ik snap het, begrijp ik, ik begrijp het, is goed, oke dan, ja hoor, ik "
    "zie, "
    # German
    "genau, stimmt, das stimmt, richtig, klar, na klar, alles klar, eben, achso, ach so, aha so, "
    "gut, sehr gut, schon, verstehe, ich verstehe, verstanden, naturlich, sicher, jawohl, ja "
    "klar, ja genau, ja gut, in ordnung, wirklich, echt jetzt, super, toll, ach ja, oh ja, na gut"
)


def beyond_backchannels(text: str) -> list[str]:
    """The words behind the backchannels that it begins with; none when it is nothing else."""
    words = words_of(text)
    rest = words
    while rest and (taken := _backchannel(rest)):
        rest = rest[taken:]
    if not rest and len(words) > MOST_WORDS:
        return words
    return rest


def _backchannel(words: list[str]) -> int:
    """How many words at the beginning are one backchannel."""
    return leading(words, _PHRASES) or int(_HUM.fullmatch(words[0]) is not None)
