"""The spans of a learned detector, as a Presidio recognizer over the artifacts of `TaggerEngine`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from presidio_analyzer import RecognizerResult

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.recognizers.base import Finding, RuleRecognizer
from lexveil.nlp.recognizers.scores import LEARNED
from lexveil.nlp.text import Span


class TaggerRecognizer(RuleRecognizer):
    """Spans with their probability as score; `TaggerEngine` has read the window before."""

    NAME = LEARNED
    TYPES = ENTITY_TYPES

    def find(self, text: str) -> Iterator[Finding]:
        """Yield nothing: a learned detector is not a rule over the text."""
        del text
        return iter(())

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """Return the spans in `nlp_artifacts` whose types are in `entities`."""
        spans: list[Span] = nlp_artifacts.entities if nlp_artifacts else []
        return [self.result(Finding(s.start, s.end, s.type, s.score)) for s in spans if s.type in entities]
