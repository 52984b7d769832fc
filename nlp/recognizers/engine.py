"""Presidio's analyzer over our recognizers only, and a language engine that is the learnt detector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.recognizers.account import LexveilAccountRecognizer
from lexveil.nlp.recognizers.address import EnglishAddressRecognizer
from lexveil.nlp.recognizers.address_de import GermanAddressRecognizer
from lexveil.nlp.recognizers.address_zh import ChineseAddressRecognizer
from lexveil.nlp.recognizers.age_birth import EnglishAgeBirthRecognizer
from lexveil.nlp.recognizers.birth_zh import ChineseAgeBirthRecognizer
from lexveil.nlp.recognizers.case_number import LexveilCaseNumberRecognizer
from lexveil.nlp.recognizers.date import LexveilDateRecognizer
from lexveil.nlp.recognizers.email import LexveilEmailRecognizer
from lexveil.nlp.recognizers.family import EnglishFamilyRecognizer
from lexveil.nlp.recognizers.family_zh import ChineseFamilyRecognizer
from lexveil.nlp.recognizers.identity import LexveilIdentityRecognizer
from lexveil.nlp.recognizers.life_de import GermanLifeRecognizer
from lexveil.nlp.recognizers.national import LexveilNationalNumberRecognizer
from lexveil.nlp.recognizers.online import LexveilOnlineRecognizer
from lexveil.nlp.recognizers.organization import EnglishOrganizationRecognizer
from lexveil.nlp.recognizers.organization_de import GermanOrganizationRecognizer
from lexveil.nlp.recognizers.organization_zh import ChineseOrganizationRecognizer
from lexveil.nlp.recognizers.person import EnglishPersonRecognizer
from lexveil.nlp.recognizers.person_de import GermanPersonRecognizer
from lexveil.nlp.recognizers.person_zh import ChinesePersonRecognizer
from lexveil.nlp.recognizers.phone import LexveilPhoneRecognizer
from lexveil.nlp.recognizers.phone_zh import ChinesePhoneRecognizer
from lexveil.nlp.recognizers.plate import LexveilPlateRecognizer
from lexveil.nlp.recognizers.quantity import LexveilQuantityRecognizer
from lexveil.nlp.recognizers.tagger import TaggerRecognizer
from lexveil.nlp.taggers.contract import Tagger

_ANY_LANGUAGE = (
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
)
_BY_LANGUAGE: dict[str, tuple[type[EntityRecognizer], ...]] = {
    "de": (
        GermanAddressRecognizer,
        GermanLifeRecognizer,
        GermanOrganizationRecognizer,
        GermanPersonRecognizer,
    ),
    "en": (
        EnglishAddressRecognizer,
        EnglishAgeBirthRecognizer,
        EnglishFamilyRecognizer,
        EnglishOrganizationRecognizer,
        EnglishPersonRecognizer,
    ),
    "zh": (
        ChineseAddressRecognizer,
        ChineseAgeBirthRecognizer,
        ChineseFamilyRecognizer,
        ChineseOrganizationRecognizer,
        ChinesePersonRecognizer,
        ChinesePhoneRecognizer,
    ),
}


class TaggerEngine(NlpEngine):
    """What the learnt detector of a language saw and nothing else, as the artifacts of a window.

    Presidio's context enhancement would need lemmas, which cost more than everything else here; our rules
    hold their context in their patterns.
    """

    def __init__(self, taggers: Mapping[str, Tagger]) -> None:
        self._taggers = taggers

    def load(self) -> None:
        """Nothing to load: the detector comes loaded."""

    def is_loaded(self) -> bool:
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        return next(self.process_batch([text], language))[1]

    def process_batch(
        self, texts: Iterable[str], language: str, batch_size: int = 32, n_process: int = 1, **_: Any
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        read = list(texts)
        tagger = self._taggers.get(language)
        found = tagger.tag(read) if tagger else [[] for _ in read]
        none: Any = None
        for text, spans in zip(read, found, strict=True):
            entities: Any = spans
            yield text, NlpArtifacts(entities, none, [], [], none, language)

    def is_stopword(self, word: str, language: str) -> bool:
        return False

    def is_punct(self, word: str, language: str) -> bool:
        return False

    def get_supported_entities(self) -> list[str]:
        return list(ENTITY_TYPES)

    def get_supported_languages(self) -> list[str]:
        return sorted(_BY_LANGUAGE)


class Analyzer(AnalyzerEngine):
    """An AnalyzerEngine without context enhancement."""

    def _enhance_using_context(
        self, text: str, raw_results: list[RecognizerResult], *_: Any, **__: Any
    ) -> list[RecognizerResult]:
        return raw_results


def taggers_by_language(taggers: Sequence[Tagger]) -> dict[str, Tagger]:
    """The first of `taggers` that speaks it, for each language that has rules."""
    found: dict[str, Tagger] = {}
    for tagger in reversed(taggers):
        spoken = _BY_LANGUAGE if tagger.languages is None else tagger.languages & set(_BY_LANGUAGE)
        found.update(dict.fromkeys(spoken, tagger))
    return found


def build_analyzer(taggers: Mapping[str, Tagger]) -> Analyzer:
    """All rules of all languages, beside the learnt detectors of some."""
    languages = sorted(_BY_LANGUAGE)
    recognizers = [
        recognizer(supported_language=language)  # pyright: ignore[reportCallIssue]
        for language in languages
        for recognizer in (
            *((TaggerRecognizer,) if language in taggers else ()),
            *_ANY_LANGUAGE,
            *_BY_LANGUAGE[language],
        )
    ]
    registry = RecognizerRegistry(recognizers=recognizers, supported_languages=languages)
    return Analyzer(registry=registry, nlp_engine=TaggerEngine(taggers), supported_languages=languages)
