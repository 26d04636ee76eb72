"""What the words of whoever answers give away: English, Dutch and German. Pure.

The contract's keywords (api.md 12) and their kin, by how much they say:

    CERTAIN   nobody but a machine says it: "after the tone", "voicemail"
    LIKELY    a machine says it, or a human about somebody: "not available", "not here"
    FAINT     everybody says it now and then: "message", "beep"

Patterns meet the words as `words_of` gives them: small letters, without accents and punctuation.
What is told of a match is its label, never the words: those are the callee's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sovereign_ari.domain.spoken import words_of

_SOME = r"(?:\w+ ){0,3}"  # a few words between two that belong together
_DIGIT_EN = r"(?:zero|one|two|three|four|five|six|seven|eight|nine|pound|hash|\d)"
_DIGIT_NL = r"(?:nul|een|twee|drie|vier|vijf|zes|zeven|acht|negen|hekje|\d)"
_DIGIT_DE = r"(?:null|eins|zwei|drei|vier|funf|sechs|sieben|acht|neun|raute|\d)"

CERTAIN = {
    "voicemail": r"voice ?mails?|voice ?mailbox|anrufbeantworter|antwoordapparaat|sprachbox|"
    r"answering machine|answerphone",
    "mailbox": r"mail ?box",
    "leave a message": rf"leave {_SOME}(?:messages?|name|number|details)|"
    rf"(?:laat|spreek|spreekt|bericht|boodschap) {_SOME}(?:achter|inspreken|in te spreken)|"
    rf"spreek (?:dan |je |uw |een |jouw ){{1,3}}{_SOME}(?:bericht|boodschap)|"
    rf"(?:bericht|boodschap) {_SOME}(?:achterlaten|achter te laten)|"
    rf"hinterlass\w* {_SOME}(?:nachricht|namen|mitteilung)|nachricht {_SOME}hinterlass\w*|"
    rf"sprechen sie {_SOME}(?:nachricht|namen)",
    "please record": r"please record|record your message|recording (?:your|a) message",
    "after the tone": rf"(?:after|at|following|until|hear) (?:the|a) {_SOME}(?:tone|beep|signal)|"
    rf"na (?:de|het) {_SOME}(?:toon|piep|pieptoon|signaal|bliep|biep)|"
    rf"nach dem {_SOME}(?:\w*ton|piep\w*|signal)",
    "speak your message": r"speak your message",
    "cannot answer": r"(?:cant|cannot|can not|unable to|not able to) (?:\w+ ){0,2}"
    r"(?:come to|get to|answer|take) (?:the|my|your) (?:phone|call|calls)|"
    rf"niet {_SOME}(?:opnemen|aannemen|te woord staan|aan de telefoon komen)|"
    rf"(?:anruf|gesprach|telefon) {_SOME}nicht {_SOME}(?:entgegen\w*|annehmen|beantworten)|"
    rf"nicht {_SOME}(?:ans telefon|rangehen|entgegennehmen)",
    "will call back": r"(?:ill|i will|well|we will) (?:\w+ ){0,2}(?:call|get|ring) (?:right )?"
    r"(?:you )?back(?: to you)? as soon|"
    r"bel (?:ik|we|wij) (?:\w+ ){0,5}terug|(?:rufe|rufen) (?:ich|wir)? ?(?:sie|dich) "
    r"(?:\w+ ){0,4}zuruck",
    "the person you are calling": r"(?:person|party|subscriber|customer|number|user) (?:that )?"
    r"(?:you|youre) (?:are |have |ve )?(?:\w+ )?(?:calling|called|dialed|dialled|reach)|"
    r"(?:persoon|abonnee|nummer|klant) die u (?:\w+ )?(?:belt|gebeld|probeert)|"
    r"(?:teilnehmer|gesprachspartner|person) (?:\w+ )?ist (?:\w+ ){0,3}nicht|"
    r"gewunschte\w? (?:gesprachspartner|teilnehmer|rufnummer)",
}
LIKELY = {
    "unavailable": r"unavailable",
    "not available": r"(?:not|isnt|arent) (?:\w+ )?available|niet (?:\w+ )?beschikbaar|"
    r"nicht (?:\w+ )?verfugbar",
    "not here": r"not (?:here|home|at home|in right now|at my desk)|"
    r"niet (?:\w+ )?(?:hier|thuis|aanwezig|bereikbaar)|ik ben er (?:\w+ ){0,2}niet|"
    r"nicht (?:\w+ )?(?:hier|da|zu ?hause|erreichbar|zu erreichen|anwesend)",
    "call back later": r"call (?:me |us )?back later|try again later|call again later|"
    r"(?:probeer|bel) (?:\w+ ){0,3}later|(?:versuchen|rufen) sie (?:\w+ ){0,4}spater",
    "press star": r"press (?:the )?star|toets sterretje|(?:drucken sie )?(?:die )?sterntaste",
    "out of the office": r"out of (?:the )?office|office is (?:now )?closed|"
    r"(?:kantoor|wij|we) (?:is|zijn) (?:\w+ ){0,2}gesloten|geschlossen|"
    r"au(?:ss|s)erhalb (?:unserer|der) \w+zeiten|buiten (?:onze )?openingstijden",
}
FAINT = {
    "message": r"messages?|bericht|boodschap|nachricht",
    "beep": r"beep|piep|pieptoon|piepton|signalton",
}
FULL = {
    "mailbox full": rf"(?:voice ?mail|mail ?box|inbox|memory|machine|box) {_SOME}(?:is )?full|"
    r"(?:cannot|cant|not|no longer) (?:\w+ ){0,2}(?:accept|take|leave|record) "
    r"(?:any )?(?:new |more )?messages|"
    rf"(?:voice ?mail|mail ?box|postvak|geheugen|inbox) {_SOME}(?:is )?vol|"
    r"geen (?:nieuwe )?berichten (?:meer )?(?:achter|ontvang|inspre|opne|op)\w*|"
    rf"(?:mail ?box|anrufbeantworter|speicher|sprachbox) {_SOME}(?:ist )?voll|"
    r"keine (?:weiteren |neuen )?nachrichten (?:mehr )?(?:auf|ent|hinter|spei|annehm)\w*",
}
SCREENING = {
    "state your name": r"(?:state|say|record|tell me|give me|provide) (?:\w+ ){0,2}name|"
    r"(?:noem|zeg|spreek) (?:\w+ ){0,3}(?:naam)|"
    r"(?:nennen|sagen) sie (?:\w+ ){0,4}(?:namen)",
    "reason for calling": r"(?:reason|purpose) (?:for|of) (?:your call|calling|the call)|"
    r"why (?:youre|you are) calling|reden van uw \w+|waarom u belt|"
    r"grund (?:ihres|fur ihren) anruf\w*|warum sie anrufen",
    "screening": r"call (?:screening|assist|assistant)|screening (?:service|calls?)|"
    r"(?:ill|i will) see if (?:\w+ ){1,3}(?:is )?available|google assistant",
}
MENU = {
    "press one": rf"(?:press|dial|push|enter|select) (?:the )?(?:number |key )?{_DIGIT_EN}|"
    rf"(?:druk|toets|kies) (?:u )?(?:dan )?(?:op )?(?:de )?{_DIGIT_NL}|"
    rf"(?:drucken|wahlen|tippen) sie (?:bitte )?(?:die )?{_DIGIT_DE}",
    "menu": r"main menu|menu options|options have changed|listen (?:carefully|closely) to|"
    r"keuzemenu|maak (?:een|uw) keuze|hauptmenu|treffen sie (?:\w+ )?(?:aus)?wahl",
    "waiting": r"your call is important|all (?:of )?our (?:\w+ )?(?:agents|operators|lines|"
    r"representatives) are|al onze (?:medewerkers|lijnen)|alle (?:unsere )?(?:mitarbeiter|"
    r"leitungen)|recorded for (?:training|quality)",
}
GONE = {
    "not in service": r"(?:not|no longer) in (?:service|use)|been disconnected|"
    r"number (?:\w+ ){0,6}(?:does not exist|not (?:been )?recogni[sz]ed|not assigned|invalid|"
    r"not valid)|check the number|"
    r"(?:niet|buiten) (?:\w+ )?gebruik|nummer (?:\w+ ){0,4}(?:bestaat niet|onbekend|afgesloten)|"
    r"kein anschluss|nicht vergeben|(?:ruf)?nummer (?:\w+ ){0,4}(?:ungultig|nicht bekannt)",
}
HUMAN = {
    "who is it": r"(?:who is|whos) (?:this|that|there|calling|speaking|it)|"
    r"wie is (?:dit|dat|daar|er)|met wie|wer ist (?:da|dran|dort|am)|mit wem|wer spricht",
    "can I help": r"(?:how|what) (?:can|may|could) (?:i|we)|can i help|help you|"
    r"(?:waarmee|wat|hoe|waar) (?:\w+ )?kan ik|kan ik (?:\w+ ){0,3}helpen|zegt u het|zeg het|"
    r"(?:was|wie|womit) kann ich|kann ich (?:\w+ ){0,3}helfen",
    "are you there": r"are you there|can you hear|anybody there|anyone there|hello hello|"
    r"is daar iemand|hoort u|hallo hallo|horen sie|ist da jemand|ist da wer",
    "one moment": r"hold on|one moment|(?:just )?a (?:moment|second|minute|sec)\b|hang on|"
    r"momentje|ogenblikje|een moment(?! geduld)|moment mal|moment bitte|augenblick|sekunde",
    "about somebody": r"(?:hes|shes|theyre|he is|she is)|"
    r"(?:hij|ze|zij) (?:is|komt|zit)|(?:er|der|sie|die) (?:ist|kommt) (?!telefon|mail|voice)",
    "talks to us": r"(?:got|received|heard) (?:your|the|a) message|thanks? (?:you )?for (?:\w+ )?"
    r"calling (?:me )?back|what do you want|what is (?:this|it) about|whats (?:this|it) about|"
    r"who gave you|how are you|"
    r"waar gaat (?:het|dit)|wat wilt u|was wollen sie|worum geht|hoe gaat het|wie gehts",
}
OFFER = {
    "takes a message": r"(?:can|may|shall|could) i (?:\w+ )?(?:take|give)|would you like|"
    r"do you want|you can leave (?:it|that) with me|"
    r"zal ik|wilt u dat ik|kan ik (?:\w+ ){0,3}(?:aannemen|doorgeven)|"
    r"soll ich|kann ich (?:\w+ ){0,4}ausrichten|wollen sie eine",
}
_CALLING_OUT = re.compile(
    r"(?:(?:hello|hallo|halo|hi|hey|yes|yeah|ja|hoi|allo|moin|bitte|who is (?:this|that|there)|"
    r"whos (?:this|that|there)|is (?:anybody|anyone|somebody) there|are you there|"
    r"anybody there|im here|i am here|im back|wait|hold on|can you hear me|"
    r"(?:met )?wie is (?:daar|dit)|is daar iemand|bent u (?:er|daar)|ik ben er|hoort u mij|"
    r"wer ist (?:da|dran)|ist da jemand|ich bin da|horen sie mich|sind sie (?:da|noch da)) ?)+"
)


def _compiled(table: Mapping[str, str]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((label, re.compile(rf"\b(?:{source})\b")) for label, source in table.items())


_TABLES = {
    "certain": _compiled(CERTAIN),
    "likely": _compiled(LIKELY),
    "faint": _compiled(FAINT),
    "full": _compiled(FULL),
    "screening": _compiled(SCREENING),
    "menu": _compiled(MENU),
    "gone": _compiled(GONE),
    "human": _compiled(HUMAN),
    "offer": _compiled(OFFER),
}


@dataclass(frozen=True, slots=True)
class Clues:
    """The labels that matched, by table, and how many words there were."""

    count: int = 0
    certain: tuple[str, ...] = ()
    likely: tuple[str, ...] = ()
    faint: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    screening: tuple[str, ...] = ()
    menu: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    human: tuple[str, ...] = ()
    offer: tuple[str, ...] = ()


def clues_in(text: str) -> Clues:
    """Look a text through, in whichever language."""
    words = words_of(text[:_LONGEST])
    line = " ".join(words)
    found = {
        name: tuple(label for label, pattern in table if pattern.search(line))
        for name, table in _TABLES.items()
    }
    return Clues(len(words), **found)


_LONGEST = 4000  # characters: half a minute is some 600


def calls_out(text: str) -> bool:
    """Whether it is nothing but somebody who wants to know whether we are there: "hello?"."""
    return _CALLING_OUT.fullmatch(" ".join(words_of(text[:_LONGEST]))) is not None
