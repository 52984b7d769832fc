"""Decisions, statutes and reports of continental courts stay readable: what must stay is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.citations import citations
from lexveil.nlp.detection.detector import Detector
from tests.nlp.recognizers.marked import mark, normalize, unmark


@pytest.mark.parametrize(
    "text",
    [
        # a chain: only the first has a court before it
        "(⟦BFH-Urteil vom 3. Mai 2001 VIII R 4/00, BFHE 195, 1; vom 9. Juli 2007 VI R 10/06, BFHE 218, 3)⟧",
        "so ⟦BAG 8. Juni 1999 - 1 AZR 831/98 - BAGE 92, 11; 24. Januar 1996 - 1 AZR 542/95 - BAGE 82, 79⟧ zu",
        "⟦BGH, Urteile vom 1. März 2016 - XI ZR 1/15, WM 2016, 1⟧ und - ⟦XI ZR 449/16, WM 2017, 51 Rn. 19⟧",
        "(⟦GmSOGB vom 4. 6. 1974 - GmS-OGB 2/73 - BSGE 37, 292)⟧",
        "nach ⟦BSG vom 27. 2. 2008 - B 14/11 b AS 15/07 R - BSGE 100, 94⟧ ist",
        "im ⟦Verfassungsbeschwerdeverfahren 1 BvR 2821/11⟧ ist",
        "in dem ⟦Verfahren II R 21/15⟧ ist",
        "⟦Beschluss vom 13. Dezember 2017 - 1 WDS-VR 9.17 - Rn. 33⟧ und",
        "(⟦BVerfG 15. Juli 1980 - 1 BvR 24/74, 1 BvR 439/79⟧ - zu A)",
        "(⟦EuGH, Urteil vom 27. Oktober 1982, Rs. 35/82⟧)",
        "des ⟦Gerichtshofs der Europäischen Union (EuGH) vom 6. Dezember 2012 (- C- 152/11⟧ -)",
        "⟦EGMR, Quillon c. Turquie, Urteil vom 27. März 2007, Nr. 6615/03⟧, dort",
        # statutes and their dates
        "das Gesetz ⟦vom 23. Oktober 2000 (BGBl I 2000, 1433)⟧",
        "das Schreiben ⟦vom 17. Juni 2009, BStBl I 2009, 1286⟧",
        "der ⟦VO (EG) Nr 883/2004⟧ unterliegt",
        "die ⟦Richtlinie 2008 / 94 / EG des Europäischen Parlaments und des Rates vom 22. Oktober 2008⟧ gilt",
        "Kommentar, ⟦Stand September 2015⟧, dazu",
        "die ⟦ZDv A- 1420/34⟧ sagt",
        "(⟦BTDrucks 16/4841⟧)",
        # laws and acts of the Union by their whole names, courts that number by year alone
        "das ⟦Gesetz zur Modernisierung des Schuldrechts vom 26. November 2001⟧ eingefügt",
        "die ⟦Richtlinie des Rates vom 5. April 1993⟧ über",
        "⟦RICHTLINIE 2008 / 94 / EG DES EUROPÄISCHEN PARLAMENTS UND DES RATES vom 22. Oktober 2008⟧ über",
        "⟦Verordnung (EU) des Rates Nr. 1215/2012 vom 12. Dezember 2012⟧ gilt",
        "⟦Abkommen zwischen der Union und der Schweiz über die Freizügigkeit vom 21. Juni 1999 - Abk CH -⟧",
        "die ⟦Richtlinie 2008/94/EG, Abl. EU L 283/36 vom 28. Oktober 2008⟧ gilt",
        "vgl. ⟦BVerfG, 1 BvR 1234/05 vom 3.4.2007⟧ und",
        "vgl. ⟦BPatG 26 W (pat) 12/09 - BREEZE/BREZZO⟧; anders",
        "vgl. ⟦EGMR 12. Mai 2010 - 12345/06 - [Quillon]⟧ und",
        "vgl. ⟦VerfGH NRW, Urteil vom 12. Mai 2010 - VerfGH 12/09 -, NWVBl. 2010, 12⟧ und",
        "vgl. ⟦GmS-OGB, Beschluss vom 29. Oktober 1987 - 1/86⟧ - ⟦BGHZ 102, 280⟧ und",
        "⟦Urteil vom 12. Mai 2010, Quillon, C-12/09⟧ und",
        "⟦BT-Drucks. 16/1234 vom 3. Mai 2006, S. 12⟧ und",
        "⟦Verfügung der Oberfinanzdirektion Karlsruhe vom 7. Oktober 2015⟧ und",
        "Der Vertrag zwischen den Parteien vom 3. Mai 2010 ist nichtig",
        "Der Verstoß gegen das Gesetz zur Regelung der Miete durch Kurt Quillon im Brief vom 3. Mai 2010",
        # Spain, Poland, the Netherlands
        "en la ⟦STS 512/2017, de 5 de julio⟧, y",
        "la ⟦STC 24/1990⟧ dice",
        "w ⟦wyroku Sądu Najwyższego z dnia 5 maja 2010 r., II CSK 12/10⟧, że",
        "⟦ustawa z dnia 23 kwietnia 1964 r.⟧ stanowi",
        "volgens ⟦HR 12 maart 2010, ECLI:NL:HR:2010:BK1234⟧ is",
        "op grond van ⟦artikel 6:162 van het Burgerlijk Wetboek⟧ is",
        "op grond van ⟦artikel 237 Rv⟧ is",
    ],
)
def test_citations(text: str) -> None:
    plain = unmark(text)
    assert mark(plain, citations(plain)) == normalize(text)


# A rule that names of people could meet holds amid words of a language only.
AMID = {
    "fr": "{}, et cela est clair par les faits.",
    "es": "{}, y así se ha dicho por la sala según consta.",
    "it": "{}, e così è stato detto nella causa che segue.",
    "pt": "{}, e assim foi dito pelo juízo em uma decisão.",
    "nl": "{}, en dat is niet in het geding.",
    "pl": "{}, i tak jest przez sąd.",
    "sr": "{}, i to je tako da se ne sme.",
}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        # acts of the Union and numbers of its cases
        ("fr", "le ⟦règlement (UE) n° 1024/2013⟧ est"),
        ("es", "el ⟦Reglamento (UE) 2017/745⟧ rige"),
        ("it", "il ⟦Regolamento (CE) n. 593/2008 del Parlamento europeo e del Consiglio⟧ disciplina"),
        ("nl", "de ⟦Verordening (EU) 2018/1725⟧ is"),
        ("pl", "⟦rozporządzenie Parlamentu Europejskiego i Rady (UE) 2019/1150⟧ stosuje się"),
        ("fr", "(⟦arrêt du 9 mars 2017, aff. C-342/15⟧)"),
        # statutes by number
        ("es", "la ⟦Ley 12/2009, de 30 de octubre⟧, protege"),
        ("es", "el ⟦Real Decreto 557/2011, de 20 de abril⟧, y"),
        ("it", "il ⟦decreto legislativo 30 giugno 2003, n. 196⟧, e"),
        ("it", "il ⟦d.P.R. n. 602/1973⟧ e"),
        ("pt", "a ⟦Lei nº 9.099/1995⟧ rege"),
        ("pt", "A ⟦LEI Nº 10.406/2002⟧ REGE EM TODO O PAÍS"),
        ("pl", "⟦Dz. U. z 2016 r. poz. 380⟧ zawiera"),
        # provisions
        ("pt", "⟦art. 7º, inciso XXIX, da Constituição Federal⟧ e"),
        ("sr", 'a ⟦Zakon o radu⟧ ("⟦Službeni glasnik RS", br. 24/2005, 61/05 i 54/2009⟧) štiti sve'),
        ("sr", "prema ⟦članu 262. Zakona o obveznim⟧ odnosima je to"),
        # decisions
        ("fr", "(⟦Cass. 1re civ., 4 mai 2012, n° 11-13.116⟧)"),
        ("fr", "la ⟦décision n° 2011-131 QPC du 20 mai 2011⟧ dit"),
        ("it", "(⟦Cass. n. 18121/2016⟧)"),
        ("it", "(⟦Cass. pen., sez. V, 12 maggio 2015, n. 20101⟧)"),
        ("es", "la ⟦STS de 3 de junio de 2015 (rec. 2044/2013)⟧ dice"),
        ("pt", "o ⟦REsp 1.498.617/MT⟧ da Turma e o ⟦HC 118.533/MS⟧ dizem"),
        ("pt", "na ⟦Apelação n° 45-12.2013.7.08.0008/PA⟧ da"),
        ("pt", "a ⟦Súmula 331 do TST⟧ e a ⟦Súmula Vinculante nº 14⟧ dizem"),
        ("pl", "w ⟦wyroku z dnia 7 maja 2014 r., K 43/12⟧, że"),
    ],
)
def test_citations_amid_words_of_their_language(language: str, text: str) -> None:
    whole = AMID[language].format(text)
    plain = unmark(whole)
    assert mark(plain, citations(plain)) == normalize(whole)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mr Cass signed the lease, and the landlord refused.", "Cass"),
        ("The petitioner, Mr. M.P. Tharwani, filed the complaint.", "Tharwani"),
        ("The witness, Mr T.A.R. Quenby, delivered the parcel.", "Quenby"),
        ("Ms Ley 42 years old, signed with the others.", "Ley"),
        ("Dr De Wet Potgieter gave evidence for the plaintiff.", "Potgieter"),
        ("Die Zeugin De Wet Schuster hat das Fahrrad gesehen.", "Schuster"),
        ("Mrs Ley de la Cruz Martinez signed the deed.", "Martinez"),
        ("He lives at 4512 STATE RD 60, Lake Wales, FL 33853.", "4512"),
        ("Il ricorrente risiede in Piazza della Repubblica 5, e non ha risposto.", "Repubblica 5"),
        ("Reside en Avenida de la Unión Europea 12, Málaga, según el padrón.", "Unión Europea 12"),
        ("Mieszka przy ul. Konstytucji 3 Maja 5/7 i nie odbiera listów.", "Konstytucji"),
        ("Conforme a la Ley de Arrendamientos Urbanos, Barrenechea debe pagar.", "Barrenechea"),
        ("El Juzgado de Paz de Iturbe Zabaleta no ha resuelto la cuestión según consta.", "Iturbe Zabaleta"),
        ("De Rechtbank Hoekstra heeft het niet gedaan en wordt gehoord.", "Hoekstra"),
        ("La señora, con CC 79.123.456 de Bogotá, declaró que no sabe nada por su parte.", "79.123.456"),
    ],
)
def test_names_and_addresses_that_look_like_law_are_masked(text: str, name: str) -> None:
    masked = bytearray(len(text))
    for span in Detector.load("light").detect(text):
        masked[span.start : span.end] = b"\x01" * (span.end - span.start)
    start = text.index(name)
    assert all(masked[start : start + len(name)])


@pytest.mark.parametrize("word", ["RE em ", "AP-", "Het wet op a", "é", "Ley de la ", "SUD U "])
def test_repeated_words_cost_no_more_than_their_length(word: str) -> None:
    """Each of them took seconds or more in some form of the rules."""
    assert citations("la causa che è nella " + word * (20_000 // len(word))) is not None


@pytest.mark.parametrize(
    "text",
    [
        "Der Kläger wurde am 3. Mai 2001 geboren und wohnt seit dem 9. August 2007 in Bonn.",
        "Die Rechnung vom 12. Juni 2014 über 4.500 Euro wurde am 3. Juli 2014 gemahnt.",
        "Am 4. März 2019 traf er sie im Haus Nr. 12/3.",
        "El acta de 5 de julio de 2017 fue firmada por ambas partes.",
    ],
)
def test_dates_of_people_are_no_citations(text: str) -> None:
    assert citations(text) == []


def test_the_own_number_is_masked_where_it_looks_like_a_citation() -> None:
    text = (
        "Landgericht Göttingen\nAz. 4 O 117/19\n\nDas Urteil vom 3. April 2020 - 4 O 117/19 - folgt dem BGH "
        "(Urteil vom 3. April 2008 - I ZR 12/05, NJW 2008, 2110)."
    )
    spans = Detector.load("rules").detect(text)
    found = [text[span.start : span.end] for span in spans if span.type == "CASE_NUMBER"]
    assert found == ["4 O 117/19", "4 O 117/19"]


@pytest.mark.parametrize(
    ("head", "own"),
    [
        ("Roj: STS 1234/2019 - ECLI:ES:TS:2019:1234", ["STS 1234/2019", "ECLI:ES:TS:2019:1234"]),
        ("N. de Roj: SAP M 333/2018", ["SAP M 333/2018"]),
        ("Cass. civ., sez. III, n. 12345/2019", ["12345/2019"]),
    ],
)
def test_the_head_of_a_decision_is_no_citation(head: str, own: list[str]) -> None:
    text = f"{head}\n\nLa sala lo ha dicho en la STS 512/2017, de 5 de julio, y por eso no se discute."
    spans = Detector.load("rules").detect(text)
    assert [text[span.start : span.end] for span in spans if span.type == "CASE_NUMBER"] == own


@pytest.mark.parametrize(
    "text",
    [
        "a ⟦Mareva injunction⟧ was refused",
        "the ⟦Daubert hearing⟧ took a day",
        "the decision was ⟦Wednesbury unreasonable⟧",
        "no ⟦Miranda warning⟧ was given",
        "two ⟦Calderbank offers⟧ were made",
        "an ⟦Anton Piller order⟧ was made",
        "in ⟦Century Schoolbook⟧, 14 point",
        "Mr Daubert spoke at the hearing",
        "Ms Miranda left without a warning",
    ],
)
def test_eponyms(text: str) -> None:
    plain = unmark(text)
    assert mark(plain, citations(plain)) == normalize(text)


CITED = "We follow Perrault v. Lindqvist, 512 F.3d 870, 876 (9th Cir. 2008). "


@pytest.mark.parametrize(
    ("text", "stays"),
    [
        ("Under Perrault, 512 F.3d at 877, intent is presumed.", "Perrault"),
        ("Lindqvist, supra, at 878.", "Lindqvist"),
        ("Nothing in Perrault helps.", "Perrault"),
        ("The Perrault rule applies.", "Perrault"),
    ],
)
def test_a_case_that_was_cited_may_be_named_shortly(text: str, stays: str) -> None:
    whole = CITED + text
    start = whole.index(stays, len(CITED))
    assert any(first <= start and start + len(stays) <= last for first, last in citations(whole))
    assert not any(first <= start - len(CITED) < last for first, last in citations(text))


def test_somebody_of_the_same_name_is_no_citation() -> None:
    text = CITED + "Perrault, a carpenter, met Ms Lindqvist."
    assert [text[start:end] for start, end in citations(text)] == [CITED.split("follow ")[1].rstrip(" .")]


@pytest.mark.parametrize(
    "text",
    [
        "signed by Cassandra K. Garza today",
        "of 337 Lopez Curve, Mitchellmouth, IN 50324 and Ward",
        "The HC, at 5 Quill Lane, Rochford, MS 34979",
    ],
)
def test_a_name_or_a_postal_code_is_no_beginning_of_a_citation(text: str) -> None:
    assert list(citations(text)) == []
