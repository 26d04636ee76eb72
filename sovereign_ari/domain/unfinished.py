"""Words that hardly anybody ends with: conjunctions, articles, prepositions, fillers. Pure.

Each language has its own list, for "want" ends an English sentence and not a Dutch one. When the
language is not known it is guessed from the other words, and when they tell nothing all lists
hold: waiting too long costs a second, and cutting the caller off costs a sentence. Of a language
that has no list, only fillers and the recogniser's punctuation tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sovereign_ari.domain.spoken import Phrases, phrases

FILLERS = phrases(
    "um, umm, uhm, uh, uhh, erm, ehm, eh, euh, uhhm, hmm, ah, ahm, oh, emm, mmm, let me see, let "
    "me think, let me check, you know, i mean, even kijken, even denken, eens kijken, laat me "
    "denken, laat me even kijken, hoe zeg je dat, mal sehen, mal uberlegen, lass mich uberlegen, "
    "wie sagt man, sozusagen, zeg maar, dot, punkt"
)

_WORDS: Mapping[str, Phrases] = {
    "en": phrases(
        "and, or, but, because, cause, so, if, when, although, though, unless, whether, than, "
        "while, which, whose, the, a, an, my, your, our, his, their, some, every, of, to, for, "
        "with, from, at, in, into, by, between, without, about, per, until, during, im, ive, er, "
        "and then, i would like, my name is, name is, number is, address is, date is, code is, "
        "email is, birthday is, question is, problem is, this is, there is, it is for, and also, "
        "plus"
    ),
    "nl": phrases(
        "en, of, maar, want, omdat, dus, als, dat is, zodat, terwijl, hoewel, tenzij, wanneer, "
        "doordat, totdat, toen, de, een, mijn, uw, jouw, onze, hun, zijn, elke, van, voor, met, "
        "naar, bij, tot, zonder, tussen, tegen, te, om, sinds, per, vanaf, volgens, en ook, naam "
        "is, nummer is, adres is, datum is, code is, vraag is, probleem is, ik heet, ik woon in, "
        "ik ben, in het, van het, op het, voor het, met het, bij het, naar het, aan het, om het, "
        "op de, en dan, ik zou, ik wil graag, ik wil een"
    ),
    "de": phrases(
        "und, oder, aber, weil, denn, dass, wenn, ob, also, damit, obwohl, sondern, bevor, "
        "nachdem, sodass, der, die, den, dem, des, ein, eine, einen, einem, eines, mein, meine, "
        "meinen, meinem, unser, unsere, ihre, ihren, von, vom, zum, zur, mit, fur, bei, beim, "
        "nach, in, im, am, ins, bis, ohne, gegen, zwischen, seit, wegen, name ist, nummer ist, "
        "adresse ist, code ist, frage ist, problem ist, datum ist, ich heisse, ich wohne in, ich "
        "bin, ich mochte, und auch, ich hatte gern, ich hatte gerne, ich wurde gern, sowie, "
        "beziehungsweise, und dann, in das, auf das, an das, fur das, durch das, um das"
    ),
}

_OTHERS_ARTICLES: Mapping[str, Phrases] = {
    "en": phrases("de, het, een, der, das, dem, ein, eine, einen, einem, eines"),
    "nl": phrases("the, der, das, dem, eine, einen, einem, eines"),
    "de": phrases("the, de, het, een"),
}
"""Articles of the other languages that are no words of this one: recognisers mix languages."""

_FINISHED = phrases(
    # "so", "for", "to", ... do end these.
    "think so, hope so, guess so, said so, say so, do so, or so, if so, even so, so so, very "
    "well, just about, what about, how about, come in, check in, log in, sign in, move in, drop "
    "in, fit in, call in, be in, came in, get in, go in, fill in, want to, like to, love to, need "
    "to, have to, used to, going to, got to, able to, allowed to, supposed to, ought to, stand "
    "by, drop by, come by, goes by, asked for, im in, i am in, looking for, waiting for, paid "
    "for, called for, applied for, care for, what for, to talk to, speak to, talk to, listen to, "
    "belong to, ready to, talking about, think about, worry about, know about, looking at, "
    "arrived at, step in, count me in, stay in, ben er, is er, zijn er, ist er, war er, hat er, "
    "ware er, i am, here i am, who i am, so i am, to start with, deal with, agree with, go with, "
    "come with, help with, dealing with, even though, i want, you want, we want, they want, dont "
    "want, to want, what i want, would want, doe maar, zeg het maar, laat maar, ga maar, kom "
    "maar, geef maar, neem maar, vertel maar, begin maar, toe maar, bel maar, vraag maar, probeer "
    "maar, kijk maar, zet maar, noem maar, wacht maar, ik ben tegen, moet zijn, kan zijn, wil "
    "zijn, zou zijn, te zijn, hier zijn, er zijn, daar zijn, wat zijn, komme mit, kommt mit, "
    "kommen mit, gehe mit, mache mit, machen mit, nehme mit, bringe mit, lade dich ein, lade sie "
    "ein, steige ein, steigen ein, kaufe ein, stelle ein, stimme zu, denke nach, frage nach, "
    "schaue nach, sehe nach, was denn, wo denn, wie denn, wer denn, me also, us also, it also, "
    "that also, them also, nehme den, nehme die, nehme der, mag den, mag die, will den, will die, "
    "kenne den, kenne die"
)

_OPENERS = phrases("well, nou, tja, na ja, oh, ah")
"""What is only said before something else."""

_COMMON: Mapping[str, frozenset[str]] = {
    "en": frozenset(
        "i you he she we they it its the this that these is are was my your me not dont do have "
        "would like to and of with please yes no thanks think need".split()
    ),
    "nl": frozenset(
        "ik jij je u hij zij wij we het dit dat deze is zijn was mijn uw me niet geen doe heb wil "
        "zou graag en van met alstublieft ja nee bedankt denk moet kom kan".split()
    ),
    "de": frozenset(
        "ich du er sie wir es das dies diese ist sind war mein ihr mir mich nicht kein habe will "
        "mochte gern gerne und von mit bitte ja nein danke glaube muss komme kann".split()
    ),
}
"""Words by which a language is told from the others."""

_ASKED = frozenset(
    "who whom what which where when why how wie wat waar welke welk hoe was wer wo woher wohin"
    " welche welcher welches".split()
)
_ENDS_QUESTIONS = frozenset(
    "of to for with from at in about by like into van voor met naar bij tot over uit mit von"
    " nach".split()
)
_BREAK = re.compile(r"(?:[,;:–-]|\.\.\.|…|(?<![^\W_])[^\W\d_]['’])\s*$")
LONGEST = 4
NO_PHRASES: Phrases = frozenset()


def breaks_off(text: str) -> bool:
    """Whether the recogniser heard that the voice stayed up: it wrote a comma, a colon, a dash.

    An apostrophe behind a lone letter is half a name: "O'", "D'".
    """
    return _BREAK.search(text) is not None


def trails_off(text: str, words: Sequence[str], language: str | None) -> bool:
    """Whether more words must follow.

    Args:
        text: What was said, with its punctuation.
        words: The same, as `words_of` gives them.
        language: ISO 639-1, None when it is not known.
    """
    if _ends_with(words, FILLERS) or tuple(words) in _OPENERS:
        return True
    if text.rstrip().endswith("?") or _ends_with(words, _FINISHED):
        return False
    if len(words) > 1 and words[-1] in _ENDS_QUESTIONS and not _ASKED.isdisjoint(words):
        return False  # "where are you from"
    languages = _languages_of(words[:-1]) if language is None else (language,)
    if any(_ends_with(words, _WORDS.get(one, NO_PHRASES)) for one in languages):
        return True
    if words[-1:] in (["a"], ["an"]) and tuple(_languages_of(words[:-1])) == ("en",):
        return True
    if len(languages) > 1:
        return False
    return _ends_with(words, _OTHERS_ARTICLES.get(languages[0], NO_PHRASES))


def _languages_of(words: Sequence[str]) -> Sequence[str]:
    """The language of most of these words; all of them when nothing tells."""
    counts = {name: sum(word in common for word in words) for name, common in _COMMON.items()}
    most = max(counts.values())
    found = [name for name, count in counts.items() if count == most]
    return found if len(found) == 1 else tuple(_WORDS)


def _ends_with(words: Sequence[str], known: Phrases) -> bool:
    return any(tuple(words[-n:]) in known for n in range(1, min(LONGEST, len(words)) + 1))
