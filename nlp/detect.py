"""Text -> spans of personal information.

normalise -> citations -> recognizers, window by window -> settle overlaps -> propagate through the
document -> settle again -> offsets of the original text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from nlp.citations import citations
from nlp.overlaps import outside, resolve
from nlp.propagation import plausible, propagate
from nlp.text import NormalisedText, Span

if TYPE_CHECKING:
    from presidio_analyzer import RecognizerResult
    from presidio_analyzer.nlp_engine import NlpArtifacts

    from nlp.recognizers.engine import Analyzer

# Presidio compares all results of a call with each other, so windows are short; they overlap so that
# what stands across a cut is whole in one of the two.
_WINDOW = 4000
_OVERLAP = 200
_BATCH = 16
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_LATIN = re.compile(r"[A-Za-z]+")
# Runs without a break (an encoded picture, a drawn line) hold no name and cost patterns a quadratic time.
_RUN = re.compile(r"[A-Za-z0-9+/=_]{200,}|([^\w\s])\1{100,}|[^\S\n]{200,}")
_ENGLISH_SHARE = 0.2
_CUTS = ("\n\n", "\n", "。", ". ", ";", ", ", " ")


class _Window(NamedTuple):
    document: int
    start: int
    text: str
    languages: tuple[str, ...]


class Detector:
    """Finds personal information. Heavy to load, so one per process: use `Detector.load`."""

    def __init__(self, analyzer: Analyzer) -> None:
        self._analyzer = analyzer

    @classmethod
    def load(cls, languages: Sequence[str] = ("en", "zh")) -> Detector:
        """The process's detector for these languages.

        Raises:
            ValueError: a language without recognizers.
        """
        return _load(tuple(sorted(set(languages))))

    def detect(self, text: str) -> list[Span]:
        """Sorted, non-overlapping spans in characters of `text`, which may have any length."""
        return self.detect_many([text])[0]

    def detect_many(self, texts: Sequence[str]) -> list[list[Span]]:
        """`detect` of each text: the model reads the windows of many short texts at once."""
        normalised = [_readable(NormalisedText.of(text)) for text in texts]
        found: list[list[Span]] = [[] for _ in texts]
        windows = (
            window
            for index, document in enumerate(normalised)
            for window in _windows(index, document.text, self._analyzer.supported_languages)
        )
        for window, artifacts in self._read(windows):
            for language in window.languages:
                results = self._analyzer.analyze(window.text, language, nlp_artifacts=artifacts)
                found[window.document] += (_span(result, window.start) for result in results)
        return [_of_document(document, spans) for document, spans in zip(normalised, found, strict=True)]

    def _read(self, windows: Iterable[_Window]) -> Iterator[tuple[_Window, NlpArtifacts]]:
        """Windows in order, each with its artifacts; the model reads those that hold English."""
        engine = self._analyzer.nlp_engine
        for language, run in groupby(windows, key=lambda w: "en" if "en" in w.languages else w.languages[0]):
            batch: list[_Window] = []
            for window in run:
                batch.append(window)
                if len(batch) == _BATCH:
                    yield from _artifacts_of(engine, batch, language)
                    batch = []
            yield from _artifacts_of(engine, batch, language)


def _artifacts_of(
    engine: object, batch: list[_Window], language: str
) -> Iterator[tuple[_Window, NlpArtifacts]]:
    from nlp.recognizers.engine import NerEngine

    assert isinstance(engine, NerEngine)
    read = engine.process_batch((window.text for window in batch), language)
    yield from ((window, artifacts) for window, (_, artifacts) in zip(batch, read, strict=True))


@lru_cache(maxsize=4)
def _load(languages: tuple[str, ...]) -> Detector:
    from nlp.recognizers.engine import build_analyzer

    return Detector(build_analyzer(languages))


def _readable(document: NormalisedText) -> NormalisedText:
    return replace(document, text=_RUN.sub(lambda run: "\n" * len(run.group()), document.text))


def _windows(document: int, text: str, supported: Sequence[str]) -> Iterator[_Window]:
    start = 0
    while start < len(text):
        end = _cut(text, start)
        piece = text[start:end]
        languages = tuple(language for language in _languages(piece) if language in supported)
        yield _Window(document, start, piece, languages or (supported[0],))
        if end == len(text):
            return
        start = _resume(text, start, end)


def _cut(text: str, start: int) -> int:
    """Where a window from `start` ends: after a paragraph if it can, else a line, a sentence, a word."""
    limit = start + _WINDOW
    if limit >= len(text):
        return len(text)
    for mark in _CUTS:
        at = text.rfind(mark, start + _WINDOW // 2, limit)
        if at >= 0:
            return at + len(mark)
    return limit


def _resume(text: str, start: int, end: int) -> int:
    """The next window begins at a word about `_OVERLAP` characters before the last one's end."""
    if text.startswith("\n\n", end - 2):
        return end
    earliest = max(start + 1, end - _OVERLAP)
    line = text.find("\n", earliest, end - 1)
    if line >= 0:
        return line + 1
    space = text.find(" ", earliest, end - 1)
    return space + 1 if space >= 0 else earliest


def _languages(text: str) -> tuple[str, ...]:
    """Chinese rules where there is a Chinese character, English ones where there is enough English."""
    chinese = _HAN.search(text) is not None
    letters = sum(len(m.group()) for m in _LATIN.finditer(text))
    english = not chinese or letters > _ENGLISH_SHARE * len(text)
    return (("en",) if english else ()) + (("zh",) if chinese else ())


def _span(result: RecognizerResult, offset: int) -> Span:
    name = (result.recognition_metadata or {}).get("recognizer_name", "")
    return Span(result.start + offset, result.end + offset, result.entity_type, result.score, name)


def _of_document(document: NormalisedText, found: list[Span]) -> list[Span]:
    from nlp.recognizers.case_number import own_numbers

    text = document.text
    own = own_numbers(text)
    law = [(s, e) for s, e in citations(text) if not any(number in text[s:e] for number in own)]
    mine = [
        Span(m.start(), m.end(), "CASE_NUMBER", 0.95, "CaseNumberRecognizer")
        for number in own
        for m in re.finditer(rf"(?<!\w){re.escape(number)}(?!\w)", text)
    ]
    first = resolve(text, [*outside(plausible(text, found), law), *mine])
    spans = resolve(text, [*first, *outside(propagate(text, first), law)])
    placed = []
    for span in spans:
        start, end = document.to_original(span.start, span.end)
        placed.append(Span(start, end, span.type, span.score, span.recognizer))
    return placed
