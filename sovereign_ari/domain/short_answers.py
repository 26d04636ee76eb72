"""Answers that are complete in a word or two: "yes", "nee, dank u", "ja, genau". Pure."""

from __future__ import annotations

from collections.abc import Sequence

from sovereign_ari.domain.spoken import made_of, phrases

MOST_WORDS = 6

_PHRASES = phrases(
    # English
    "yes, yeah, yep, yup, yes please, no, nope, nah, no thanks, no thank you, please, ok, okay, "
    "sure, right, thats right, correct, thats correct, exactly, absolutely, definitely, of "
    "course, certainly, fine, thats fine, great, perfect, good, alright, all right, agreed, not "
    "really, not yet, never, never mind, maybe, thats it, thats all, that is all, that will be "
    "all, all good, nothing else, nothing, thanks, thank you, thank you very much, bye, bye bye, "
    "goodbye, hello, hi, hey, i do, i dont, i am, im not, it is, it isnt, i dont know, i dont "
    "think so, i think so, true, no problem, sounds good, today, tomorrow, stop, got it, sure "
    "thing, uh huh, uhhuh, mm hm, mm hmm, mmhm, mmhmm, mhm, aha, a ha, "
    # Dutch
    "ja, jawel, jaja, ja hoor, ja graag, ja klopt, nee, neen, nee hoor, nee bedankt, nee dank u, "
    "dank u, dank u wel, dankuwel, dank je, dank je wel, dankjewel, bedankt, graag, klopt, dat "
    "klopt, precies, inderdaad, juist, oke, goed, is goed, prima, zeker, natuurlijk, uiteraard, "
    "top, helemaal goed, dat was het, dat is het, dat was alles, dat is alles, meer niet, niets, "
    "niks, dag, doei, tot ziens, hallo, hoi, goedemorgen, goedemiddag, goedenavond, liever niet, "
    "nog niet, misschien, alstublieft, alsjeblieft, fijn, weet ik niet, ik weet het niet, nooit, "
    "vandaag, morgen, geen probleem, akkoord, "
    # German
    "ja, jawohl, ja bitte, ja gerne, ja gern, nein, no, ne, nee, nein danke, doch, genau, "
    "richtig, stimmt, das stimmt, gerne, gern, danke, danke schon, dankeschon, danke sehr, vielen "
    "dank, bitte, bitte schon, in ordnung, gut, sehr gut, alles klar, klar, na klar, naturlich, "
    "sicher, passt, das passt, das wars, das war es, das ist alles, nichts, tschuss, tschau, "
    "ciao, auf wiederhoren, auf wiedersehen, hallo, guten tag, guten morgen, guten abend, "
    "einverstanden, noch nicht, lieber nicht, vielleicht, weiss ich nicht, ich weiss nicht, nie, "
    "super, perfekt, heute, kein problem, halt, ach so, achso, ah so, ah ja"
)  # fmt: skip


def is_short_answer(words: Sequence[str]) -> bool:
    """Whether it is an answer, or several in a row, that nobody expects more words behind.

    Args:
        words: As `words_of` gives them.
    """
    return len(words) <= MOST_WORDS and made_of(words, _PHRASES)
