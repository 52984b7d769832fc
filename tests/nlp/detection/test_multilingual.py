"""The multilingual detector: it finds people in its languages, keeps law, and serves no other language."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.text import Span

# Each with its people, and what must stay. None is a sentence of the training.
pytestmark = pytest.mark.slow  # it loads a model

TEXTS = {
    "fr": (
        "Le bailleur, Gontran Beaufils, a rendu le dépôt. Il cite l'article 1719 du Code civil.",
        ("Gontran Beaufils",),
        "l'article 1719 du Code civil",
    ),
    "es": (
        "La inquilina, Casilda Perales, devolvió la fianza. Cita el artículo 1554 del Código Civil.",
        ("Casilda Perales",),
        "artículo 1554 del Código Civil",
    ),
    "it": (
        "La locatrice, Ornella Baldassarri, ha restituito la cauzione. Cita l'art. 1587 c.c.",
        ("Ornella Baldassarri",),
        "art. 1587 c.c.",
    ),
    "nl": (
        "De huurster, Willemijn Oosterhof, kreeg de borg terug op grond van artikel 7:201 BW.",
        ("Willemijn Oosterhof",),
        "artikel 7:201 BW",
    ),
    "pl": (
        "Najemczyni Bogusława Trzcińska odzyskała kaucję na podstawie art. 659 k.c. po wyroku sądu.",
        ("Bogusława Trzcińska",),
        "art. 659 k.c.",
    ),
    "pt": (
        "A inquilina, Filomena Carrapiço, recebeu a caução de volta. Cita o artigo 1022.º do Código Civil.",
        ("Filomena Carrapiço",),
        "artigo 1022.º do Código Civil",
    ),
    "sr": (
        "Zakupac Ratibor Stojićević je vratio stan. Sud je to potvrdio u presudi koja je pravnosnažna.",
        ("Ratibor Stojićević",),
        "presudi",
    ),
    "cs": (
        "Nájemkyně Vlastimila Hrdličková dostala kauci zpět a soud to ve svém rozsudku potvrdil.",
        ("Vlastimila Hrdličková",),
        "rozsudku",
    ),
    "ro": (
        "Chiriașa Lăcrămioara Ungureanu a primit garanția înapoi, iar instanța a confirmat acest lucru.",
        ("Lăcrămioara Ungureanu",),
        "instanța",
    ),
    "sv": (
        "Hyresgästen Gunnel Bergqvist fick tillbaka depositionen och rätten bekräftade det i sin dom.",
        ("Gunnel Bergqvist",),
        "dom",
    ),
    "de": (
        "Die Mieterin Irmtraud Kesselring erhielt die Kaution zurück. Sie beruft sich auf § 551 BGB.",
        ("Irmtraud Kesselring",),
        "§ 551 BGB",
    ),
    "en": (
        "The tenant, Philippa Wetherby, got her deposit back under section 213 of the Housing Act 2004.",
        ("Philippa Wetherby",),
        "Housing Act 2004",
    ),
}


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load("multilingual")


@pytest.mark.parametrize("language", TEXTS)
def test_people_are_found_and_law_is_kept_in_a_served_language(detector: Detector, language: str) -> None:
    text, people, law = TEXTS[language]
    (found,) = detector.detect_many([text], language)
    assert found.served
    covered = {place for span in found.spans for place in range(span.start, span.end)}
    for person in people:
        start = text.index(person)
        assert covered.issuperset(range(start, start + len(person)))
    assert covered.isdisjoint(range(text.index(law), text.index(law) + len(law)))


@pytest.mark.parametrize(
    ("language", "text", "person"),
    [
        ("fi", "Eilen kantaja tapasi käräjäoikeudessa naapurinsa Pertti Lehtovaara.", "Pertti Lehtovaara"),
        ("hu", "A felperes szerint Kőszegi Tivadar nem fizetett a lakásért.", "Kőszegi Tivadar"),
        ("da", "I går mødte sagsøgeren sin nabo Gurli Thorhauge i byretten.", "Gurli Thorhauge"),
        ("sk", "Žalobca včera stretol pred súdom suseda Dezidera Kapustu.", "Dezidera Kapustu"),
        ("ru", "Вчера истец встретил соседку Евдокию Скворцову.", "Евдокию Скворцову"),
    ],
)
def test_another_language_is_still_for_a_human_but_masked_as_far_as_can_be(
    detector: Detector, language: str, text: str, person: str
) -> None:
    (found,) = detector.detect_many([text], language)
    assert not found.served
    covered = {place for span in found.spans for place in range(span.start, span.end)}
    assert covered.issuperset(range(text.index(person), text.index(person) + len(person)))


def test_serbian_is_found_in_cyrillic(detector: Detector) -> None:
    text = "Закупац Ратибор Стојићевић је вратио стан, а суд је то потврдио у својој пресуди."
    (found,) = detector.detect_many([text])
    assert found.served
    assert any(text[span.start : span.end] == "Ратибор Стојићевић" for span in found.spans)


class Silent:
    """A learned detector that finds nothing."""

    def __init__(self, languages: frozenset[str] | None, insists: bool) -> None:
        self.languages = languages
        self.insists = insists

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        return [[] for _ in texts]


POLISH = "Potem Wisłocka poszła do domu, a sąd wysłuchał, co mówi świadek Jan Podolak, i wydał swój wyrok."


@pytest.mark.parametrize(
    ("languages", "insists", "people"),
    [
        (frozenset({"pl"}), False, {"Jan Podolak"}),
        (frozenset({"pl"}), True, {"Jan Podolak", "Wisłocka"}),
        (frozenset({"en"}), False, {"Jan Podolak", "Wisłocka"}),
        (None, False, {"Jan Podolak", "Wisłocka"}),
    ],
    ids=["knows it", "masks too much rather", "knows another", "its user knows"],
)
def test_a_capital_is_no_proof_beside_a_detector_that_knows_the_language(
    languages: frozenset[str] | None, insists: bool, people: set[str]
) -> None:
    (found,) = Detector(Silent(languages, insists)).detect_many([POLISH], "pl")
    shown = {POLISH[span.start : span.end] for span in found.spans if span.type == "PERSON"}
    assert {name for name in ("Jan Podolak", "Wisłocka") if any(name in one for one in shown)} == people
