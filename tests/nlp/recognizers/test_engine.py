"""Presidio's analyzer over all rules and the learned detectors of some languages."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.recognizers.engine import TaggerEngine, build_analyzer, taggers_by_language
from lexveil.nlp.recognizers.scores import LEARNED
from lexveil.nlp.text import Span


class Tagger:
    """Calls every "Quill" a person, and counts its calls."""

    insists = False

    def __init__(self, *languages: str) -> None:
        self.languages = frozenset(languages) or None
        self.calls = 0

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        self.calls += 1
        return [
            [Span(start, start + 5, "PERSON", 0.77, LEARNED)] if (start := text.find("Quill")) >= 0 else []
            for text in texts
        ]


def analyze(text: str, language: str, *taggers: Tagger) -> set[tuple[str, str, float]]:
    analyzer = build_analyzer(taggers_by_language(taggers))
    return {(text[r.start : r.end], r.entity_type, r.score) for r in analyzer.analyze(text, language)}


def test_a_learned_span_keeps_its_probability() -> None:
    assert ("Quill", "PERSON", 0.77) in analyze("so Quill came", "en", Tagger("en"))


def test_a_learned_detector_reads_only_its_languages() -> None:
    assert analyze("so Quill came", "en", Tagger("de")) == set()
    assert analyze("da kam Quill", "de", Tagger("de")) == {("Quill", "PERSON", 0.77)}


def test_rules_need_no_learned_detector() -> None:
    assert ("a@b.io", "EMAIL", 1.0) in analyze("write to a@b.io", "en")


@pytest.mark.parametrize(
    ("text", "language", "name"),
    [
        ("Mr Quill left", "en", "Quill"),
        ("Herr Quill ging", "de", "Quill"),
        ("被告人赵立强到庭", "zh", "赵立强"),
        ("write to a@b.io", "en", "a@b.io"),
        ("an a@b.io", "de", "a@b.io"),
        ("致函a@b.io", "zh", "a@b.io"),
    ],
)
def test_each_language_has_its_rules_and_those_of_all(text: str, language: str, name: str) -> None:
    assert name in {piece for piece, *_ in analyze(text, language)}


@pytest.mark.parametrize(
    ("text", "language"), [("Herr Quill ging", "zh"), ("被告人赵立强到庭", "en"), ("his wife left", "de")]
)
def test_rules_of_other_languages_keep_silent(text: str, language: str) -> None:
    assert analyze(text, language) == set()


def test_the_first_detector_that_supports_a_language_has_it() -> None:
    german, any_language = Tagger("de", "fr"), Tagger()
    assert taggers_by_language([german, any_language]) == {
        "de": german,
        "en": any_language,
        "mul": any_language,
        "zh": any_language,
    }
    assert taggers_by_language([any_language, german])["de"] is any_language
    assert taggers_by_language([Tagger("fr")]) == {}
    assert taggers_by_language([]) == {}


def test_a_batch_is_tagged_in_one_call() -> None:
    tagger = Tagger("en")
    engine = TaggerEngine({"en": tagger})
    artifacts = [spans.entities for _, spans in engine.process_batch(["Quill", "none", "a Quill"], "en")]
    assert [len(spans) for spans in artifacts] == [1, 0, 1]
    assert artifacts[2][0].start == 2
    assert tagger.calls == 1
    assert engine.process_text("a Quill", "en").entities == artifacts[2]
    assert engine.process_text("a Quill", "de").entities == []


def test_the_engine_answers_presidio() -> None:
    engine = TaggerEngine({})
    engine.load()
    assert engine.is_loaded()
    assert engine.get_supported_languages() == ["de", "en", "mul", "zh"]
    assert engine.get_supported_entities() == list(ENTITY_TYPES)
    assert not engine.is_stopword("the", "en")
    assert not engine.is_punct(".", "en")


def test_every_finding_names_its_recognizer() -> None:
    analyzer = build_analyzer(taggers_by_language([Tagger("en")]))
    names = {
        result.entity_type: (result.recognition_metadata or {})["recognizer_name"]
        for result in analyzer.analyze("so Quill wrote to a@b.io", "en")
    }
    assert names == {"PERSON": "LearntRecognizer", "EMAIL": "EmailRecognizer"}
