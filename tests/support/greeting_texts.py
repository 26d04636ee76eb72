"""What people and machines say when they are called: English, Dutch and German.

Numbers between the texts are pauses in seconds.
"""

from __future__ import annotations

from sovereign_ari.domain.answering_machine import Kind

HUMANS: dict[str, tuple[tuple[str | float, ...], ...]] = {
    "en": (
        ("hello",),
        ("hello?", 1.5, "hello?"),
        ("yes, hello?",),
        ("johnson",),
        ("anna speaking",),
        ("hi this is anna",),
        ("good morning, thank you for calling jansen and partners, you are speaking with linda, "
         "how may i help you",),
        ("good afternoon, you have come through to the front desk of the harbour hotel, my name "
         "is michael", 0.9, "what can i do for you today"),
        ("sorry he is not here right now, who is calling please",),
        ("she is not available at the moment, can i take a message",),
        ("he is out, would you like to leave a message for him",),
        ("oh hi, i got your message, thank you for calling back so quickly",),
        ("hold on, let me turn the music down", 1.5, "yes who is this"),
        ("wait a second i am just getting out of the car",),
        ("not available, sorry",),
    ),
    "nl": (
        ("hallo",),
        ("jansen",),
        ("hallo met piet",),
        ("met piet de vries",),
        ("goedemorgen, u spreekt met tandartspraktijk de linde, mijn naam is saskia, waarmee kan "
         "ik u helpen",),
        ("goedemiddag met de receptie van hotel de wereld, met johan", 0.9, "zegt u het maar"),
        ("nee die is er niet, hij is even naar de winkel, met wie spreek ik",),
        ("ze is niet bereikbaar op dit moment, kan ik een boodschap aannemen",),
        ("hallo?", 1.5, "is daar iemand"),
        ("ja momentje hoor",),
    ),
    "de": (
        ("hallo",),
        ("schmidt",),
        ("müller guten tag",),
        ("ja bitte wer ist da",),
        ("guten tag, sie sprechen mit der praxis doktor weber, mein name ist frau klein, was kann "
         "ich für sie tun",),
        ("der ist gerade nicht da, soll ich ihm etwas ausrichten",),
        ("er ist nicht erreichbar, kann ich ihm eine nachricht ausrichten",),
        ("moment bitte, ich hole ihn",),
    ),
}  # fmt: skip
MACHINES: dict[Kind, dict[str, tuple[tuple[str | float, ...], ...]]] = {
    Kind.VOICEMAIL: {
        "en": (
            ("hi, you have reached anna, i cannot come to the phone right now, please leave a "
             "message after the beep", 0.6),
            ("hello, this is mike", 0.7, "sorry i missed your call", 0.5, "leave your name and "
             "number and i will get back to you as soon as i can", 0.8),
            ("the person you are calling is not available, please record your message after the "
             "tone", 0.5),
            ("your call has been forwarded to an automatic voice message system", 0.4,
             "at the tone please record your message, when you have finished recording you may "
             "hang up or press one for more options", 0.7),
            ("you have reached the voicemail of jansen and partners, our office is closed now, "
             "please leave a message and we will call you back", 1.0),
            ("i am not available right now, try again later", 1.0),
            ("this is tom, you know what to do", 0.5),
            ("welcome to the mailbox of number five five five one two three four, speak your "
             "message after the signal", 1.2),
        ),
        "nl": (
            ("hallo, dit is de voicemail van piet de vries, ik kan nu niet opnemen, spreek een "
             "bericht in na de piep", 0.6),
            ("u bent verbonden met de voicemail van nul zes een twee drie vier, de abonnee is "
             "niet bereikbaar, u kunt een bericht inspreken na de toon", 0.8),
            ("hoi met saskia", 0.8, "ik ben er even niet, laat een bericht achter dan bel ik je "
             "zo snel mogelijk terug", 0.9),
            ("de persoon die u belt is op dit moment niet beschikbaar", 0.4, "laat uw boodschap "
             "achter na de pieptoon", 0.7),
            ("goedendag, u bent verbonden met het antwoordapparaat van de familie jansen, wij "
             "zijn niet thuis", 1.0),
        ),
        "de": (
            ("hallo, hier ist die mailbox von peter schmidt, ich bin gerade nicht erreichbar, "
             "bitte hinterlassen sie eine nachricht nach dem signalton", 0.6),
            ("der teilnehmer ist momentan nicht erreichbar", 0.4, "bitte sprechen sie nach dem "
             "ton", 0.7),
            ("sie sind mit dem anrufbeantworter der familie weber verbunden", 0.9, "wir rufen sie "
             "so bald wie möglich zurück", 0.6),
            ("guten tag, leider rufen sie außerhalb unserer öffnungszeiten an, hinterlassen sie "
             "uns eine nachricht mit ihrem namen und ihrer nummer", 0.8),
        ),
    },
    Kind.MAILBOX_FULL: {
        "en": (
            ("the mailbox is full and cannot accept any messages at this time, goodbye",),
            ("hi you have reached anna, please leave a message", 0.5,
             "this voice mailbox is full"),
        ),
        "nl": (("de voicemail van dit nummer is vol, u kunt geen berichten meer achterlaten",),),
        "de": (("die mailbox ist voll, es können keine nachrichten mehr aufgenommen werden",),),
    },
    Kind.CALL_SCREENING: {
        "en": (
            ("hi, if you record your name and reason for calling, i will see if this person is "
             "available",),
            ("hello, the person you are calling is using a screening service, please state your "
             "name and why you are calling",),
            ("please say your name and the reason for your call after which i will connect you",),
        ),
        "nl": (("noem uw naam en de reden van uw oproep dan verbind ik u door",),),
        "de": (("bitte nennen sie ihren namen und den grund ihres anrufs",),),
    },
    Kind.IVR: {
        "en": (
            ("thank you for calling acme, for sales press one, for support press two, for all "
             "other questions stay on the line",),
            ("welcome to the city bank, please listen carefully as our menu options have "
             "changed",),
            ("all of our agents are busy, your call is important to us, please hold",),
        ),
        "nl": (
            ("welkom bij de gemeente, voor een paspoort kies een, voor verhuizen toets twee, "
             "blijf aan de lijn voor andere vragen",),
            ("al onze medewerkers zijn in gesprek, een moment geduld alstublieft",),
        ),
        "de": (
            ("willkommen bei den stadtwerken, für strom drücken sie die eins, für gas drücken sie "
             "die zwei",),
        ),
    },
    Kind.OUT_OF_SERVICE: {
        "en": (("the number you have dialed is not in service, please check the number",),),
        "nl": (("dit telefoonnummer is niet in gebruik",),),
        "de": (("kein anschluss unter dieser nummer",),),
    },
}  # fmt: skip
