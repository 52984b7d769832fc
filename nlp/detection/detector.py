"""Find the spans of personal information in a text.

Steps: normalize the text, detect its language, read it window by window with rules and a learned detector,
protect citations, resolve overlaps, propagate names through the document, resolve overlaps again, and
translate the offsets to the original text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from lexveil.nlp.batching import batch_by_count
from lexveil.nlp.citations import citations
from lexveil.nlp.citations.cases import find_case_citations
from lexveil.nlp.detection.language import SERVED_LANGUAGES, detect_language, select_rules
from lexveil.nlp.detection.lists import StringLists
from lexveil.nlp.detection.ordinary import drop_lower_case, drop_ordinary
from lexveil.nlp.detection.overlaps import drop_touching, resolve_overlaps
from lexveil.nlp.detection.people import (
    complete_people,
    drop_contradicted,
    retype_people,
    split_cells,
    split_people,
    trim_people,
    widen_people,
)
from lexveil.nlp.detection.propagation import drop_implausible, propagate
from lexveil.nlp.detection.windows import split_windows
from lexveil.nlp.recognizers.own_rules import NO_RULES, OwnRules, compute_rules_digest
from lexveil.nlp.recognizers.scores import LEARNED
from lexveil.nlp.taggers.casing import capitalize_lower_passages, read_scanned_letters
from lexveil.nlp.text import NormalizedText, Span
from lexveil.nlp.vocabulary import CONTINENTAL, UNKNOWN

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer
    from presidio_analyzer.nlp_engine import NlpArtifacts

    from lexveil.nlp.taggers.contract import Sensitivity, Tagger

KnownName = tuple[str, str]
"""A name and its entity type."""
RULES_ONLY = "rules"
DEFAULT_MODEL = "default"
# Languages whose rules alone find what needs a learned detector elsewhere.
_COVERED_BY_RULES = frozenset({"zh"})
_BATCH = 32
# Findings that a statute or an institution by its name does not overrule if they reach beyond it.
_CLAIMS = frozenset({"PERSON", "ADDRESS", "ID_NUMBER", "ACCOUNT_NUMBER"})
# Long unbroken runs (an encoded image, a drawn line) contain no name but make patterns take quadratic time.
_IN_WORD = re.compile(r"\w")
_RUN = re.compile(r"[A-Za-z0-9+/=_]{200,}|([^\w\s])\1{100,}|[^\S\n]{200,}")


@dataclass(frozen=True, slots=True)
class Detection:
    """Result of a detection.

    Attributes:
        spans: sorted, non-overlapping spans in characters of the text as given.
        language: ISO 639-1 code, or "" if there is too little text to decide.
        served: False if neither a learned detector nor a complete set of rules covers the language: such a
            document needs human review.
    """

    spans: tuple[Span, ...] = field(repr=False)
    language: str
    served: bool


class _Part(NamedTuple):
    """A window of one of the documents, with the languages whose rules read it.

    Learned detectors read `cased`, where passages without capitals have some.
    """

    document: int
    start: int
    text: str
    cased: str
    languages: tuple[str, ...]


class Detector:
    """Detector of personal information by rules and, if given, learned detectors.

    It is expensive to load; `Detector.load` keeps one per process.
    """

    def __init__(self, *taggers: Tagger, own: OwnRules = NO_RULES) -> None:
        """Combine the rules with the learned detectors `taggers`.

        Args:
            taggers: learned detectors; a text is read by the first that knows its language.
            own: rules of the office.

        Raises:
            lexveil.nlp.recognizers.own_rules.OwnRulesError: they cannot be used.
        """
        from lexveil.nlp.recognizers.engine import build_analyzer, taggers_by_language

        self._taggers = taggers_by_language(taggers)
        self._analyzer = build_analyzer(self._taggers, _load_own(own))
        self._lists = StringLists(own)
        known = (tagger.languages or () for tagger in taggers)
        self._served = _COVERED_BY_RULES.union(*known) if taggers else SERVED_LANGUAGES
        self._any_language = any(tagger.languages is None for tagger in taggers)
        self._insists = any(tagger.insists for tagger in taggers)

    @classmethod
    def load(
        cls, model: str = DEFAULT_MODEL, sensitivity: Sensitivity = "balanced", own: OwnRules = NO_RULES
    ) -> Detector:
        """Return the process's detector of this kind.

        Args:
            model: "light", "default", "multilingual", "rules" (no learned detector), or the path of a local
                token-classification folder.
            sensitivity: the operating point of the learned detector.
            own: rules of the office.

        Raises:
            ValueError: the sensitivity does not exist.
            lexveil.nlp.recognizers.own_rules.OwnRulesError: the rules of the office cannot be used.
            lexveil.nlp.taggers.contract.TaggerError: the learned detector cannot be used.
        """
        # A file of rules may have changed since this process has loaded it.
        return _load(model, sensitivity, own, compute_rules_digest(own) if own else "")

    def detect(self, text: str) -> list[Span]:
        """Return sorted, non-overlapping spans in characters of `text`, which may have any length."""
        return list(self.detect_many([text])[0].spans)

    def detect_many(
        self,
        texts: Sequence[str],
        language: str | None = None,
        known: Sequence[Sequence[KnownName]] | None = None,
    ) -> list[Detection]:
        """Detect in each text: windows of many texts share one call of the model.

        Args:
            texts: the texts.
            language: ISO 639-1 code of the language of all texts; None: that of each is detected.
            known: names that are looked for in each text, whether or not a detector finds them.
        """
        documents = [_blank_long_runs(NormalizedText.of(text)) for text in texts]
        languages = [language or detect_language(document.text) for document in documents]
        cased = [
            capitalize_lower_passages(read_scanned_letters(document.text), main)
            for document, main in zip(documents, languages, strict=True)
        ]
        found: list[set[Span]] = [set() for _ in texts]
        parts = (
            _Part(
                index,
                window.start,
                window.text,
                cased[index][window.start : window.start + len(window.text)],
                self._select_rules(window.text, language),
            )
            for index, (document, language) in enumerate(zip(documents, languages, strict=True))
            for window in split_windows(document.text)
            if not window.text.isspace()
        )
        for part, spans in self._analyze(parts):
            found[part.document].update(spans)
        return [
            Detection(
                tuple(
                    _settle_document(
                        document,
                        capitals,
                        spans if self._serves(language) else drop_lower_case(capitals, spans),
                        self._insists,
                        self._lists,
                        names,
                        language,
                    )
                ),
                language,
                self._serves(language),
            )
            for document, capitals, spans, language, names in zip(
                documents, cased, found, languages, known or [()] * len(texts), strict=True
            )
        ]

    def _select_rules(self, text: str, main: str) -> tuple[str, ...]:
        """Return the languages whose rules read a part of a document in the language `main`."""
        languages = select_rules(text, main)
        if CONTINENTAL in languages and not self._serves(main):
            return tuple(UNKNOWN if language == CONTINENTAL else language for language in languages)
        return languages

    def _serves(self, language: str) -> bool:
        return self._any_language or language in self._served or not language

    def _analyze(self, parts: Iterable[_Part]) -> Iterator[tuple[_Part, list[Span]]]:
        for batch in batch_by_count(parts, _BATCH):
            artifacts = self._run_taggers(batch)
            for index, part in enumerate(batch):
                for language in part.languages:
                    spans = self._analyzer.find_spans(part.text, language, artifacts[index])
                    yield part, [_move(span, part.start) for span in spans]

    def _run_taggers(self, batch: Sequence[_Part]) -> dict[int, NlpArtifacts]:
        """Return the findings of the learned detectors for each part, by its index in the batch."""
        artifacts: dict[int, NlpArtifacts] = {}
        chosen = [self._choose_taggers(part.languages) for part in batch]
        for language in sorted({language for languages in chosen for language in languages}):
            indices = [index for index, languages in enumerate(chosen) if language in languages]
            texts = (batch[index].cased for index in indices)
            results = self._analyzer.nlp_engine.process_batch(texts, language)
            for index, (_, result) in zip(indices, results, strict=True):
                if index in artifacts:
                    artifacts[index].entities += result.entities
                else:
                    artifacts[index] = result
        return artifacts

    def _choose_taggers(self, languages: Sequence[str]) -> Sequence[str]:
        """Return the languages whose learned detectors read a part: one, and Chinese beside another."""
        known = [language for language in languages if language in self._taggers]
        apart = [language for language in known[1:] if language == "zh" and self._taggers["zh"].languages]
        return [*known[:1], *apart] or languages[:1]


@lru_cache(maxsize=4)
def _load(model: str, sensitivity: Sensitivity, own: OwnRules, digest: str) -> Detector:
    del digest
    from lexveil.nlp.taggers import load_taggers

    return Detector(*(() if model == RULES_ONLY else load_taggers(model, sensitivity)), own=own)


def _load_own(own: OwnRules) -> list[EntityRecognizer]:
    if not own.recognizers and not own.files:
        return []
    from lexveil.nlp.recognizers.own_recognizers import load_recognizers

    return load_recognizers(own)


def _blank_long_runs(document: NormalizedText) -> NormalizedText:
    return replace(document, text=_RUN.sub(lambda run: "\n" * len(run.group()), document.text))


def _move(span: Span, offset: int) -> Span:
    return Span(span.start + offset, span.end + offset, span.type, span.score, span.recognizer)


def _find_law(text: str, own_numbers: Iterable[str], found: Iterable[Span]) -> Iterator[tuple[int, int]]:
    """Yield the citations, which stay readable, except those of the document's own case or within `found`."""

    def is_own(start: int, end: int) -> bool:
        return any(number in text[start:end] for number in own_numbers)

    claimed = [(span.start, span.end) for span in found if span.type in _CLAIMS]
    for start, end in citations(text, claimed):
        if not is_own(start, end):
            yield start, end
            continue
        # Consecutive citations form one range.
        for first, last in find_case_citations(text[start:end]):
            if not is_own(start + first, start + last):
                yield start + first, start + last


def _settle_document(
    document: NormalizedText,
    cased: str,
    found: Iterable[Span],
    insists: bool,
    lists: StringLists,
    known: Iterable[KnownName],
    language: str,
) -> list[Span]:
    """Combine the findings of all windows to the spans of the document, in original characters.

    Args:
        document: the text as written.
        cased: the same with capitals where a passage has none.
        found: the findings.
        insists: findings of the learned detector stay even if the document contradicts them.
        lists: strings that are always masked, and never.
        known: further names that are looked for.
        language: ISO 639-1 code of the document, or "".
    """
    from lexveil.nlp.recognizers.case_number import find_own_numbers

    text = document.text
    numbers = find_own_numbers(text)
    people = split_people(cased, widen_people(text, _select_plausible(cased, found, insists, language)))
    plausible = trim_people(cased, people)
    law = list(_find_law(text, numbers, plausible))
    likely = drop_touching(plausible, law)
    first = resolve_overlaps(text, [*likely, *_find_own_numbers(text, numbers)])
    first = resolve_overlaps(text, retype_people(cased, first, text, language))
    masked, _ = lists.split_allowed(text, first)
    seen = {(span.start, span.end, span.type) for span in first}
    repeated = [
        span
        for span in propagate(cased, masked, known, language)
        if (span.start, span.end, span.type) not in seen
    ]
    spans = resolve_overlaps(text, [*first, *drop_touching(repeated, law)])
    spans = complete_people(text, spans, law, language)
    return [_to_original(document, span) for span in lists.settle(text, spans)]


def _select_plausible(text: str, found: Iterable[Span], insists: bool, language: str) -> list[Span]:
    """Drop implausible findings; at the strict point those of a learned detector are all kept.

    There, masking too much is the smaller harm.
    """
    spans = drop_ordinary(text, drop_contradicted(text, split_cells(text, sorted(found)), language), language)
    sure = [span for span in spans if insists and span.recognizer == LEARNED]
    others = [span for span in spans if not (insists and span.recognizer == LEARNED)]
    return [*drop_implausible(text, others), *sure]


def _find_own_numbers(text: str, numbers: Iterable[str]) -> Iterator[Span]:
    for number in numbers:
        start = text.find(number)
        while start >= 0:
            end = start + len(number)
            alone = not ((start and _IN_WORD.match(text, start - 1)) or _IN_WORD.match(text, end))
            if alone:
                yield Span(start, end, "CASE_NUMBER", 0.95, "CaseNumberRecognizer")
            start = text.find(number, end if alone else start + 1)


def _to_original(document: NormalizedText, span: Span) -> Span:
    start, end = document.to_original(span.start, span.end)
    return span if (start, end) == (span.start, span.end) else replace(span, start=start, end=end)
