"""What a listener says without wanting to speak: "mm-hm", "ja", "ok". Pure.

English, Dutch and German stand together: callers mix them, and hardly a word means a backchannel
in one language and something else in another. A refusal ("no", "nee", "nein") is none, for it is
meant to stop the speaker, nor is a hesitation ("uh"), with which a caller takes the floor.
"""

from __future__ import annotations

import re

from sovereign_ari.domain.spoken import leading, phrases, words_of

MOST_AT_ONCE = 5
"""Whoever says more of them than this at once wants to be heard; hums not counted."""

_HUM = re.compile(r"m+|h+m+|m+h+m*|a+h+a*|o+h+|u+h+u+h+")
_PHRASES = phrases(
    # English
    "uh huh, huh, uh hm, uh hmm, uh hum, uhum, um hm, um hmm, a ha, ah so, ok, okay, okey, k, "
    "yes, yeah, yea, yep, yup, ya, aye, right, sure, alright, all right, true, exactly, correct, "
    "indeed, absolutely, definitely, totally, fine, good, great, nice, cool, perfect, lovely, "
    "wow, really, of course, i see, i know, got it, gotcha, makes sense, sounds good, sure "
    "thing, fair enough, i get it, i got it, thats right, thats correct, thats true, i "
    "understand, understood, "
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


_BEGUN = frozenset(phrase[:n] for phrase in _PHRASES for n in range(1, len(phrase)))


def beyond_backchannels(text: str) -> list[str]:
    """The words behind the backchannels that it begins with; none when it is nothing else."""
    words = words_of(text)
    rest, said = words, 0
    while rest and (taken := _backchannel(rest)):
        said += _HUM.fullmatch(rest[0]) is None
        rest = rest[taken:]
    if not rest and said > MOST_AT_ONCE:
        return words
    return rest


def may_become_backchannel(rest: list[str]) -> bool:
    """Whether the words behind backchannels are the first ones of another: "uh", "got", "I".

    Args:
        rest: What `beyond_backchannels` gave of a text that still grows.
    """
    return tuple(rest) in _BEGUN


def _backchannel(words: list[str]) -> int:
    """How many words at the beginning are one backchannel."""
    return leading(words, _PHRASES) or int(_HUM.fullmatch(words[0]) is not None)
