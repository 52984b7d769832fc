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
    assert analyze("so Quill goes", "en", Tagger("de")) == set()
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
    german, french, any_language = Tagger("de"), Tagger("fr"), Tagger()
    assert taggers_by_language([german, any_language]) == {
        "de": german,
        "en": any_language,
        "mul": any_language,
        "und": any_language,
        "zh": any_language,
    }
    assert taggers_by_language([any_language, german])["de"] is any_language
    # French has no rules of its own: its texts are read with those of all such languages.
    assert taggers_by_language([french, any_language])["mul"] is french
    assert taggers_by_language([french]) == {"mul": french, "und": french}
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
    assert engine.get_supported_languages() == ["de", "en", "mul", "und", "zh"]
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


TEXTS = (
    "so Quill wrote to a@b.io, and Mr Quill and Mrs Quill of Acme Ltd, 12 High Street, were born in 2001",
    "Mr John Quill paid EUR 1,234.56 into IBAN GB29 NWBK 6016 1331 9268 19; see section 5 of the Act",
    "Frau Quill, geboren am 3. Mai 2001, wohnt Hauptstraße 5, 50667 Köln",
    "被告人赵立强，男，1970年5月3日生，住北京市海淀区中关村大街5号",
    "",
)


@pytest.mark.parametrize("language", ["en", "de", "zh", "mul"])
@pytest.mark.parametrize("text", TEXTS)
def test_the_short_way_finds_what_presidio_finds(text: str, language: str) -> None:
    tagger = Tagger("en", "de")
    analyzer = build_analyzer(taggers_by_language([tagger]))
    artifacts = analyzer.nlp_engine.process_text(text, language)
    expected = {
        (r.start, r.end, r.entity_type, r.score, (r.recognition_metadata or {})["recognizer_name"])
        for r in analyzer.analyze(text, language, nlp_artifacts=artifacts)
    }
    found = analyzer.find_spans(text, language, artifacts)
    assert {(s.start, s.end, s.type, s.score, s.recognizer) for s in found} == expected
    assert len(found) == len(expected)
    assert (
        analyzer.find_spans(text, language) == [s for s in found if s.recognizer != LEARNED] or tagger.calls
    )


def test_what_is_within_a_finding_of_its_type_is_left_out() -> None:
    class Nested(Tagger):
        def tag(self, texts: Sequence[str]) -> list[list[Span]]:
            return [
                [
                    Span(0, 9, "PERSON", 0.6, LEARNED),
                    Span(2, 5, "PERSON", 0.6, LEARNED),
                    Span(2, 5, "PERSON", 0.7, LEARNED),
                    Span(3, 4, "LOCATION", 0.1, LEARNED),
                    Span(6, 12, "PERSON", 0.5, LEARNED),
                    Span(6, 12, "PERSON", 0.0, LEARNED),
                ]
                for _ in texts
            ]

    analyzer = build_analyzer(taggers_by_language([Nested("en")]))
    text = "abcdefghijklmnop"
    artifacts = analyzer.nlp_engine.process_text(text, "en")
    kept = {(s.start, s.end, s.type, s.score) for s in analyzer.find_spans(text, "en", artifacts)}
    assert kept == {
        (0, 9, "PERSON", 0.6),
        (2, 5, "PERSON", 0.7),
        (3, 4, "LOCATION", 0.1),
        (6, 12, "PERSON", 0.5),
    }
    assert kept == {
        (r.start, r.end, r.entity_type, r.score)
        for r in analyzer.analyze(text, "en", nlp_artifacts=artifacts)
    }
