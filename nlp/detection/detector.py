"""Text -> spans of personal information.

normalise -> language -> rules and the learnt detector, window by window -> citations shielded -> settle
overlaps -> propagate through the document -> settle again -> offsets of the original text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from lexveil.nlp.citations import citations
from lexveil.nlp.citations.cases import case_citations
from lexveil.nlp.detection.language import SERVED, language_of, rules_for
from lexveil.nlp.detection.overlaps import outside, resolve
from lexveil.nlp.detection.propagation import plausible, propagate
from lexveil.nlp.detection.windows import windows
from lexveil.nlp.recognizers.scores import LEARNED
from lexveil.nlp.text import NormalizedText, Span

if TYPE_CHECKING:
    from presidio_analyzer import RecognizerResult
    from presidio_analyzer.nlp_engine import NlpArtifacts

    from lexveil.nlp.taggers.contract import Sensitivity, Tagger

RULES_ALONE = "rules"
DEFAULT_MODEL = "default"
# Languages whose rules alone find what a learnt detector finds elsewhere.
_BY_RULES = frozenset({"zh"})
_BATCH = 32
# Runs without a break (an encoded picture, a drawn line) hold no name and cost patterns a quadratic time.
_RUN = re.compile(r"[A-Za-z0-9+/=_]{200,}|([^\w\s])\1{100,}|[^\S\n]{200,}")


@dataclass(frozen=True, slots=True)
class Detection:
    """What was found in a text: sorted, non-overlapping spans in characters of the text as given.

    `language` is ISO 639-1, "" where there is too little text to say. `served` is False where neither a
    learnt detector nor a whole set of rules speaks it: such a document needs a person's eyes.
    """

    spans: tuple[Span, ...] = field(repr=False)
    language: str
    served: bool


class _Window(NamedTuple):
    document: int
    start: int
    text: str
    languages: tuple[str, ...]


class Detector:
    """Finds personal information by rules and, if given, learnt detectors.

    Heavy to load, so one per process: use `Detector.load`.
    """

    def __init__(self, *taggers: Tagger) -> None:
        """`taggers` are the learnt detectors; a text is read by the first that speaks its language."""
        from lexveil.nlp.recognizers.engine import build_analyzer, taggers_by_language

        self._taggers = taggers_by_language(taggers)
        self._analyzer = build_analyzer(self._taggers)
        self._served = _BY_RULES.union(self._taggers) if taggers else SERVED
        self._any_language = any(tagger.languages is None for tagger in taggers)
        self._insists = any(getattr(tagger, "insists", False) for tagger in taggers)

    @classmethod
    def load(cls, model: str = DEFAULT_MODEL, sensitivity: Sensitivity = "balanced") -> Detector:
        """The process's detector of this kind.

        `model` is "light", "default", "rules" (no learnt detector) or the path of a local
        token-classification folder.

        Raises:
            ValueError: no such sensitivity.
        """
        return _load(model, sensitivity)

    def detect(self, text: str) -> list[Span]:
        """Sorted, non-overlapping spans in characters of `text`, which may have any length."""
        return list(self.detect_many([text])[0].spans)

    def detect_many(self, texts: Sequence[str]) -> list[Detection]:
        """`detect` of each text, and its language: the model reads the windows of many texts at once."""
        normalised = [_readable(NormalizedText.of(text)) for text in texts]
        languages = [language_of(document.text) for document in normalised]
        found: list[set[Span]] = [set() for _ in texts]
        pieces = (
            _Window(index, window.start, window.text, rules_for(window.text, language))
            for index, (document, language) in enumerate(zip(normalised, languages, strict=True))
            for window in windows(document.text)
            if not window.text.isspace()
        )
        for window, spans in self._read(pieces):
            found[window.document].update(spans)
        return [
            Detection(tuple(_of_document(document, spans, self._insists)), language, self._serves(language))
            for document, spans, language in zip(normalised, found, languages, strict=True)
        ]

    def _serves(self, language: str) -> bool:
        return self._any_language or language in self._served or not language

    def _read(self, pieces: Iterable[_Window]) -> Iterator[tuple[_Window, list[Span]]]:
        engine = self._analyzer.nlp_engine
        for batch in _batches(pieces):
            seen: dict[int, NlpArtifacts] = {}
            speaker = [self._speaker(window.languages) for window in batch]
            for language in set(speaker):
                mine = [place for place, spoken in enumerate(speaker) if spoken == language]
                read = engine.process_batch((batch[place].text for place in mine), language)
                seen.update(zip(mine, (artifacts for _, artifacts in read), strict=True))
            for place, window in enumerate(batch):
                for language in window.languages:
                    results = self._analyzer.analyze(window.text, language, nlp_artifacts=seen[place])
                    yield window, [_span(result, window.start) for result in results]

    def _speaker(self, languages: Sequence[str]) -> str:
        """The language whose learnt detector reads a window."""
        return next((language for language in languages if language in self._taggers), languages[0])


@lru_cache(maxsize=4)
def _load(model: str, sensitivity: Sensitivity) -> Detector:
    from lexveil.nlp import taggers as learnt

    return Detector(*(() if model == RULES_ALONE else learnt.load(model, sensitivity)))


def _batches(pieces: Iterable[_Window]) -> Iterator[list[_Window]]:
    pieces = iter(pieces)
    while batch := list(islice(pieces, _BATCH)):
        yield batch


def _readable(document: NormalizedText) -> NormalizedText:
    return replace(document, text=_RUN.sub(lambda run: "\n" * len(run.group()), document.text))


def _span(result: RecognizerResult, offset: int) -> Span:
    name = (result.recognition_metadata or {}).get("recognizer_name", "")
    return Span(result.start + offset, result.end + offset, result.entity_type, result.score, name)


def _law(text: str, own: Iterable[str]) -> Iterator[tuple[int, int]]:
    """What stays readable: the citations but those of the very case that the document is about."""

    def is_own(start: int, end: int) -> bool:
        return any(number in text[start:end] for number in own)

    for start, end in citations(text):
        if not is_own(start, end):
            yield start, end
            continue
        # Citations in a row are one range.
        for first, last in case_citations(text[start:end]):
            if not is_own(start + first, start + last):
                yield start + first, start + last


def _of_document(document: NormalizedText, found: Iterable[Span], insists: bool) -> list[Span]:
    from lexveil.nlp.recognizers.case_number import own_numbers

    text = document.text
    own = own_numbers(text)
    law = list(_law(text, own))
    mine = [
        Span(m.start(), m.end(), "CASE_NUMBER", 0.95, "CaseNumberRecognizer")
        for number in own
        for m in re.finditer(rf"(?<!\w){re.escape(number)}(?!\w)", text)
    ]
    guesses = sorted(found)
    # At the strict point what is masked too much is the smaller harm.
    sure = [span for span in guesses if insists and span.recognizer == LEARNED]
    rest = [span for span in guesses if not (insists and span.recognizer == LEARNED)]
    kept = [*plausible(text, rest), *sure]
    first = resolve(text, [*outside(kept, law), *mine])
    spans = resolve(text, [*first, *outside(propagate(text, first), law)])
    placed = []
    for span in spans:
        start, end = document.to_original(span.start, span.end)
        placed.append(Span(start, end, span.type, span.score, span.recognizer))
    return placed
