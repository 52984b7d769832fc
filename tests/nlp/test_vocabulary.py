"""The lists of words agree with each other and with the patterns that are made of them."""

from __future__ import annotations

import re

import pytest

from lexveil.nlp import vocabulary
from lexveil.nlp.detection.propagation import propagate
from lexveil.nlp.letters import HAN
from lexveil.nlp.recognizers.organization import EnglishOrganizationRecognizer
from lexveil.nlp.recognizers.person import EnglishPersonRecognizer
from lexveil.nlp.text import Span

FOLDED = ("LEGAL_WORDS", "AMBIGUOUS_NAMES", "JURISDICTIONS", "PUBLIC_BODY", "LEGAL_FORMS", "FOLDED_TITLES")


@pytest.mark.parametrize("name", FOLDED)
def test_lists_that_are_compared_folded_are_folded(name: str) -> None:
    words = getattr(vocabulary, name)
    assert words == {word.casefold().strip() for word in words}
    assert "" not in words


def test_no_title_is_of_both_genders() -> None:
    assert not vocabulary.FEMALE_TITLES & vocabulary.MALE_TITLES
    assert vocabulary.FEMALE_TITLES | vocabulary.MALE_TITLES < vocabulary.FOLDED_TITLES


def test_surnames_are_single_characters_and_compound_ones_two() -> None:
    assert all(re.fullmatch(f"[{HAN}]", surname) for surname in vocabulary.SURNAMES_ZH)
    assert all(re.fullmatch(f"[{HAN}]{{2}}", surname) for surname in vocabulary.COMPOUND_SURNAMES_ZH)


@pytest.mark.parametrize("title", [*vocabulary.COURTESY_TITLES, *vocabulary.OFFICE_TITLES])
def test_a_name_after_each_title_is_found(title: str) -> None:
    text = f"then {title} Quillfeather left"
    assert "Quillfeather" in {text[f.start : f.end] for f in EnglishPersonRecognizer().find(text)}


@pytest.mark.parametrize("generation", vocabulary.GENERATIONS)
def test_a_generation_belongs_to_the_name(generation: str) -> None:
    text = f"Mr Osgood Pell {generation} left"
    assert f"Osgood Pell {generation}" in {
        text[f.start : f.end] for f in EnglishPersonRecognizer().find(text)
    }
    start = text.index("Osgood")
    name = Span(start, start + len(f"Osgood Pell {generation}"), "PERSON", 0.9, "T")
    later = f"{text} Later Pell paid."
    assert "Pell" in {later[span.start : span.end] for span in propagate(later, [name])}


@pytest.mark.parametrize("form", ["Inc", "LLC", "Ltd", "GmbH", "AG", "S.A", "L.L.C", "N.V"])
def test_a_company_is_known_with_and_without_its_legal_form(form: str) -> None:
    text = f"so Quillfeather Logistics {form} paid. Quillfeather Logistics owes."
    name = f"Quillfeather Logistics {form}"
    assert name in {text[f.start : f.end].rstrip(".") for f in EnglishOrganizationRecognizer().find(text)}
    start = text.index(name)
    spans = propagate(text, [Span(start, start + len(name), "ORGANIZATION", 0.9, "T")])
    assert (text.rindex("Quillfeather"), len(text) - len(" owes.")) in {(s.start, s.end) for s in spans}
