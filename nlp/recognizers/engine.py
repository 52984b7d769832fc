"""Presidio's analyzer over Lexveil's recognizers alone, with learned detectors as its language engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from typing import Any

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.recognizers.account import LexveilAccountRecognizer
from lexveil.nlp.recognizers.address import EnglishAddressRecognizer
from lexveil.nlp.recognizers.address_continental import ContinentalAddressRecognizer
from lexveil.nlp.recognizers.address_de import GermanAddressRecognizer
from lexveil.nlp.recognizers.address_zh import ChineseAddressRecognizer
from lexveil.nlp.recognizers.age_birth import EnglishAgeBirthRecognizer
from lexveil.nlp.recognizers.base import RuleRecognizer
from lexveil.nlp.recognizers.birth_continental import ContinentalBirthRecognizer
from lexveil.nlp.recognizers.birth_zh import ChineseAgeBirthRecognizer
from lexveil.nlp.recognizers.case_number import LexveilCaseNumberRecognizer
from lexveil.nlp.recognizers.date import LexveilDateRecognizer
from lexveil.nlp.recognizers.email import LexveilEmailRecognizer
from lexveil.nlp.recognizers.family import EnglishFamilyRecognizer
from lexveil.nlp.recognizers.family_zh import ChineseFamilyRecognizer
from lexveil.nlp.recognizers.field import FieldRecognizer
from lexveil.nlp.recognizers.file_name import FileNameRecognizer
from lexveil.nlp.recognizers.given_name import GivenNameRecognizer
from lexveil.nlp.recognizers.identity import LexveilIdentityRecognizer
from lexveil.nlp.recognizers.life_de import GermanLifeRecognizer
from lexveil.nlp.recognizers.national import LexveilNationalNumberRecognizer
from lexveil.nlp.recognizers.nickname import NicknameRecognizer
from lexveil.nlp.recognizers.online import LexveilOnlineRecognizer
from lexveil.nlp.recognizers.organization import EnglishOrganizationRecognizer
from lexveil.nlp.recognizers.organization_continental import ContinentalOrganizationRecognizer
from lexveil.nlp.recognizers.organization_de import GermanOrganizationRecognizer
from lexveil.nlp.recognizers.organization_zh import ChineseOrganizationRecognizer
from lexveil.nlp.recognizers.person import EnglishPersonRecognizer
from lexveil.nlp.recognizers.person_continental import ContinentalPersonRecognizer, CuedPersonRecognizer
from lexveil.nlp.recognizers.person_de import GermanPersonRecognizer
from lexveil.nlp.recognizers.person_in import IndianPersonRecognizer
from lexveil.nlp.recognizers.person_latin_zh import LatinPersonInChineseRecognizer
from lexveil.nlp.recognizers.person_zh import ChinesePersonRecognizer
from lexveil.nlp.recognizers.phone import LexveilPhoneRecognizer
from lexveil.nlp.recognizers.phone_zh import ChinesePhoneRecognizer
from lexveil.nlp.recognizers.plate import LexveilPlateRecognizer
from lexveil.nlp.recognizers.quantity import LexveilQuantityRecognizer
from lexveil.nlp.recognizers.rare_words import RareNameRecognizer
from lexveil.nlp.recognizers.scores import LABELED, LEARNED
from lexveil.nlp.recognizers.spaced_name import SpacedNameRecognizer
from lexveil.nlp.recognizers.speaker import SpeakerRecognizer
from lexveil.nlp.recognizers.tagger import TaggerRecognizer
from lexveil.nlp.taggers.contract import Tagger
from lexveil.nlp.text import Span
from lexveil.nlp.vocabulary import CONTINENTAL, UNKNOWN

_ANY_LANGUAGE = (
    FieldRecognizer,
    FileNameRecognizer,
    LexveilAccountRecognizer,
    LexveilCaseNumberRecognizer,
    LexveilDateRecognizer,
    LexveilEmailRecognizer,
    LexveilIdentityRecognizer,
    LexveilNationalNumberRecognizer,
    LexveilOnlineRecognizer,
    LexveilPhoneRecognizer,
    LexveilPlateRecognizer,
    LexveilQuantityRecognizer,
    NicknameRecognizer,
    SpacedNameRecognizer,
    SpeakerRecognizer,
)
_BY_LANGUAGE: dict[str, tuple[type[EntityRecognizer], ...]] = {
    "de": (
        GermanAddressRecognizer,
        GermanLifeRecognizer,
        GermanOrganizationRecognizer,
        GermanPersonRecognizer,
        GivenNameRecognizer,
    ),
    "en": (
        EnglishAddressRecognizer,
        EnglishAgeBirthRecognizer,
        EnglishFamilyRecognizer,
        EnglishOrganizationRecognizer,
        EnglishPersonRecognizer,
        GivenNameRecognizer,
        IndianPersonRecognizer,
        RareNameRecognizer,
    ),
    CONTINENTAL: (
        ContinentalAddressRecognizer,
        ContinentalBirthRecognizer,
        ContinentalOrganizationRecognizer,
        ContinentalPersonRecognizer,
    ),
    "zh": (
        ChineseAddressRecognizer,
        ChineseAgeBirthRecognizer,
        ChineseFamilyRecognizer,
        ChineseOrganizationRecognizer,
        ChinesePersonRecognizer,
        ChinesePhoneRecognizer,
        LatinPersonInChineseRecognizer,
    ),
}
_BY_LANGUAGE[UNKNOWN] = _BY_LANGUAGE[CONTINENTAL]


class TaggerEngine(NlpEngine):
    """A language engine whose artifacts are the spans of the learned detector of a language.

    Presidio's context enhancement would need lemmas, which cost more than all the rest; the rules have their
    context in their patterns.
    """

    def __init__(self, taggers: Mapping[str, Tagger]) -> None:
        self._taggers = taggers

    def load(self) -> None:
        """Do nothing: the detectors are loaded already."""

    def is_loaded(self) -> bool:
        """Return True."""
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """Return the artifacts of one text."""
        return next(self.process_batch([text], language))[1]

    def process_batch(
        self, texts: Iterable[str], language: str, batch_size: int = 32, n_process: int = 1, **_: Any
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        """Yield each text with its artifacts; the detector tags all texts in one call."""
        batch = list(texts)
        tagger = self._taggers.get(language)
        tagged = tagger.tag(batch) if tagger else [[] for _ in batch]
        none: Any = None
        for text, spans in zip(batch, tagged, strict=True):
            entities: Any = spans
            yield text, NlpArtifacts(entities, none, [], [], none, language)

    def is_stopword(self, word: str, language: str) -> bool:
        """Return False."""
        return False

    def is_punct(self, word: str, language: str) -> bool:
        """Return False."""
        return False

    def get_supported_entities(self) -> list[str]:
        """Return all entity types of Lexveil."""
        return list(ENTITY_TYPES)

    def get_supported_languages(self) -> list[str]:
        """Return the languages that have rules of their own."""
        return sorted(_BY_LANGUAGE)


class Analyzer(AnalyzerEngine):
    """An AnalyzerEngine without context enhancement."""

    @cached_property
    def _by_language(self) -> dict[str, tuple[list[EntityRecognizer], frozenset[str]]]:
        """The recognizers of each language, and all their types."""
        found = {
            language: self.registry.get_recognizers(language, all_fields=True)
            for language in self.supported_languages
        }
        return {
            language: (
                recognizers,
                frozenset(kind for recognizer in recognizers for kind in recognizer.supported_entities),
            )
            for language, recognizers in found.items()
        }

    def find_spans(self, text: str, language: str, artifacts: NlpArtifacts | None = None) -> list[Span]:
        """Return what `analyze` finds, as spans.

        Presidio's own way around the recognizers takes as long as the rules themselves.

        Args:
            text: normalized text.
            language: a supported language.
            artifacts: what the learned detector has found in the text.
        """
        found: dict[tuple[str, int, int, float], str] = {}
        sure: dict[tuple[str, int, int], tuple[str, float]] = {}
        recognizers, types = self._by_language[language]
        for recognizer in recognizers:
            for start, end, kind, score, name in _run(recognizer, text, types, artifacts):
                if kind in types and score > 0:
                    found.setdefault((kind, start, -end, -score), name)
                    shown = kind == "ORGANIZATION" or text[start:end].islower()
                    if name != LEARNED and (shown or (kind in _TOLD and score >= LABELED)):
                        sure[kind, start, -end] = name, score
        # What a rule finds too is sure, whatever a model thinks of it: a company by its form, a name in lower
        # case or beside a title, an address. An address is no surer by it where the law has one.
        spans: list[Span] = []
        for kind, start, end, negative in _drop_contained(sorted(found)):
            name, score = sure.get((kind, start, end), (found[kind, start, end, negative], -negative))
            spans.append(Span(start, -end, kind, score if kind == "ADDRESS" else -negative, name))
        return spans

    def _enhance_using_context(
        self, text: str, raw_results: list[RecognizerResult], *_: Any, **__: Any
    ) -> list[RecognizerResult]:
        return raw_results


def _run(
    recognizer: EntityRecognizer, text: str, types: Set[str], artifacts: NlpArtifacts | None
) -> Iterator[tuple[int, int, str, float, str]]:
    """Yield the findings of one recognizer, each with the name of who found it."""
    if isinstance(recognizer, TaggerRecognizer):
        spans: list[Span] = artifacts.entities if artifacts else []  # pyright: ignore
        yield from ((s.start, s.end, s.type, s.score, recognizer.name) for s in spans)
    elif isinstance(recognizer, RuleRecognizer):
        yield from ((f.start, f.end, f.type, f.score, recognizer.name) for f in recognizer.find(text))
    else:
        for one in recognizer.analyze(text, list(types), artifacts):  # pyright: ignore
            named = (one.recognition_metadata or {}).get(RecognizerResult.RECOGNIZER_NAME_KEY)
            yield one.start, one.end, one.entity_type, one.score, named or recognizer.name


# Types of which a rule reads more than the words themselves.
_TOLD = frozenset({"PERSON", "ADDRESS"})
_Key = tuple[str, int, int, float]


def _drop_contained(found: Iterable[_Key]) -> Iterator[_Key]:
    """Leave out what is within a finding of the same type with at least its score.

    Args:
        found: (type, start, negative end, negative score), sorted.
    """
    active: list[_Key] = []
    for one in found:
        kind, start, end, score = one
        active = [other for other in active if other[0] == kind and -other[2] >= start]
        if not any(other[2] <= end and other[3] <= score for other in active):
            active.append(one)
            yield one


def taggers_by_language(taggers: Sequence[Tagger]) -> dict[str, Tagger]:
    """Return the first of `taggers` that supports it, for each language that has rules.

    What knows a language without rules of its own reads all texts with the rules of `CONTINENTAL`.
    """
    by_language: dict[str, Tagger] = {}
    for tagger in reversed(taggers):
        known = tagger.languages if tagger.languages is not None else set(_BY_LANGUAGE)
        languages = {language if language in _BY_LANGUAGE else CONTINENTAL for language in known}
        by_language.update(dict.fromkeys(languages, tagger))
    if CONTINENTAL in by_language:
        by_language.setdefault(UNKNOWN, by_language[CONTINENTAL])
    return by_language


def build_analyzer(taggers: Mapping[str, Tagger], own: Iterable[EntityRecognizer] = ()) -> Analyzer:
    """Return an analyzer with all rules of all languages.

    Args:
        taggers: learned detectors by language.
        own: recognizers of the office.
    """
    languages = sorted(_BY_LANGUAGE)
    recognizers = [
        recognizer(supported_language=language)  # pyright: ignore[reportCallIssue]
        for language in languages
        for recognizer in (
            *((TaggerRecognizer,) if language in taggers else ()),
            *_ANY_LANGUAGE,
            *_choose_rules(language, taggers.get(language)),
        )
    ]
    recognizers += own
    registry = RecognizerRegistry(recognizers=recognizers, supported_languages=languages)
    return Analyzer(registry=registry, nlp_engine=TaggerEngine(taggers), supported_languages=languages)


def _choose_rules(language: str, tagger: Tagger | None) -> Iterator[type[EntityRecognizer]]:
    """Yield the rules of a language beside its learned detector, if there is one.

    Rules by capitals alone are for what no detector knows, and for those who would rather mask too much.
    """
    learned = tagger is not None and tagger.languages is not None and not tagger.insists
    known = learned and language != UNKNOWN
    for recognizer in _BY_LANGUAGE[language]:
        yield CuedPersonRecognizer if known and recognizer is ContinentalPersonRecognizer else recognizer
