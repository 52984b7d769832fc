# ruff: noqa: E501, SIM905  -- patterns and lists of words read best on one line
"""German names of people, by a title, a role, a first name, or the signatures of the judges.

German writes every noun with a capital, so a capital alone proves nothing. A role that a noun may follow
("hat der Kläger Anspruch auf ...") counts only before initials or a first name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.entities.given_names import is_given_name
from lexveil.nlp.letters import LOWER, UPPER
from lexveil.nlp.recognizers.base import GERMAN, GUESSED, LABELED, SHAPED, Finding, RuleRecognizer

_PARTICLE = r"(?:(?:von|vom|van|zu|zur|zum|de|der|den|dem|del|di|da|du|la|le|ten|ter|el|al|Freiherr von|Freifrau von|Graf von|Gräfin von) ?){1,3}"
_SURNAME = rf"(?:{_PARTICLE})?[{UPPER}][{LOWER}'’]{{1,}}(?:-(?:[{UPPER}][{LOWER}]+)){{0,2}}"
_INITIAL = rf"(?:[{UPPER}](?:\.-?[{UPPER}])?(?:\.\.\.|…|\.)|[{UPPER}](?![\w'’-]))"
_ONE = rf"(?:{_SURNAME}|[{UPPER}][{LOWER}]{{0,3}}(?:\.{{1,3}}|…)|{_INITIAL})"
_NAME = rf"{_ONE}(?:[ -]{_ONE}){{0,3}}"
_TITLE = r"(?:(?:Prof(?:\.|essorin|essor)|Univ\.-Prof\.|Dr\.(?:-Ing\.)?|Dres\.|Dipl\.-[A-Za-z]+\.?|Mag\.|PD|Priv\.-Doz\.|med\.|jur\.|iur\.|phil\.|rer\.|nat\.|pol\.|h\. ?c\.|habil\.|vet\.|Ing\.|LL\.M\.)[ ]?)+"
_COURT = r"(?: (?:am|an dem|beim|an der) (?:[A-ZÄÖÜ][\wäöüß.-]+)(?: [A-ZÄÖÜ][\wäöüß-]+(?= (?:Dr\.|Prof\.|[A-ZÄÖÜ])))?)?"
_STRONG = (
    rf"(?:Herrn?|Hrn?\.|Herren|Mdt(?:in)?\.|Sachbearbeiter(?:in)?|Nachbar(?:in|n)?|Hausmeister(?:in)?|Pfleger(?:in)?|Haushälter(?:in)?|Lebensgefährt(?:e|in|en)|Verlobte[rn]?|(?:Chef|Ober|Stations)(?:arzt|ärztin)|Frau|Fr\.|Frl\.|Fräulein|Oma|Opa|Tante|Onkel|Eheleuten?|Familie|(?:Herrn? |Frau )?(?:Rechtsanw(?:alts|alt|ältin|älte|älten)|Patentanw(?:alt|ältin|älte)|Steuerberater(?:in)?|RA(?:in)?|Notar(?:in|s)?|Justizrat|"
    rf"(?:Ober|General|Bundes)?(?:[Ss]taats|bundes)anw(?:alt|ältin)|Amtsanw(?:alt|ältin)|Zeug(?:en|e|in|innen)|Sachverständigen?|Sachverständiger|Gutachter(?:in)?|Nebenkläger(?:s|in)?|Geschädigte[nr]?|Mitangeklagte[nr]?|"
    rf"(?:[Vv]orsitzende[rn]?|[Bb]eisitzende[rn]?|[Ee]hrenamtliche[rn]?)? ?(?:Richter(?:in|innen|n|s)?|Handelsrichter(?:in)?){_COURT}|(?:Vize)?[Pp]räsident(?:in|en)?(?: (?:des|am) [A-ZÄÖÜ]\w+s?)?|"
    rf"Urkundsbeamt(?:er|in|en)|Justiz(?:angestellte[r]?|sekretär(?:in)?|hauptsekretär(?:in)?|obersekretär(?:in)?|beschäftigte[r]?)|Rechtspfleger(?:in)?|Gerichtsvollzieher(?:in)?|Berichterstatter(?:in)?|Schöff(?:e|in|en)|"
    rf"P[HO]K(?:in)?|(?:Rev|Bez|Gr|Kontr|Abt|Chef)?\.?-?Insp\.|E?KHK(?:in)?|P[KM](?:in)?|KHK(?:in)?|KOK(?:in)?|PHM(?:in)?|POM(?:in)?|Polizei(?:ober|haupt)?(?:kommissar|meister)(?:in)?|Kriminal(?:ober|haupt)?kommissar(?:in)?|Geschäftsführer(?:s|in)?|Vorstand(?:s|smitglied)?|Prokurist(?:in|en)?|"
    rf"Verteidiger(?:s|in)?|Pflichtverteidiger(?:in)?|Prozessbevollmächtigte[rn]?|Betreuer(?:in)?|Insolvenzverwalter(?:s|in)?|Hausarzt|Arzt|Ärztin|Beurteiler|gez\.|i\. ?[AV]\.))"
)
_PARTY = (
    r"(?:Kläger(?:s|in|innen|n)?|Widerkläger(?:in)?|Beklagte[nrs]?|Angeklagte[nrs]?|Angeschuldigte[nrs]?|Beschuldigte[nrs]?|Verurteilte[nrs]?|Betroffene[nrs]?|Beschwerdeführer(?:s|in)?|Antragsteller(?:s|in)?|"
    r"Antragsgegner(?:s|in)?|Schuldner(?:s|in)?|Gläubiger(?:s|in)?|Erblasser(?:s|in)?|Mieter(?:s|in)?|Vermieter(?:s|in)?|Käufer(?:s|in)?|Verkäufer(?:s|in)?|Darlehensnehmer(?:s|in)?|Arbeitnehmer(?:s|in)?|Patient(?:in|en)?|"
    r"Zedent(?:in|en)?|Kind(?:es|er|ern)?|Sohn(?:es)?|Tochter|Ehefrau|Ehemann(?:es)?|Bruder|Schwester|Vater|Mutter|Streithelfer(?:in)?|Beigeladene[nrs]?|Beteiligte[nr]?(?: zu \d\))?|Kandidat(?:in|en)?|Fall)"
)
_NEXT = rf"(?:,? (?:und|sowie|bzw\.|oder) (?:(?:die|den|der|des|dem) )?|, (?:(?:die|den|der) )?)(?:(?:{_STRONG}) )?(?:{_TITLE})?"
_AFTER_ROLE = GERMAN.compile(
    rf"\b{_STRONG}[ \n](?:(?:Rechtsanw(?:alt|ältin)|Richter(?:in)?|Notar(?:in)?|Kolleg(?:e|in|en)|Vorsitzende[rn]?)[ ])?\(?(?:{_TITLE})?({_NAME})"
)
_NEXT_NAME = re.compile(rf"{_NEXT}({_NAME})")
_TITLED = GERMAN.compile(rf"(?<![\w.]){_TITLE}({_NAME})")
_AFTER_PARTY = GERMAN.compile(
    rf"\b{_PARTY} (?:\(?(?:{_TITLE})?)({_INITIAL}(?: {_ONE})?|[{UPPER}][{LOWER}]{{0,2}}(?:\.\.\.|…|\.))(?=[\s,;:)]|$)"
)
_GREETED = GERMAN.compile(
    rf"(?m)(?:^|(?<=[.!?,] ))(?:Hi|Hallo|Hey|Moin|Servus|Liebe[rs]?|Grüezi|Guten (?:Tag|Morgen|Abend)|Sehr geehrte[rs]?),? (?:{_TITLE})?({_SURNAME}(?: {_SURNAME})?)(?=(?: und \w+)?[,!.\n])"
)
# Between a party at the beginning of a sentence and the verb, only a name can stand: "Der Beschuldigte Roe schwieg."
_APPOSED = GERMAN.compile(
    rf"(?:(?<![^\n])|(?<=[.!?:;][ \n]))(?:Der|Die) {_PARTY} ({_SURNAME}(?: {_SURNAME})?) (?=(?!und\b|oder\b|sowie\b|bzw\b|de[rnsm]\b|die\b|das\b|von\b|vom\b|zu[rm]?\b|aus\b|in\b|im\b|am\b|an\b|auf\b|bei\b|mit\b|nach\b|für\b|gegen\b|als\b)[{LOWER}]{{2,}}\b)"
)
# "Seraina (geb. 2004)", "Mats (5)"
_BORN = GERMAN.compile(
    rf"(?<![\w-])({_SURNAME}(?: {_SURNAME})?)(?:,? \(|, )(?:geb(?:oren)?\.?(?= ?\d)|geb\. am|\*|Jg\.|Jahrgang|\d{{1,2}}(?: J(?:ahre|\.)?)?\))"
)
# Before a count there, no name: "Anlage (3)".
_LISTED = re.compile(r"\d{1,2}(?: J(?:ahre|\.)?)?\)\Z")
_MAIDEN = GERMAN.compile(
    rf"\b(?:geb\.|geborene[rn]?|verwitwete[rn]?|verw\.|verehelichte[rn]?|verehel\.|verheiratete[rn]?|gesch(?:iedene[rn]?|\.)) (?!am\b|in\b)({_SURNAME})(?! [a-zäöü]{{4,}}e[nr]?\b)"
)
# Signatures: names side by side with gaps, or one per line.
# As people speak of each other: "der Gerd hat angerufen", "mit der Jacqueline zusammen".
_SPOKEN = GERMAN.compile(rf"\b[Dd](?:er|ie|en|em) ([{UPPER}][{LOWER}]{{2,}})(?![\w-]| [{UPPER}])")
_ALONE = re.compile(rf"(?<![\w-])[{UPPER}][{LOWER}]{{2,}}(?![\w-])")
_MAIL = 2000
_CHILDREN = GERMAN.compile(
    rf"\b(?:Kinder[n]?|Söhnen?|Töchtern?|Geschwistern?|Enkeln?|Enkelkindern?|Sohn|Tochter|Bruder|Schwester|Enkelin|Neffen?|Nichten?|(?:Kind[es]s)?[Vv]ater|(?:Kind[es]s)?[Mm]utter|Onkel|Tante|Oma|Opa|Cousine?|Vetter|Ehemann|Ehefrau|Lebensgefährt(?:e|in|en)|Freundin|Schwager|Schwägerin|Nachbarn?|Nachbarin|Hausmeister(?:in)?|treten) ((?:[{UPPER}][{LOWER}-]+)(?:(?:, | und | sowie )[{UPPER}][{LOWER}-]+){{0,6}})"
)
_ROW = GERMAN.compile(
    rf"(?m)^[ \t]*((?:{_TITLE})?{_SURNAME}(?:(?:\t|[ ]{{2,}})(?:{_TITLE})?{_SURNAME}){{1,5}})[ \t]*$"
)
_LINES = GERMAN.compile(
    rf"(?m)(?:^[ \t]*(?:{_TITLE})?{_SURNAME}(?: [{UPPER}][{LOWER}]+)?[ \t]*\n[ \t]*\n?){{2,}}[ \t]*(?:{_TITLE})?{_SURNAME}[ \t]*$"
)
_WORDS = re.compile(rf"(?:{_TITLE})?({_SURNAME}(?: {_SURNAME})?)")
_FIRST_NAMES = frozenset(
    """
    Achim Adam Adelheid Adrian Agnes Ahmed Aische Albert Albrecht Alex Alexander Alexandra Alfons Alfred Ali Alice Alina Alois Amelie Anastasia Andrea Andreas Angela Angelika Anita Anja Anke Ann Anna Anne Annegret Annelie Anneliese
    Annette Anton Antonia Armin Arne Arno Arthur Astrid Axel Ayse Barbara Bastian Beate Ben Benedikt Benjamin Bernd Bernhard Bert Bertha Bettina Bianca Birgit Björn Bodo Boris Brigitte Bruno Burkhard Carina Carl Carla Carmen Carola
    Caroline Carsten Cem Charlotte Christa Christel Christian Christiane Christina Christine Christoph Christopher Clara Claudia Claus Clemens Conrad Constanze Cornelia Dagmar Daniel Daniela David Dennis Detlef Diana Dieter Dietmar
    Dietrich Dirk Dominik Dora Doreen Doris Dorothea Eberhard Eckhard Edeltraud Edgar Edith Edmund Eduard Egon Elena Elfriede Elias Elisabeth Elke Ella Elli Ellen Else Elvira Emil Emilia Emma Emre Erhard Eric Erich Erik Erika Erna Ernst
    Erwin Esther Eugen Eva Evelyn Fabian Fatma Felix Ferdinand Finn Florian Frank Franz Franziska Frauke Frieda Friedhelm Friedrich Fritz Gabriele Georg Gerd Gerda Gerhard Gerlinde Gero Gert Gertrud Gisela Gottfried Grete Gudrun Günter
    Günther Gustav Hakan Hanna Hannah Hannelore Hannes Hans Harald Harry Hartmut Hasan Hedwig Heidi Heike Heiko Heiner Heinrich Heinz Helena Helene Helga Helmut Henning Henrik Herbert Hermann Hildegard Hilde Holger Horst Hubert Hugo
    Ibrahim Ilona Ilse Ina Ines Inga Inge Ingeborg Ingo Ingrid Irene Iris Irmgard Isabel Isabell Ivan Jakob Jan Jana Janina Jasmin Jens Jessica Joachim Jochen Johann Johanna Johannes Jonas Jonathan Jörg Jörn Josef Joseph Josefine Judith
    Julia Julian Juliane Julius Jürgen Jutta Kai Karin Karl Karla Karolina Karsten Kathrin Katharina Katja Katrin Kerstin Kevin Kirsten Klara Klaus Konrad Konstantin Kristin Kristina Kurt Lara Lars Laura Lea Lena Leo Leon Leonhard Leonie
    Lieselotte Lina Linda Lisa Lothar Louis Louise Luca Lucas Ludwig Luis Luisa Luise Lukas Lutz Lydia Magdalena Maik Maja Manfred Manuel Manuela Marc Marcel Marco Marcus Margarete Margot Margret Maria Marianne Marie Marina Mario Marion
    Markus Marlene Marlies Marta Martha Martin Martina Mathias Mathilde Matthias Max Maximilian Mehmet Melanie Merle Mia Michael Michaela Michelle Mirko Miriam Mohamed Mohammed Monika Moritz Murat Mustafa Nadine Nadja Natalie Natascha
    Nele Nicole Niels Nikolaus Nils Nina Nora Norbert Olaf Ole Oliver Oskar Ottmar Otto Pascal Patricia Patrick Paul Paula Pauline Peer Petra Philipp Pia Rainer Ralf Ralph Ramona Raphael Rebecca Regina Regine Reiner Reinhard Reinhold
    Renate René Richard Rita Robert Robin Roland Rolf Roman Ronald Ronny Rosa Rosemarie Rüdiger Rudi Rudolf Ruth Sabine Sabrina Samuel Sandra Sara Sarah Sascha Sebastian Selma Siegfried Siegmund Sigrid Silke Silvia Simon Simone Sofia
    Sonja Sophia Sophie Stefan Stefanie Steffen Stephan Stephanie Susanne Svea Sven Swen Sylvia Tamara Tanja Tatjana Theo Theodor Theresa Therese Thomas Thorsten Tilman Tim Timo Tina Tobias Tom Torben Torsten Udo Ulf Ulrich Ulrike Ursula
    Ute Uwe Valentin Valentina Vanessa Vera Verena Veronika Viktor Viktoria Vincent Volker Walter Waltraud Werner Wilfried Wilhelm Wilhelmine Willi Willy Wolf Wolfgang Yasmin Yvonne Yusuf Zoe
    """.split()
)
_FIRST = GERMAN.compile(
    rf"(?<![\w-])([{UPPER}][{LOWER}]+)(-[{UPPER}][{LOWER}]+)?((?: [{UPPER}][{LOWER}]+| [{UPPER}]\.){{0,2}}(?: |(?<! )\n){_SURNAME})"
)
# Endings of nouns of drafting that occur where a name could.
_NOUN = re.compile(
    r"(?:ung|ungen|heit|keit|keiten|schaft|schaften|tion|tionen|tät|täten|recht|rechts|rechte|gericht|gerichts|anspruch|ansprüche|verfahren|urteil|urteils|beschluss|vertrag|vertrags|gesetz|gesetzes|klage|antrag|antrags|kosten|pflicht|"
    r"kammer|senat|senats|abteilung|gebühr|gebühren|summe|betrag|wert|zeit|frist|termin|amt|amts|weise|fall|falle|falls|wesen|nis|nisse|ismus|ling|innen|straße|platz|ersatz|geld|zinsen|bescheid|leistung|auskunft|herausgabe|rückgabe|räumung)$",
    re.IGNORECASE,
)
_NOT_NAMES = frozenset(
    """
    Abs Absatz Akte Akten Aktenzeichen Alt Amtsgericht Amtsgerichts Anlage Anlagen Ansicht Anspruch Antrag Anwalt Arbeit Arbeitsgericht Art Artikel Aufgabe Auge Az Bank Beamte Beamten Beklagte Beklagten Bescheid Berufung Beruf Betrieb Beweis
    Bezug Brief Bund Bundesgerichtshof Bundesgerichtshofs Bundesarbeitsgericht Bundesverfassungsgericht Bundespatentgericht Bundessozialgericht Bundesverwaltungsgericht Bundesfinanzhof Bürger Dauer Deutschland Dienst Dienste Dienstes Druck
    Ehe Ende Entgelt Erben Erfolg Ergebnis Euro Fall Fälle Familie Finanzamt Folge Folgen Form Frage Fragen Frau Geld Geltung Gemeinde Gericht Gerichts Gerichtshof Geschäft Gesetz Gesellschafter Gründe Grund Hand Handel Haus Herr Herrn Hilfe Hinweis
    Höhe Jahr Jahre Jahren Justiz Kammer Kauf Kind Kinder Kindern Klage Kläger Klägerin Kopie Kosten Kraft Kreis Land Landes Landgericht Landgerichts Leben Leistung Leistungen Leitung Lohn Mann Mark Markt Maß Mensch Menschen Miete Mieter Minister Mitglied
    Mitglieder Monat Monate Monaten Mutter Nachteil Name Namen Nebenkläger Nr Oberlandesgericht Oberlandesgerichts Ort Partei Parteien Person Personen Post Prozess Punkt Punkte Rahmen Recht Rechts Rechtsanwalt Rechte Rede Regel Reihe Richter Rn Rz Ruhe Sache Sachen
    Satz Schaden Schreiben Schuld Schutz Seite Seiten Senat Sinn Sinne Staat Staatsanwaltschaft Stadt Stelle Stellen Strafe Strafkammer Streit Stunden Tag Tage Tagen Tat Tatbestand Tatsachen Teil Teile Tenor Tochter Treu Umstand Umstände Unterhalt Unterlagen
    Damen Herren Kollegen Kolleginnen Mandanten Kunden Leute Zusammen Team Gemeinde Bürgerinnen Freunde Bitte Unternehmen Urlaub Urteil Urteils Vater Verein Verfahren Verhalten Vermieter Vermögen Verstand Verteidiger Vertrag Vorteil Vorsitz Wahl Wege Weise Werk Wert Wille Willen Wissen Woche Wochen Wohnung Zahl Zeit Zeugen Ziel Zimmer Zivilkammer Zug Zugang Zweck Zweifel
    Der Die Das Dem Den Des Ein Eine Einer Eines Im In Am An Auf Aus Bei Beim Bis Da Dabei Daher Dann Dass Diese Dieser Dieses Durch Er Es Für Gegen Hat Hier Ihm Ihr Ist Mit Nach Nicht Nur Ob Ohne Sie Sind So Soweit Über Um Und Unter Vom Von Vor Während War Was Wegen Weil
    Wenn Wer Wie Wird Wurde Zu Zum Zur Zwar Januar Februar März April Mai Juni Juli August September Oktober November Dezember Sozialgericht Landessozialgericht Verwaltungsgericht Oberverwaltungsgericht Finanzgericht Landesarbeitsgericht Vorinstanz Revision Rechtsmittel
    BGH BVerfG BAG BSG BFH BVerwG EuGH BGB ZPO StPO StGB GG Recklinghausen Vorsitzende Vorsitzender Beisitzer Schöffen Schöffe Zeuge Zeugin Sachverständige Sachverständiger Sachverständigen Rechtsanwältin Richterin Notar Notarin Staatsanwalt Staatsanwältin Vorname Nachname
    Rubrum Entscheidungsgründe Einzelrichter Einzelrichterin Berichterstatter Kollege Kollegin Kollegen Doktor Professor Auswärtigen Europäischen Deutschen Deutsche Deutscher Bundesrepublik
    """.split()
)
_WORD = re.compile(rf"[{UPPER}][{LOWER}'’-]*")


# The parties of a matter: "Roe ./. Poe wegen Kaufpreis".
_VERSUS = GERMAN.compile(
    rf"(?:({_SURNAME}(?:,? {_SURNAME})?) )?\./\. ({_SURNAME}(?: {_SURNAME})?)(?= {{1,3}}(?:wegen|wg\.|u\. ?a\.|-|–)| {{2}}|[ \t]*[\n,;.)|]|[ \t]*\Z)"
)


class GermanPersonRecognizer(RuleRecognizer):
    """Names of people in German texts."""

    TYPES = ("PERSON",)

    def find(self, text: str) -> Iterator[Finding]:
        """Yield the names of people in `text`."""
        for pattern in (_AFTER_ROLE, _TITLED):
            for match in pattern.finditer(text):
                yield from _find_list(text, match.start(1), match.end(1))
        for pattern in (_AFTER_PARTY, _APPOSED, _MAIDEN, _GREETED):
            for match in pattern.finditer(text):
                if _is_plausible(match.group(1)):
                    yield Finding(match.start(1), match.end(1), "PERSON", SHAPED)
        yield from _find_born(text)
        yield from _find_first_names(text)
        for match in _FIRST.finditer(text):
            if match.group(1) in _FIRST_NAMES and text[match.end() : match.end() + 1] != ":":
                end = _name_end(text, match.start(3) + 1, match.end(3))
                if end:
                    yield Finding(match.start(), end, "PERSON", SHAPED)
        yield from _find_opponents(text)
        yield from _find_signatures(text)


def _find_opponents(text: str) -> Iterator[Finding]:
    for match in _VERSUS.finditer(text):
        for group in (1, 2):
            name = match.group(group)
            # What begins a column of a list of hearings is a party; elsewhere it may be a matter.
            party = group == 2 or text[max(0, match.start() - 2) : match.start()] == "  "
            if name and _is_plausible(name) and (party or _is_first_name(name)):
                yield Finding(*match.span(group), "PERSON", SHAPED)


def _find_born(text: str) -> Iterator[Finding]:
    for match in _BORN.finditer(text):
        counted = _LISTED.search(match.group()) is not None
        if _is_plausible(match.group(1)) and (not counted or _is_first_name(match.group(1))):
            yield Finding(*match.span(1), "PERSON", SHAPED)


def _find_first_names(text: str) -> Iterator[Finding]:
    """Yield first names that stand alone: "der Gerd hat", "die Kinder Ada und Bo"."""
    for match in _SPOKEN.finditer(text):
        if _is_first_name(match.group(1)) and _is_plausible(match.group(1)):
            yield Finding(*match.span(1), "PERSON", GUESSED)
    # Who is greeted in a mail is spoken with of others by their first names.
    done = 0
    for greeting in _GREETED.finditer(text):
        for word in _ALONE.finditer(text, max(done, greeting.end()), greeting.end() + _MAIL):
            if is_given_name(word.group().casefold()) and _is_plausible(word.group()):
                yield Finding(*word.span(), "PERSON", GUESSED)
            done = word.end()
    for match in _CHILDREN.finditer(text):
        for name in _WORD.finditer(text, *match.span(1)):
            if _is_first_name(name.group()):
                yield Finding(*name.span(), "PERSON", SHAPED)


def _is_first_name(name: str) -> bool:
    first = name.split()[0]
    return first in _FIRST_NAMES or is_given_name(first.casefold())


def _find_signatures(text: str) -> Iterator[Finding]:
    for pattern in (_ROW, _LINES):
        for match in pattern.finditer(text):
            names = list(_WORDS.finditer(text, match.start(), match.end()))
            if all(_is_plausible(name.group(1)) for name in names):
                for name in names:
                    yield Finding(name.start(1), name.end(1), "PERSON", SHAPED)


def _find_list(text: str, start: int, end: int) -> Iterator[Finding]:
    """Yield the part of [start, end) that is a name, and the further names of a list."""
    while True:
        kept = _name_end(text, start, end)
        if kept is None:
            return
        yield Finding(start, kept, "PERSON", LABELED)
        following = _NEXT_NAME.match(text, kept)
        if following is None:
            return
        start, end = following.span(1)


def _name_end(text: str, start: int, end: int) -> int | None:
    """Return where the name ends before the first noun of drafting; None if it begins with one."""
    kept: int | None = None
    for word in re.finditer(r"\S+", text[start:end]):
        bare = word.group().strip(".…,")
        if bare and bare[0].isupper() and not _is_plausible(bare):
            break
        if word.group()[0].isupper():
            kept = start + word.end()
    return kept


def _is_plausible(name: str) -> bool:
    """Return True if no word of `name` is a noun of drafting."""
    words = _WORD.findall(name)
    return bool(words) and not any(
        word in _NOT_NAMES or (len(word) > 5 and _NOUN.search(word)) for word in words
    )
