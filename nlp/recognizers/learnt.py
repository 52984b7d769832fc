"""What a learnt detector saw, as a Presidio recognizer over the artifacts of `LearntEngine`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from presidio_analyzer import RecognizerResult

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.recognizers.base import Found, RuleRecognizer
from lexveil.nlp.text import Span


class LearntRecognizer(RuleRecognizer):
    """Spans with their probability as score; `LearntEngine` has read the window before."""

    TYPES = ENTITY_TYPES

    def find(self, text: str) -> Iterator[Found]:
        del text
        return iter(())

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        spans: list[Span] = nlp_artifacts.entities if nlp_artifacts else []
        return [self.result(Found(s.start, s.end, s.type, s.score)) for s in spans if s.type in entities]
