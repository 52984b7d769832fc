"""A type that only a model claims frees nobody."""

from __future__ import annotations

import pytest

from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.masking.anonymize import anonymize_text
from lexveil.nlp.masking.evidence import find_unsupported
from lexveil.nlp.masking.mask import mask_text, unkeyed_seed
from lexveil.nlp.masking.policy import build_policy
from lexveil.nlp.masking.scope import DocumentNames, Scope
from lexveil.nlp.recognizers.scores import LEARNED, PROPAGATION
from lexveil.nlp.text import Span

COURT = build_policy("court-publication")


def span(text: str, surface: str, kind: str, recognizer: str = LEARNED) -> Span:
    start = text.index(surface)
    return Span(start, start + len(surface), kind, 0.9, recognizer)


@pytest.mark.parametrize(
    ("text", "surface", "kind", "kept"),
    [
        ("drawn up for Cuthbert Ravensdale.", "Cuthbert Ravensdale", "ORGANIZATION", False),
        ('known as "Bazza", drove', "Bazza", "DEMOGRAPHIC", False),
        ("met Perpetua there", "Perpetua", "LOCATION", False),
        ("postcode 35400 town", "35400", "CASE_NUMBER", False),
        ("asked Naga twice", "Naga", "MISC", False),
        ("the High Court of Quillon held", "High Court of Quillon", "ORGANIZATION", True),
        ("sued Ravensdale Mills here", "Ravensdale Mills", "ORGANIZATION", True),
        ("M/s Ravensdale paid", "Ravensdale", "ORGANIZATION", True),
        ("the CBDT ruled", "CBDT", "ORGANIZATION", True),
        ("lived in Quillonpur then", "Quillonpur", "LOCATION", True),
        ("came from Maharashtra", "Maharashtra", "LOCATION", True),
        ("a Turkish national", "Turkish", "DEMOGRAPHIC", True),
        ("W.P. No. 123 of 2004", "123 of 2004", "CASE_NUMBER", True),
        ("paid 40 rupees", "40 rupees", "QUANTITY", True),
        ("on 4 May 2003", "4 May 2003", "DATE", True),
        ("二〇一九年盐城公司付款", "盐城公司", "ORGANIZATION", True),
    ],
)
def test_what_stays_readable_in_court_publication(text: str, surface: str, kind: str, kept: bool) -> None:
    found = span(text, surface, kind)
    assert (surface in mask_text(text, [found], COURT).text) is kept
    # A rule's finding needs no other proof.
    assert surface in mask_text(text, [span(text, surface, kind, "SomeRecognizer")], COURT).text


def test_a_string_that_the_document_supports_once_is_supported_everywhere() -> None:
    text = "Quillon Industries Ltd sold. Later Quillon bought."
    whole = span(text, "Quillon Industries Ltd", "ORGANIZATION")
    start = text.rindex("Quillon")
    again = Span(start, start + 7, "ORGANIZATION", 0.7, PROPAGATION)
    assert find_unsupported(text, [whole, again]) == frozenset()
    assert find_unsupported(text, [again]) == {again}


def test_a_masked_persons_name_is_kept_in_no_company() -> None:
    text = "Agnes Birtwistle founded Birtwistle Mills Ltd in Leeds."
    spans = [
        span(text, "Agnes Birtwistle", "PERSON"),
        span(text, "Birtwistle Mills Ltd", "ORGANIZATION", "SomeRecognizer"),
        span(text, "Leeds", "LOCATION"),
    ]
    scope = Scope([DocumentNames.read(text, spans)], unkeyed_seed, "en")
    checked = anonymize_text(text, spans, COURT, scope)
    assert "Birtwistle" not in checked.text
    assert checked.text.endswith("Mills Ltd in Leeds.")


@pytest.mark.parametrize(
    "text",
    [
        "The witness Mrs Ruth Kelly spoke. Kelly's evidence was long; Mr Bell's claim was dismissed.",
        "Mr Turner claims otherwise, and so does Ms Anna Bell's letter.",
        "Witness for the Plaintiff: Sunita Verma.",
        "Relator Ruth Ostrom alleges that the hospital billed twice.",
        "The complainant told mr. Sunil Vermani the date.",
    ],
)
def test_people_whose_names_look_like_law_or_office_are_masked_in_court_publication(text: str) -> None:
    names = (
        "Kelly",
        "Bell",
        "Turner",
        "Anna",
        "Sunita",
        "Verma",
        "Ravi",
        "Nairan",
        "Ostrom",
        "Sunil",
        "Vermani",
    )
    spans = Detector.load("light").detect(text)
    scope = Scope([DocumentNames.read(text, spans)], unkeyed_seed, "en")
    shown = anonymize_text(text, spans, COURT, scope).text
    assert [name for name in names if name in shown] == []


@pytest.mark.parametrize(
    ("surface", "kind", "supported"),
    [
        ("shop of Kritika", "ORGANIZATION", False),
        ("neighbour Pell", "DEMOGRAPHIC", False),
        ("red car of Pell", "MISC", False),
        ("Osha Verma", "ORGANIZATION", False),  # a first name like an authority's abbreviation
        ("OSHA", "ORGANIZATION", True),
        ("lorry driver", "DEMOGRAPHIC", True),
        ("a bakery", "ORGANIZATION", True),
    ],
)
def test_a_word_in_lower_case_supports_no_name_after_it(surface: str, kind: str, supported: bool) -> None:
    text = f"He saw {surface} there."
    found = span(text, surface, kind)
    assert (found not in find_unsupported(text, [found])) == supported


def test_others_beside_a_name_make_no_company() -> None:
    for text, supported in (("ADA QUILL & ORS.", False), ("Quill & Pell", True)):
        span = Span(0, len(text), "ORGANIZATION", 0.9, LEARNED)
        assert (span not in find_unsupported(text, [span])) is supported
