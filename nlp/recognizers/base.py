"""The base class of all rule recognizers: Presidio's interface over a generator of findings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from presidio_analyzer import EntityRecognizer, RecognizerResult

from lexveil.nlp.patterns.triggers import Pattern, PatternSet
from lexveil.nlp.recognizers.scores import CHECKED, GUESSED, LABELED, SHAPED

__all__ = ["CHECKED", "GUESSED", "LABELED", "SHAPED", "Finding", "RuleRecognizer", "find_matches"]

# The patterns of the rules for all languages, and for each.
SHARED, ENGLISH, GERMAN, CONTINENTAL, CHINESE = (PatternSet() for _ in range(5))


class Finding(NamedTuple):
    """Characters [start, end) of a text that hold personal information of one type.

    Attributes:
        type: one of `lexveil.nlp.entity_types.ENTITY_TYPES`.
        score: on the scale of `lexveil.nlp.recognizers.scores`.
    """

    start: int
    end: int
    type: str
    score: float


class RuleRecognizer(EntityRecognizer):
    """A Presidio recognizer over `find`, which reads normalized text and needs no model.

    Presidio looks up its own recognizers by class name among all subclasses of `EntityRecognizer`, so a
    subclass must not have the name of one of them.

    Attributes:
        TYPES: the entity types that `find` yields.
        NAME: the name that spans record as their recognizer; by default that of the class.
    """

    TYPES: ClassVar[tuple[str, ...]] = ()
    NAME: ClassVar[str] = ""

    def __init__(self, supported_language: str = "en") -> None:
        super().__init__(
            supported_entities=list(self.TYPES),
            name=self.NAME or type(self).__name__,
            supported_language=supported_language,
        )

    def load(self) -> None:
        """Do nothing: rules are compiled with their module."""

    @abstractmethod
    def find(self, text: str) -> Iterator[Finding]:
        """Yield findings in offsets of `text`, in any order; they may overlap and repeat."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """Return the findings of the types in `entities` as Presidio's results."""
        return [self.result(finding) for finding in self.find(text) if finding.type in entities]

    def result(self, finding: Finding) -> RecognizerResult:
        """Return `finding` as a Presidio result that names this recognizer."""
        metadata = {
            RecognizerResult.RECOGNIZER_NAME_KEY: self.name,
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
        }
        return RecognizerResult(
            finding.type, finding.start, finding.end, finding.score, recognition_metadata=metadata
        )


def find_matches(
    text: str, entity_type: str, score: float, *patterns: Pattern, group: int | str = 0
) -> Iterator[Finding]:
    """Yield a finding for each match of each of `patterns`, of the whole match or of one group."""
    for pattern in patterns:
        for match in pattern.finditer(text):
            yield Finding(match.start(group), match.end(group), entity_type, score)
