"""Everything that is said to people on our own account, by language. Pure.

Whatever an assistant's configuration says instead goes first. A line that is added here is needed
in every language: the type checker asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sovereign_ari.conversation.terms import in_language_of
from sovereign_ari.domain.agent import Assistant


@dataclass(frozen=True, slots=True)
class OwnWords:
    """Our lines in one language.

    Attributes:
        farewell: Where the model hangs up without a word.
        time_is_up: At the end of the longest call.
        apology: The last words when a provider is gone for good.
        no_words: Where the model has nothing to say, or nothing was understood.
        fillers: While a tool or the model is waited for, in their order; after the last comes the
            second again.
        still_there: To a caller who says nothing.
        still_not_there: To one who says nothing to that either.
        gives_up: To one who never says anything.
        back: After a break on our side, before an answer that is still owed.
        where_were_we: After a break on our side, when nothing is owed.
        handover: To somebody who is to take over a caller.
        handover_question: Behind that, and what it is about.
        putting_through: To a caller who talked to us until somebody took his call.
    """

    farewell: str
    time_is_up: str
    apology: str
    no_words: str
    fillers: tuple[str, str, str]
    still_there: str
    still_not_there: str
    gives_up: str
    back: str
    where_were_we: str
    handover: str
    handover_question: str
    putting_through: str


ENGLISH = OwnWords(
    farewell="Goodbye.",
    time_is_up="I am sorry, our time is up. Goodbye.",
    apology="I am sorry, something went wrong on our side. Please call again later. Goodbye.",
    no_words="I am sorry, I did not get that. Could you say it again?",
    fillers=("One moment, please.", "I am still waiting for it.", "Thank you for your patience."),
    still_there="Are you still there?",
    still_not_there="I cannot hear you. Are you still there?",
    gives_up="I cannot hear you any more, so I am ending the call. Goodbye.",
    back="Sorry, I lost you for a moment.",
    where_were_we="Sorry, I lost you for a moment. Where were we?",
    handover="Hello. I have a caller for you.",
    handover_question="Press 1 or say yes to take the call. Press 2 or say no to decline.",
    putting_through="I am putting you through now.",
)

_DUTCH = OwnWords(
    farewell="Tot ziens.",
    time_is_up="Het spijt me, onze tijd is om. Tot ziens.",
    apology="Het spijt me, er ging bij ons iets mis. Belt u later nog eens. Tot ziens.",
    no_words="Sorry, dat heb ik niet goed begrepen. Kunt u het nog eens zeggen?",
    fillers=("Een moment alstublieft.", "Ik ben er nog mee bezig.", "Dank u voor uw geduld."),
    still_there="Bent u er nog?",
    still_not_there="Ik hoor u niet. Bent u er nog?",
    gives_up="Ik hoor u niet meer en beëindig het gesprek. Tot ziens.",
    back="Sorry, ik was u even kwijt.",
    where_were_we="Sorry, ik was u even kwijt. Waar waren we gebleven?",
    handover="Hallo. Ik heb een beller voor u.",
    handover_question="Toets 1 of zeg ja om het gesprek aan te nemen. Toets 2 of zeg nee om te"
    " weigeren.",
    putting_through="Ik verbind u nu door.",
)

_GERMAN = OwnWords(
    farewell="Auf Wiederhören.",
    time_is_up="Es tut mir leid, unsere Zeit ist um. Auf Wiederhören.",
    apology="Es tut mir leid, bei uns ist etwas schiefgegangen. Bitte rufen Sie später noch einmal"
    " an. Auf Wiederhören.",
    no_words="Entschuldigung, das habe ich nicht verstanden. Können Sie es noch einmal sagen?",
    fillers=("Einen Moment, bitte.", "Ich bin noch dabei.", "Danke für Ihre Geduld."),
    still_there="Sind Sie noch da?",
    still_not_there="Ich höre Sie nicht. Sind Sie noch da?",
    gives_up="Ich höre Sie nicht mehr und beende das Gespräch. Auf Wiederhören.",
    back="Entschuldigung, ich hatte Sie kurz verloren.",
    where_were_we="Entschuldigung, ich hatte Sie kurz verloren. Wo waren wir stehen geblieben?",
    handover="Hallo. Ich habe einen Anrufer für Sie.",
    handover_question="Drücken Sie 1 oder sagen Sie ja, um anzunehmen. Drücken Sie 2 oder sagen"
    " Sie nein, um abzulehnen.",
    putting_through="Ich verbinde Sie jetzt.",
)

_FRENCH = OwnWords(
    farewell="Au revoir.",
    time_is_up="Je suis désolé, notre temps est écoulé. Au revoir.",
    apology="Je suis désolé, nous avons un problème technique. Veuillez rappeler plus tard. Au"
    " revoir.",
    no_words="Pardon, je n'ai pas bien compris. Pouvez-vous répéter ?",
    fillers=("Un instant, s'il vous plaît.", "C'est encore en cours.", "Merci de patienter."),
    still_there="Êtes-vous toujours là ?",
    still_not_there="Je ne vous entends pas. Êtes-vous toujours là ?",
    gives_up="Je ne vous entends plus, je mets fin à l'appel. Au revoir.",
    back="Excusez-moi, je vous ai perdu un instant.",
    where_were_we="Excusez-moi, je vous ai perdu un instant. Où en étions-nous ?",
    handover="Bonjour. J'ai un appel pour vous.",
    handover_question="Appuyez sur 1 ou dites oui pour accepter. Appuyez sur 2 ou dites non pour"
    " refuser.",
    putting_through="Je vous mets en relation.",
)

_SPANISH = OwnWords(
    farewell="Adiós.",
    time_is_up="Lo siento, se nos ha acabado el tiempo. Adiós.",
    apology="Lo siento, tenemos un problema técnico. Por favor, llame más tarde. Adiós.",
    no_words="Perdón, no le he entendido. ¿Puede repetirlo?",
    fillers=("Un momento, por favor.", "Todavía estoy en ello.", "Gracias por su paciencia."),
    still_there="¿Sigue usted ahí?",
    still_not_there="No le oigo. ¿Sigue usted ahí?",
    gives_up="Ya no le oigo, voy a terminar la llamada. Adiós.",
    back="Disculpe, le he perdido un momento.",
    where_were_we="Disculpe, le he perdido un momento. ¿Por dónde íbamos?",
    handover="Hola. Tengo una llamada para usted.",
    handover_question="Pulse 1 o diga sí para aceptar. Pulse 2 o diga no para rechazar.",
    putting_through="Le paso ahora.",
)

_ITALIAN = OwnWords(
    farewell="Arrivederci.",
    time_is_up="Mi dispiace, il nostro tempo è scaduto. Arrivederci.",
    apology="Mi dispiace, abbiamo un problema tecnico. La prego di richiamare più tardi."
    " Arrivederci.",
    no_words="Mi scusi, non ho capito. Può ripetere?",
    fillers=("Un momento, per favore.", "Ci sto ancora lavorando.", "Grazie per la pazienza."),
    still_there="È ancora lì?",
    still_not_there="Non La sento. È ancora lì?",
    gives_up="Non La sento più e chiudo la chiamata. Arrivederci.",
    back="Mi scusi, ci siamo persi per un momento.",
    where_were_we="Mi scusi, ci siamo persi per un momento. Dove eravamo rimasti?",
    handover="Salve. Ho una chiamata per lei.",
    handover_question="Prema 1 o dica sì per accettare. Prema 2 o dica no per rifiutare.",
    putting_through="La metto in comunicazione.",
)

_PORTUGUESE = OwnWords(
    farewell="Até à próxima.",
    time_is_up="Lamento, o nosso tempo acabou. Até à próxima.",
    apology="Lamento, temos um problema técnico. Por favor, ligue mais tarde. Até à próxima.",
    no_words="Desculpe, não percebi. Pode repetir?",
    fillers=("Um momento, por favor.", "Ainda estou a tratar disso.", "Obrigado pela paciência."),
    still_there="Ainda está aí?",
    still_not_there="Não o ouço. Ainda está aí?",
    gives_up="Já não o ouço e vou terminar a chamada. Adeus.",
    back="Desculpe, a ligação falhou por um momento.",
    where_were_we="Desculpe, a ligação falhou por um momento. Onde estávamos?",
    handover="Olá. Tenho uma chamada para si.",
    handover_question="Prima 1 ou diga sim para aceitar. Prima 2 ou diga não para recusar.",
    putting_through="Vou passar a chamada.",
)

_POLISH = OwnWords(
    farewell="Do widzenia.",
    time_is_up="Przepraszam, nasz czas minął. Do widzenia.",
    apology="Przepraszam, mamy problem techniczny. Proszę zadzwonić później. Do widzenia.",
    no_words="Przepraszam, to było niezrozumiałe. Proszę powtórzyć.",
    fillers=("Chwileczkę, proszę.", "Jeszcze sprawdzam.", "Dziękuję za cierpliwość."),
    still_there="Halo, czy jest tam ktoś?",
    still_not_there="Nic nie słyszę. Halo, czy jest tam ktoś?",
    gives_up="Nic nie słyszę, więc kończę połączenie. Do widzenia.",
    back="Przepraszam, na chwilę straciliśmy połączenie.",
    where_were_we="Przepraszam, na chwilę straciliśmy połączenie. Na czym skończyliśmy?",
    handover="Dzień dobry. Mam rozmowę dla pana lub pani.",
    handover_question="Naciśnij 1 lub powiedz tak, aby przyjąć. Naciśnij 2 lub powiedz nie, aby"
    " odmówić.",
    putting_through="Już łączę.",
)

OWN_WORDS: Mapping[str, OwnWords] = {
    "en": ENGLISH,
    "nl": _DUTCH,
    "de": _GERMAN,
    "fr": _FRENCH,
    "es": _SPANISH,
    "it": _ITALIAN,
    "pt": _PORTUGUESE,
    "pl": _POLISH,
}
"""By language code; English for all others."""


def own_words(assistant: Assistant) -> OwnWords:
    """Our lines in the language of an assistant."""
    return in_language_of(assistant, OWN_WORDS)
