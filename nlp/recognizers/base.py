"""What all recognizers share: Presidio's interface over one generator of findings, and letter classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

from presidio_analyzer import EntityRecognizer, RecognizerResult

# Scores of one scale over all recognizers, so that overlaps can be settled by comparing them.
CHECKED = 1.0  # a check digit or an unmistakable form
LABELLED = 0.9  # the context says what it is
SHAPED = 0.8  # the form alone
GUESSED = 0.6  # a statistical model
# The recognizer whose scores are probabilities and stand on no such scale.
LEARNT = "LearntRecognizer"


class Found(NamedTuple):
    start: int
    end: int
    type: str
    score: float


class RuleRecognizer(EntityRecognizer):
    """A Presidio recognizer over `find`, which reads normalised text and needs no model."""

    TYPES: tuple[str, ...] = ()

    def __init__(self, supported_language: str = "en") -> None:
        super().__init__(supported_entities=list(self.TYPES), supported_language=supported_language)

    def load(self) -> None:
        """Nothing to load: rules are compiled with their module."""

    @abstractmethod
    def find(self, text: str) -> Iterator[Found]:
        """Findings in offsets of `text`."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        return [self.result(found) for found in self.find(text) if found.type in entities]

    def result(self, found: Found) -> RecognizerResult:
        metadata = {
            RecognizerResult.RECOGNIZER_NAME_KEY: self.name,
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
        }
        return RecognizerResult(
            found.type, found.start, found.end, found.score, recognition_metadata=metadata
        )
