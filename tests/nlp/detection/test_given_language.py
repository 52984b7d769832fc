"""A language that is given instead of detected decides which rules read a text, and whether it is served."""

from __future__ import annotations

import pytest

from lexveil.nlp.detection.detector import Detector
from lexveil.nlp.detection.language import LANGUAGES, SERVED_LANGUAGES

SHORT = "Tel.: 030 1234567"
GERMAN = "Der Zeuge Herr Kurt Bergmann, geb. 3. Mai 1970, wohnt in der Lindenstraße 12, 10969 Berlin."


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load("rules")


def test_all_served_languages_can_be_given() -> None:
    assert SERVED_LANGUAGES <= LANGUAGES
    assert all(len(language) == 2 for language in LANGUAGES)


@pytest.mark.parametrize(("language", "served"), [("de", True), ("en", True), ("zh", True), ("ru", False)])
def test_a_given_language_is_reported_and_decides_on_review(
    detector: Detector, language: str, served: bool
) -> None:
    (found,) = detector.detect_many([SHORT], language)
    assert (found.language, found.served) == (language, served)


def test_without_one_each_text_has_its_own(detector: Detector) -> None:
    found = detector.detect_many([SHORT, GERMAN])
    assert [one.language for one in found] == ["", "de"]
    assert [one.served for one in found] == [True, True]


def test_rules_of_the_given_language_read_the_text(detector: Detector) -> None:
    (detected,), (given,) = detector.detect_many([GERMAN]), detector.detect_many([GERMAN], "de")
    assert detected == given
    masked = {GERMAN[span.start : span.end] for span in given.spans}
    assert any("Lindenstraße" in surface for surface in masked)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_language_fails(detector: Detector, language: str) -> None:
    (found,) = detector.detect_many(["Write to jane@roe.example."], language)
    assert [span.type for span in found.spans] == ["EMAIL"]


def test_an_empty_text_has_no_spans_in_any_language(detector: Detector) -> None:
    assert [one.spans for one in detector.detect_many(["", " \n"], "fr")] == [(), ()]
