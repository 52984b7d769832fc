"""German: people, houses and companies invented for these tests; what must be found is marked with ⟦ ⟧."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.address_de import GermanAddressRecognizer
from lexveil.nlp.recognizers.life_de import GermanLifeRecognizer
from lexveil.nlp.recognizers.organization_de import GermanOrganizationRecognizer
from lexveil.nlp.recognizers.person_de import GermanPersonRecognizer
from tests.nlp.recognizers.marked import find_in, normalize, unmark


@pytest.mark.parametrize(
    "text",
    [
        "Der Kläger, Herr Dr. ⟦Hans-Peter Müller⟧, klagt",
        "Frau ⟦von der Heide⟧",
        "Rechtsanwältin ⟦von Bülow⟧",
        "Rechtsanwälte ⟦Huber⟧ und ⟦Lang⟧",
        "die Zeugin ⟦Anna Klein⟧ sagte",
        "Zeuge ⟦Meyer-Lüdenscheidt⟧",
        "Richter am Amtsgericht ⟦Kunze⟧",
        "Vorsitzender Richter Dr. ⟦Voss⟧",
        "Prof. Dr. ⟦Otto Nagel⟧",
        "Notar ⟦Lang⟧ in Bonn",
        "Geschäftsführer ⟦Max Vogt⟧",
        "Staatsanwalt ⟦Berg⟧",
        "der Sachverständige Dipl.-Ing. ⟦Winter⟧",
        "Insolvenzverwalter ⟦Krähe⟧",
        "Eheleute ⟦Schmitz⟧",
        "gez. ⟦Winter⟧",
        "⟦Raum⟧      ⟦Sander⟧      ⟦Schneider⟧",
        "⟦Sabine Krüger⟧ kam",
        "⟦Hans-Jürgen Ahrens⟧ kam",
        "geb. ⟦Sommerfeld⟧",
        "Der Angeklagte ⟦R.⟧ hat",
        "Der Beklagte ⟦K.⟧ zahlte",
        "der Zeuge ⟦T⟧ ging",
        "der Kläger ⟦S...⟧ hat",
        "Der ⟦Gerd⟧ hat angerufen",
        "dass dem ⟦Uwe⟧ nicht geglaubt wurde",
        "die Kinder ⟦Anna⟧, ⟦Burkhard⟧ und ⟦Petra⟧, verehelichte ⟦Quorn⟧",
        "Insp. ⟦Quorn⟧ kam",
        "Hi ⟦Matze⟧,\nsagst du ⟦Steffi⟧, dass die Akte bei ⟦Basti⟧ liegt?",
        "Der Beschuldigte ⟦Zehnder⟧ schwieg.",
    ],
)
def test_people(text: str) -> None:
    assert find_in(GermanPersonRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "hat der Kläger Anspruch auf Zahlung",
        "der Angeklagte hat",
        "der Zeuge sagte",
        "die Parteien streiten",
        "Der Kläger Beklagter",
        "Frau und Kinder",
        "Herr des Verfahrens",
        "das Landgericht Bonn",
        "im Namen des Volkes",
        "Die Klage ist unbegründet",
        "nach § 823 BGB",
        "geb. am 3. Mai",
        "Rechtsanwalt Gebühren",
        "Der Zeuge Verfahrensordnung",
        "Dr. Vertrag",
        "Der Vertrag hat Bestand",
        "die Kinder und Enkel",
        "Raum",
        "Hat der Kläger Anspruch darauf? Die Beklagte Firma und der Verein streiten.",
    ],
)
def test_nouns_that_name_nobody(text: str) -> None:
    assert find_in(GermanPersonRecognizer(), text) == unmark(text)


@pytest.mark.parametrize(
    "text",
    [
        "in der ⟦Hauptstraße 12 a, 80331 München⟧",
        "⟦Am Alten Markt 3⟧",
        "⟦An der Mühle 8⟧",
        "⟦Unter den Linden 77⟧",
        "⟦Berliner Allee 5-7, 40212 Düsseldorf⟧",
        "⟦Lindenweg 4, 3. OG⟧",
        "wohnhaft ⟦Lindenweg 4 in 53111 Bonn⟧",
        "die ⟦Goethestraße⟧ entlang",
        "er wohnt in ⟦53111 Bonn⟧",
        "er kam aus ⟦D-10115 Berlin⟧",
        "⟦Postfach 12 34 56⟧",
        "in einer Einbahnstraße",
        "die Bundesstraße",
        "10000 Euro",
        "in 2000 Fällen",
        "15000 Mark",
        "am 12. Mai",
        "im Jahr 2000",
        "§ 12 Abs. 3",
        "Absatz 5",
        "auf dem Weg",
    ],
)
def test_addresses(text: str) -> None:
    assert find_in(GermanAddressRecognizer(), text, "ADDRESS") == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "wohnt in ⟦Bonn⟧",
        "wohnhaft in ⟦Bad Homburg⟧",
        "geboren in ⟦Bad Homburg⟧",
        "stammt aus ⟦Altdorf⟧",
        "Geburtsort: ⟦Altdorf⟧",
        "die Gemeinde ⟦Altdorf⟧.",
        "der Landkreis ⟦A.⟧ klagt",
        "in Bonn entschied das Gericht",
        "die Gemeinde haftet",
        "wohnt in der Nähe",
    ],
)
def test_towns(text: str) -> None:
    assert find_in(GermanAddressRecognizer(), text, "LOCATION") == normalize(text)


@pytest.mark.parametrize(
    "text",
    [
        "die ⟦Nordlicht Werke GmbH & Co. KG⟧ aus Kiel",
        "Die ⟦Muster AG⟧ klagt",
        "⟦Huber Bau UG (haftungsbeschränkt)⟧",
        "⟦TSV Altdorf e.V.⟧",
        "die ⟦Volksbank Altdorf eG⟧",
        "Firma ⟦Vogt⟧ lieferte",
        "⟦Müller-Gruppe⟧",
        "die ⟦Sparkasse Altdorf⟧",
        "das ⟦Klinikum Nordstadt⟧",
        "der ⟦Verein Waldfreunde⟧",
        "die GmbH",
        "die Gesellschaft",
        "die Klägerin",
        "das Amtsgericht Bonn",
        "das LG Bonn",
        "die Bank",
        "der Verein",
    ],
)
def test_organizations(text: str) -> None:
    assert find_in(GermanOrganizationRecognizer(), text) == normalize(text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("AGE", "Der ⟦47-jährige⟧ und seine Ehefrau"),
        ("AGE", "⟦34 Jahre alt⟧"),
        ("AGE", "⟦8 Monate alt⟧"),
        ("AGE", "im Alter von ⟦12 Jahren⟧"),
        ("AGE", "Alter: ⟦45⟧"),
        ("AGE", "wer unter 18 Jahre alt ist"),
        ("AGE", "mindestens 16 Jahre alt"),
        ("AGE", "nach 3 Jahren"),
        ("BIRTH_DATE", "geb. am ⟦12. März 1980⟧"),
        ("BIRTH_DATE", "geboren ⟦1980⟧"),
        ("BIRTH_DATE", "Jahrgang ⟦1975⟧"),
        ("BIRTH_DATE", "am ⟦3. 5. 1970⟧ geboren"),
        ("BIRTH_DATE", "am ⟦3. 5. 1970⟧ in Altdorf geboren"),
        ("BIRTH_DATE", "Geburtsdatum: ⟦01.02.1985⟧"),
        ("BIRTH_DATE", "Geburtstag ist"),
        ("BIRTH_DATE", "geb. Müller"),
        ("BIRTH_DATE", "vor 1980"),
        ("DATE", "am ⟦13. 7. 2017⟧"),
        ("DATE", "vom ⟦3. Mai 2010⟧"),
        ("DATE", "im ⟦Mai 2010⟧"),
        ("DATE", "im Jahr ⟦2005⟧"),
        ("DATE", "seit ⟦2001⟧"),
        ("DATE", "bis ⟦2001/2002⟧"),
        ("DATE", "Nr. 1.5.2"),
        ("DATE", "§ 13. 7"),
        ("DATE", "13 Stück"),
        ("FAMILY_MEMBER", "und seine ⟦Ehefrau⟧"),
        ("FAMILY_MEMBER", "ihr ⟦verstorbener Vater⟧"),
        ("FAMILY_MEMBER", "seinem ⟦minderjährigen Sohn⟧"),
        ("FAMILY_MEMBER", "meine ⟦Schwiegermutter⟧"),
        ("FAMILY_MEMBER", "ihre ⟦Kinder⟧"),
        ("FAMILY_MEMBER", "die ⟦Mutter⟧ der Klägerin"),
        ("FAMILY_MEMBER", "der ⟦Bruder⟧ des Angeklagten"),
        ("FAMILY_MEMBER", "Mann und Frau"),
        ("FAMILY_MEMBER", "Eltern haften"),
        ("FAMILY_MEMBER", "ein Kind"),
        ("FAMILY_MEMBER", "die Muttergesellschaft"),
        ("FAMILY_MEMBER", "das Vaterland"),
        ("FAMILY_MEMBER", "seine Tochtergesellschaft"),
    ],
)
def test_lives(kind: str, text: str) -> None:
    assert find_in(GermanLifeRecognizer(), text, kind) == normalize(text)
