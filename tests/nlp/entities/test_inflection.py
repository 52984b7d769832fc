"""Names in the cases of a language lead back to one nominative. All people are invented."""

from __future__ import annotations

import pytest

from lexveil.nlp.entities.inflection import list_nominatives, share_nominative


@pytest.mark.parametrize(
    ("language", "word", "nominative"),
    [
        ("pl", "zawadzkiego", "zawadzki"),
        ("pl", "zawadzką", "zawadzka"),
        ("pl", "marcie", "marta"),
        ("pl", "wronkowi", "wronek"),
        ("pl", "pawłem", "paweł"),
        ("cs", "dvořákovi", "dvořák"),
        ("cs", "svobodovou", "svobodová"),
        ("cs", "marka", "marek"),
        ("hr", "petrovićem", "petrović"),
        ("hr", "petra", "petar"),
        ("hr", "petrovićeva", "petrović"),
        ("sr", "петровића", "петровић"),
        ("ru", "синичкиной", "синичкина"),
        ("uk", "шевченком", "шевченко"),
        ("fi", "virtaselle", "virtanen"),
        ("fi", "lehdon", "lehto"),
        ("fi", "mäelle", "mäki"),
        ("fi", "markuksen", "markus"),
    ],
)
def test_an_ending_leads_back_to_the_nominative(language: str, word: str, nominative: str) -> None:
    assert nominative in list_nominatives(word, language)


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [
        ("pl", "kowalski", "kowalska"),
        ("pl", "nowak", "nowicki"),
        ("hr", "ivić", "ivanić"),
        ("fi", "virtanen", "virta"),
        ("en", "parker", "parkera"),
        ("", "parker", "parkera"),
    ],
)
def test_other_names_stay_apart(language: str, first: str, second: str) -> None:
    assert not share_nominative(first, second, language)
