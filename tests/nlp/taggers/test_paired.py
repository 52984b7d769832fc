"""Two detectors of one language: people whom either finds, less what the second is sure is no name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from lexveil.nlp.taggers import load_taggers
from lexveil.nlp.taggers.contract import Tagger
from lexveil.nlp.taggers.paired import PairedTagger
from lexveil.nlp.taggers.transformer import Posteriors, load_multilingual
from lexveil.nlp.text import Span

# Names of no list, in sentences that the CRF or the classifier read wrongly.
MISSED_BY_CRF = "Da rief Aschbacher die Polizei."
TERMS = "Ihre Dateien gehören Ihnen. Haftungsausschluss und Lizenz: Unser Eigentum, Ihre Inhalte."
COMPANY = "Die Beklagte ist die Quornia Handels GmbH in Köln."


@dataclass(frozen=True)
class Fixed:
    """A detector that finds the same everywhere."""

    spans: tuple[Span, ...]
    languages = frozenset({"de"})
    insists = False

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        return [list(self.spans) for _ in texts]


@cache
def load(name: str) -> Tagger:
    return load_taggers(name)[0]


def found(tagger: Tagger, text: str) -> list[tuple[str, str]]:
    return [(span.type, text[span.start : span.end]) for span in tagger.tag([text])[0]]


@pytest.mark.slow
def test_people_that_the_classifier_alone_finds_are_found() -> None:
    assert ("PERSON", "Aschbacher") not in found(load("light"), MISSED_BY_CRF)
    assert ("PERSON", "Aschbacher") in found(load("default"), MISSED_BY_CRF)


@pytest.mark.slow
def test_what_the_classifier_is_sure_of_is_no_person() -> None:
    people = [piece for kind, piece in found(load("light"), TERMS) if kind in ("PERSON", "LOCATION")]
    assert people
    assert [one for one in found(load("default"), TERMS) if one[0] in ("PERSON", "LOCATION")] == []


@pytest.mark.slow
def test_companies_are_those_of_the_crf() -> None:
    companies = [one for one in found(load("light"), COMPANY) if one[0] == "ORGANIZATION"]
    assert companies
    assert [one for one in found(load("default"), COMPANY) if one[0] == "ORGANIZATION"] == companies


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "kept"), [("PERSON", False), ("LOCATION", False), ("ORGANIZATION", True)])
def test_only_people_and_places_are_rejected(kind: str, kept: bool) -> None:
    start = TERMS.index("Dateien")
    span = Span(start, start + len("Dateien"), kind, 0.9, "crf")
    spans = PairedTagger(Fixed((span,)), load_multilingual()).tag([TERMS])[0]
    assert (span in spans) == kept


def test_the_posterior_of_a_range_is_that_of_its_surest_word() -> None:
    words = np.array([[0, 3], [4, 8], [9, 12]])
    posteriors = Posteriors(words, np.array([[0.1, 0.2], [0.0, 0.5], [0.9, 0.0]], np.float32))
    assert posteriors.of(0, 3) == pytest.approx(0.3)
    assert posteriors.of(1, 6) == pytest.approx(0.5)
    assert posteriors.of(8, 9) == 0.0
    assert posteriors.of(4, 20) == pytest.approx(0.9)
