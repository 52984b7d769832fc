"""Mask a text, look at the outcome with other eyes, mask what was left, and say how it ended."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lexveil.nlp.citations import citations
from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.masking.mask import Kept, Masked, Place, Replacement, check_spans, mask
from lexveil.nlp.masking.policy import Policy, decide
from lexveil.nlp.masking.scope import Scope
from lexveil.nlp.masking.second_pass import FATAL, Leftover, SecondPass
from lexveil.nlp.text import NormalizedText, Span

Verdict = Literal["PASS", "REVIEW", "FAIL"]
SECOND_PASS = "SecondPass"  # noqa: S105
PIECE = 1 << 20
_REPAIRS = 4
_AROUND = 1000


@dataclass(frozen=True, slots=True)
class Piece:
    """A slice of a document from `start` on, with the spans in it; all other offsets are the slice's own.

    `readable` are places that a reviewer wants kept, with every other place of the same string.
    """

    start: int
    text: str = field(repr=False)
    spans: tuple[Span, ...] = field(repr=False)
    readable: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """Masked text and what the second pass says of it.

    Attributes:
        reasons: how often each was met: `string`, `surname`, `rule` and `revealed` where something is left
            (FAIL); `near`, `ambiguous`, `language` and `reviewer` where a human should look (REVIEW);
            `repaired` counts what was left at first and masked then.
    """

    masked: Masked
    reasons: Mapping[str, int]

    @property
    def text(self) -> str:
        return self.masked.text

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.reasons)


def verdict_of(reasons: Mapping[str, int]) -> Verdict:
    """The verdict over what was met in a document."""
    if any(reasons.get(reason) for reason in FATAL):
        return "FAIL"
    return "REVIEW" if any(n for reason, n in reasons.items() if reason != "repaired") else "PASS"


def pieces_of(text: str, spans: Sequence[Span], readable: Sequence[Place] = ()) -> Iterator[Piece]:
    """A document in pieces of at most `PIECE` characters, cut at paragraphs and never inside of a span.

    Raises:
        ValueError: spans unsorted, overlapping, empty or outside of the text.
    """
    check_spans(len(text), spans)
    start = place = 0
    while start < len(text) or start == 0:
        end = _cut(text, start)
        first = place
        while place < len(spans) and spans[place].start < end:
            place += 1
        end = max(end, spans[place - 1].end) if place > first else end
        yield Piece(
            start,
            text[start:end],
            tuple(replace(s, start=s.start - start, end=s.end - start) for s in spans[first:place]),
            tuple((a - start, b - start) for a, b in readable if start <= a and b <= end),
        )
        if end >= len(text):
            return
        start = end


def _cut(text: str, start: int) -> int:
    limit = start + PIECE
    if limit >= len(text):
        return len(text)
    for mark in ("\n\n", "\n", " "):
        found = text.rfind(mark, start + PIECE // 2, limit)
        if found >= 0:
            return found + len(mark)
    return limit


def anonymise(
    pieces: Callable[[], Iterable[Piece]], policy: Policy, scope: Scope, served: bool = True
) -> Iterator[Checked]:
    """Mask the pieces of one document by `policy` and check them, each against what is masked in all.

    `pieces` gives them anew at each call, so that no more than one need be in memory. `scope` knows the
    mentions of the document, alone or with those of its matter. `served` tells whether a learnt detector
    speaks the language: where none does, the document is to be reviewed. The document's verdict is
    `verdict_of` the sum of all reasons.
    """
    kept_types = frozenset(
        kind for kind in ENTITY_TYPES if decide(policy, Span(0, 1, kind, 1.0, "")) == "keep"
    )
    strings = {p.text[start:end] for p in pieces() for start, end in p.readable}
    check = SecondPass(kept_types, strings)
    works: list[_Work] = []
    several = False
    for number, piece in enumerate(pieces()):
        works = [_Work(piece, policy, scope, check)]
        check.learn(works[0].masked)
        several = number > 0
    remaining = works if not several else (_Work(piece, policy, scope, check) for piece in pieces())
    for number, work in enumerate(remaining):
        reasons = work.repair()
        reasons["language"] = int(not served and number == 0)
        yield Checked(work.masked, {reason: n for reason, n in sorted(reasons.items()) if n})


def anonymise_text(
    text: str,
    spans: Sequence[Span],
    policy: Policy,
    scope: Scope,
    served: bool = True,
    readable: Sequence[Place] = (),
) -> Checked:
    """`anonymise` of a document that is in memory whole.

    Raises:
        ValueError: spans unsorted, overlapping, empty or outside of the text.
    """
    cut = list(pieces_of(text, spans, readable))
    return united(zip(cut, anonymise(lambda: cut, policy, scope, served), strict=True))


def united(done: Iterable[tuple[Piece, Checked]]) -> Checked:
    """The pieces of a document as one, with offsets of the whole."""
    texts: list[str] = []
    replacements: list[Replacement] = []
    kept: list[Kept] = []
    reasons: Counter[str] = Counter()
    length = 0
    for piece, checked in done:
        replacements += (r.moved(length, piece.start) for r in checked.masked.replacements)
        kept += (k.moved(piece.start) for k in checked.masked.kept)
        reasons.update(checked.reasons)
        texts.append(checked.text)
        length += len(checked.text)
    masked = Masked("".join(texts), tuple(replacements), tuple(kept))
    return Checked(masked, dict(sorted(reasons.items())))


class _Work:
    """One piece between its passes: the spans as they stand, and what was said about single ones."""

    def __init__(self, piece: Piece, policy: Policy, scope: Scope, check: SecondPass) -> None:
        self._text = piece.text
        self._spans = list(piece.spans)
        self._readable = sorted(piece.readable)
        self._policy = policy
        self._scope = scope
        self._check = check
        self._aliases: dict[Place, int] = {}
        self._plain: set[Place] = set()
        self.masked = self._mask()

    def repair(self) -> Counter[str]:
        """Mask what is left until nothing is. Returns why somebody should look, and what failed."""
        reasons: Counter[str] = Counter()
        left, reasons["reviewer"] = self._left()
        for _ in range(_REPAIRS):
            fatal = [one for one in left if one.reason in FATAL]
            if not fatal:
                break
            reasons["repaired"] += len(fatal)
            self._add(fatal)
            self.masked = self._mask()
            self._check.learn(self.masked)
            left, reasons["reviewer"] = self._left()
        near = self._lawful(self._check.near_spellings(self.masked))
        reasons.update(str(one.reason) for one in [*left, *near])
        return reasons

    def _mask(self) -> Masked:
        return mask(self._text, self._spans, self._policy, self._scope, self._aliases, self._plain)

    def _left(self) -> tuple[list[Leftover], int]:
        """What is left, and how much of what can't be mistaken a reviewer wants readable all the same."""
        left = self._check.leftovers(self.masked)
        asked = [one for one in left if not self._is_readable(one)]
        overruled = sum(one.reason == "rule" for one in left) - sum(one.reason == "rule" for one in asked)
        return self._lawful(asked), overruled

    def _lawful(self, left: Sequence[Leftover]) -> list[Leftover]:
        """Without what stands in a citation. Rule findings can't be mistaken, so law doesn't excuse them."""
        named = [one for one in left if one.reason not in ("rule", "revealed")]
        law = _law_around(self._text, named)
        starts = [start for start, _ in law]

        def touches(one: Leftover) -> bool:
            place = bisect_left(starts, one.end) - 1
            return place >= 0 and law[place][1] > one.start

        return [one for one in left if one.reason in ("rule", "revealed") or not touches(one)]

    def _add(self, fatal: Sequence[Leftover]) -> None:
        """Mask what was left. What the policy keeps gives way where something else was found inside of it."""
        made: list[Span] = []
        for one in fatal:
            if one.reason == "revealed":
                self._plain.add((one.start, one.end))
                continue
            made.append(Span(one.start, one.end, one.type, 1.0, SECOND_PASS))
            if one.entity is not None:
                self._aliases[one.start, one.end] = one.entity
        self._spans = _merged(self._spans, made)

    def _is_readable(self, one: Leftover) -> bool:
        place = bisect_left(self._readable, (one.start + 1, 0)) - 1
        return place >= 0 and one.end <= self._readable[place][1]


def _merged(spans: Sequence[Span], made: Collection[Span]) -> list[Span]:
    """Both, sorted; of a span that a made one overlaps, what lies outside of it stays a span."""
    result: list[Span] = []
    cuts = sorted(made)
    starts = [cut.start for cut in cuts]
    for span in spans:
        start = span.start
        place = max(0, bisect_left(starts, span.start) - 1)
        while place < len(cuts) and cuts[place].start < span.end:
            cut = cuts[place]
            if cut.end > start:
                if cut.start > start:
                    result.append(replace(span, start=start, end=cut.start))
                start = max(start, cut.end)
            place += 1
        if start < span.end:
            result.append(replace(span, start=start))
    return sorted([*result, *cuts])


def _law_around(text: str, left: Sequence[Leftover]) -> list[Place]:
    """The citations about the given places, in characters of `text`."""
    windows: list[list[int]] = []
    for one in sorted(left, key=lambda one: one.start):
        start, end = max(0, one.start - _AROUND), min(len(text), one.end + _AROUND)
        if windows and start <= windows[-1][1]:
            windows[-1][1] = max(end, windows[-1][1])
        else:
            windows.append([start, end])
    found: list[Place] = []
    for start, end in windows:
        window = NormalizedText.of(text[start:end])
        for first, last in citations(window.text):
            first, last = window.to_original(first, last)
            found.append((start + first, start + last))
    return sorted(found)
