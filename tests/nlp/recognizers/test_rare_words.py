"""People whose names no list has, found in the first pass by what they do."""

from __future__ import annotations

import pytest

from lexveil.nlp.recognizers.rare_words import RareNameRecognizer


def find(text: str) -> list[str]:
    return sorted(text[one.start : one.end] for one in RareNameRecognizer().find(text))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("In cross-examination McZubajos accepted that the note was his.", ["McZubajos"]),
        ("In cross-examination McLean accepted that the note was his.", ["McLean"]),
        ("İzubajos drove the car.", ["İzubajos"]),
        ("Đặng, John (witness list, page 4) did not appear.", ["Đặng, John"]),
        ("The deceased Zewad used to visit the shop of Drelin every evening.", ["Drelin", "Zewad"]),
        ("Defendant hired Sushibram Travul as a bookkeeper and paid her well.", ["Sushibram Travul"]),
        ("They met Drelin\nZubajos there. On the way Zubajos told them so.", ["Drelin\nZubajos", "Zubajos"]),
        ("Neither Beper Zisir nor the driver signed it.", ["Beper Zisir"]),
        ("2. Lane is represented by counsel.", ["Lane"]),
        ("Devihol Trojan testified that she saw the truck.", ["Devihol Trojan"]),
        ("Please find attached the file, as discussed with Zubajos.", ["Zubajos"]),
        ("The judge preferred the account of Adrian Bond to that of the police.", ["Adrian Bond"]),
        ("Charity told me that the penalty goes.", ["Charity"]),
        ("Please sign the copy. Best, Zubajos\n", ["Zubajos"]),
        ("Konefas Tredruli is the sole eye witness.", ["Konefas Tredruli"]),
    ],
)
def test_a_neighbor_that_shows_a_person_makes_a_rare_word_a_name(text: str, names: list[str]) -> None:
    assert find(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "The road links Nicosia and Famagusta.",
        "The MacBook was stolen, and Counsel told the court so.",
        "The Zubajos told us that the Zubajos is a car.",  # a term
        "We use a zubajos; Zubajos is what it is called.",
        "Rivers accepted water from the hills, as rivers do.",
        "Best, and final, offer.",
    ],
)
def test_terms_places_and_words_of_the_document_are_no_names(text: str) -> None:
    assert find(text) == []
