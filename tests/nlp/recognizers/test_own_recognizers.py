"""Adapted recognizers: types, scores, languages, and what is passed over or refused in Presidio's files."""

from __future__ import annotations

from pathlib import Path

import pytest
from presidio_analyzer import EntityRecognizer, RecognizerResult

from lexveil.nlp.entity_types import ENTITY_TYPES, FOREIGN_TYPES, NOT_PERSONAL
from lexveil.nlp.recognizers.own_recognizers import AdaptedRecognizer, load_recognizers
from lexveil.nlp.recognizers.own_rules import NO_RULES, OwnRules, OwnRulesError

TEXT = "The docket of Roe: A12."
TYPES = {"PER": "PERSON", "TITLE": NOT_PERSONAL, "DOCKET": "CASE_NUMBER"}


class Inner(EntityRecognizer):
    """A recognizer that finds what it is told to."""

    def __init__(self, *found: RecognizerResult, context: list[str] | None = None) -> None:
        self._found = list(found)
        super().__init__(["PER", "TITLE", "DOCKET"], context=context)

    def load(self) -> None:
        pass

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object = None) -> list[RecognizerResult]:
        return [one for one in self._found if one.entity_type in entities]


def adapt(*found: RecognizerResult, context: list[str] | None = None) -> list[tuple[str, int, int, float]]:
    adapted = AdaptedRecognizer(Inner(*found, context=context), "de", TYPES)
    results = adapted.analyze(TEXT, adapted.supported_entities)
    return [(one.entity_type, one.start, one.end, one.score) for one in results]


def test_types_are_those_of_lexveil_and_what_is_not_personal_is_left_out() -> None:
    found = [RecognizerResult("PER", 14, 17, 0.5), RecognizerResult("TITLE", 0, 3, 1.0)]
    assert adapt(*found) == [("PERSON", 14, 17, 0.5)]
    assert adapt(RecognizerResult("DOCKET", 19, 22, 3.0)) == [("CASE_NUMBER", 19, 22, 1.0)]


@pytest.mark.parametrize(
    ("score", "context", "expected"),
    [(0.01, None, 0.01), (0.01, ["docket"], 0.4), (0.3, ["Docket"], 0.65), (0.9, ["docket"], 1.0),
     (0.3, ["invoice"], None), (0.5, ["invoice"], 0.5)],
)  # fmt: skip
def test_words_of_context_decide_about_weak_findings(
    score: float, context: list[str] | None, expected: float | None
) -> None:
    found = adapt(RecognizerResult("DOCKET", 19, 22, score), context=context)
    assert [round(one[3], 6) for one in found] == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("context", "before", "counts"),
    [
        ("membership number", "membership number ", True),
        ("Membership Number", "The membership-\nnumber of his is: ", True),
        ("membership number", "number membership ", False),
        ("number of the member of the club", "the number of the member of the club, it is said, is ", True),
        ("membership number", "membership number and so on and on and ", False),
        ("会员号", "他的会员号是", True),
        ("会员号", "他的会员是", False),
    ],
)
def test_context_may_be_a_phrase(context: str, before: str, counts: bool) -> None:
    text = before + "zzq77"
    found = RecognizerResult("DOCKET", len(before), len(text), 0.2)
    adapted = AdaptedRecognizer(Inner(found, context=[context]), "de", TYPES)
    assert bool(adapted.analyze(text, adapted.supported_entities)) == counts


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 3), (5, 3), (0, len(TEXT) + 1)])
def test_a_finding_that_is_no_range_of_the_text_is_refused(start: int, end: int) -> None:
    with pytest.raises(OwnRulesError, match="Inner finds something outside"):
        adapt(RecognizerResult("PER", start, end, 0.5))


def test_a_class_that_states_a_language_reads_that_one_alone() -> None:
    # Languages without rules of their own share some, whether or not a learned detector knows them.
    names = {"DeTaxIdRecognizer": ["de"], "EsNifRecognizer": ["mul", "und"]}
    for name, languages in names.items():
        rules = OwnRules((f"presidio_analyzer.predefined_recognizers:{name}",))
        assert [one.supported_language for one in load_recognizers(rules)] == languages
    assert load_recognizers(NO_RULES) == []


def test_every_type_of_presidio_counts_as_one_of_lexveil() -> None:
    assert {*FOREIGN_TYPES.values()} <= {*ENTITY_TYPES, NOT_PERSONAL}
    assert FOREIGN_TYPES["UK_NHS"] == FOREIGN_TYPES["US_SSN"] == "ID_NUMBER"
    assert (FOREIGN_TYPES["ZIP"], FOREIGN_TYPES["DE_KFZ"]) == ("ADDRESS", "PLATE")


def test_adapters_of_models_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("recognizers:\n  - {name: SpacyRecognizer, type: predefined}\n")
    assert load_recognizers(OwnRules(files=(str(file),))) == []
