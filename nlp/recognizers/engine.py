"""Presidio's analyzer over our recognizers only, and a language engine that is the learnt detector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.recognizers.account import AccountRecognizer
from lexveil.nlp.recognizers.address import AddressRecognizer
from lexveil.nlp.recognizers.address_de import GermanAddressRecognizer
from lexveil.nlp.recognizers.address_zh import ChineseAddressRecognizer
from lexveil.nlp.recognizers.age_birth import AgeBirthRecognizer
from lexveil.nlp.recognizers.birth_zh import ChineseAgeBirthRecognizer
from lexveil.nlp.recognizers.case_number import CaseNumberRecognizer
from lexveil.nlp.recognizers.date import DateRecognizer
from lexveil.nlp.recognizers.email import EmailRecognizer
from lexveil.nlp.recognizers.family import FamilyRecognizer
from lexveil.nlp.recognizers.family_zh import ChineseFamilyRecognizer
from lexveil.nlp.recognizers.identity import IdentityRecognizer
from lexveil.nlp.recognizers.learnt import LearntRecognizer
from lexveil.nlp.recognizers.life_de import GermanLifeRecognizer
from lexveil.nlp.recognizers.national import NationalNumberRecognizer
from lexveil.nlp.recognizers.online import OnlineRecognizer
from lexveil.nlp.recognizers.organization import OrganisationRecognizer
from lexveil.nlp.recognizers.organization_de import GermanOrganisationRecognizer
from lexveil.nlp.recognizers.organization_zh import ChineseOrganisationRecognizer
from lexveil.nlp.recognizers.person import PersonRecognizer
from lexveil.nlp.recognizers.person_de import GermanPersonRecognizer
from lexveil.nlp.recognizers.person_zh import ChinesePersonRecognizer
from lexveil.nlp.recognizers.phone import PhoneRecognizer
from lexveil.nlp.recognizers.phone_zh import ChinesePhoneRecognizer
from lexveil.nlp.recognizers.plate import PlateRecognizer
from lexveil.nlp.recognizers.quantity import QuantityRecognizer
from lexveil.nlp.taggers.contract import Tagger

_ANY_LANGUAGE = (
    AccountRecognizer,
    CaseNumberRecognizer,
    DateRecognizer,
    EmailRecognizer,
    IdentityRecognizer,
    NationalNumberRecognizer,
    OnlineRecognizer,
    PhoneRecognizer,
    PlateRecognizer,
    QuantityRecognizer,
)
_BY_LANGUAGE: dict[str, tuple[type[EntityRecognizer], ...]] = {
    "de": (
        GermanAddressRecognizer,
        GermanLifeRecognizer,
        GermanOrganisationRecognizer,
        GermanPersonRecognizer,
    ),
    "en": (
        AddressRecognizer,
        AgeBirthRecognizer,
        FamilyRecognizer,
        OrganisationRecognizer,
        PersonRecognizer,
    ),
    "zh": (
        ChineseAddressRecognizer,
        ChineseAgeBirthRecognizer,
        ChineseFamilyRecognizer,
        ChineseOrganisationRecognizer,
        ChinesePersonRecognizer,
        ChinesePhoneRecognizer,
    ),
}


class LearntEngine(NlpEngine):
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
            *((LearntRecognizer,) if language in taggers else ()),
            *_ANY_LANGUAGE,
            *_BY_LANGUAGE[language],
        )
    ]
    registry = RecognizerRegistry(recognizers=recognizers, supported_languages=languages)
    return Analyzer(registry=registry, nlp_engine=LearntEngine(taggers), supported_languages=languages)
