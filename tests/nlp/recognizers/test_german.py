"""German: people, houses and companies invented for these tests."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.address_de import GermanAddressRecognizer
from lexveil.nlp.recognizers.base import RuleRecognizer
from lexveil.nlp.recognizers.life_de import GermanLifeRecognizer
from lexveil.nlp.recognizers.organization_de import GermanOrganizationRecognizer
from lexveil.nlp.recognizers.person_de import GermanPersonRecognizer


@pytest.mark.parametrize(
    ("recognizer", "text", "found"),
    [
        (GermanPersonRecognizer, "Der Kläger, Herr Dr. Hans-Peter Müller, klagt", {"Hans-Peter Müller"}),
        (GermanPersonRecognizer, "hat der Kläger Anspruch auf Zahlung", set()),
        (GermanPersonRecognizer, "Rechtsanwältin von Bülow", {"von Bülow"}),
        (GermanPersonRecognizer, "Der Angeklagte R. hat", {"R."}),
        (GermanPersonRecognizer, "Raum      Sander      Schneider", {"Raum", "Sander", "Schneider"}),
        (GermanPersonRecognizer, "Frau und Kinder", set()),
        (GermanAddressRecognizer, "in der Hauptstraße 12 a, 80331 München", {"80331 München"}),
        (
            GermanOrganizationRecognizer,
            "die Nordlicht Werke GmbH & Co. KG aus Kiel",
            {"Nordlicht Werke GmbH & Co. KG"},
        ),
        (GermanLifeRecognizer, "Der 47-jährige und seine Ehefrau", {"47-jährige", "Ehefrau"}),
        (GermanLifeRecognizer, "geb. am 12. März 1980", {"12. März 1980"}),
        (GermanLifeRecognizer, "am 13. 7. 2017", {"13. 7. 2017"}),
        (GermanLifeRecognizer, "wer unter 18 Jahre alt ist", set()),
    ],
)
def test_table(recognizer: type[RuleRecognizer], text: str, found: set[str]) -> None:
    pieces = {text[f.start : f.end] for f in recognizer().find(text)}
    assert found <= pieces if found else not pieces
