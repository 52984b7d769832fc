"""A classifier and a CRF that read the same language: each finds people that the other misses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lexveil.nlp.taggers.contract import Tagger
from lexveil.nlp.text import Span

if TYPE_CHECKING:
    from lexveil.nlp.taggers.transformer import Posteriors, TokenClassifier

# Below it, the classifier is sure that a word may stay. Chosen on German terms of service and on the even
# sentences of the development part of Legal-Entity-Recognition, where it costs no name.
_SURE = 0.004
_PERSON = "PERSON"
# What a CRF finds by the shape of words, and a classifier may reject.
_REJECTED = frozenset({_PERSON, "LOCATION"})


@dataclass(frozen=True, slots=True)
class PairedTagger:
    """A `Tagger`: the findings of a CRF, less people and places that the classifier is sure are none.

    To them come the people that the classifier alone finds. Of other types the CRF decides, which was trained
    on the law of its language.

    Attributes:
        crf: the CRF; its languages are those of the pair.
        classifier: the classifier.
    """

    crf: Tagger
    classifier: TokenClassifier

    @property
    def languages(self) -> frozenset[str] | None:
        """The languages of the CRF."""
        return self.crf.languages

    @property
    def insists(self) -> bool:
        """True if the CRF insists."""
        return self.crf.insists

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the sorted spans of each text."""
        found = zip(texts, self.crf.tag(texts), self.classifier.posteriors(texts), strict=True)
        return [sorted(self._combine(text, spans, posteriors)) for text, spans, posteriors in found]

    def _combine(self, text: str, spans: Sequence[Span], posteriors: Posteriors) -> Iterator[Span]:
        for span in spans:
            if span.type not in _REJECTED or posteriors.of(span.start, span.end) >= _SURE:
                yield span
        for span in self.classifier.choose(text, posteriors):
            alone = not any(one.start < span.end and span.start < one.end for one in spans)
            if span.type == _PERSON and alone:
                yield span
