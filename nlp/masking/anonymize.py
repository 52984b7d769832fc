"""Mask a document, check the result independently, mask what remains, and return a verdict."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Literal

from lexveil.nlp.citations import citations
from lexveil.nlp.citations.cases import find_case_citations
from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.nlp.masking.folding import fold_words
from lexveil.nlp.masking.mask import KeptSpan, MaskedText, Range, Replacement, check_spans, mask_text
from lexveil.nlp.masking.policy import Policy, decide_action
from lexveil.nlp.masking.scope import Scope
from lexveil.nlp.masking.second_pass import FATAL, Leftover, SecondPass
from lexveil.nlp.recognizers.scores import SECOND_PASS
from lexveil.nlp.taggers.casing import find_lower_passages
from lexveil.nlp.text import NormalizedText, Span

Verdict = Literal["PASS", "REVIEW", "FAIL"]

PIECE_SIZE = 1 << 20
"""Characters of a document that are in memory at once."""

MAX_REPAIRS = 4
"""Number of times that the leftovers of a piece are masked before it fails."""

_CONTEXT = 1000
_BETWEEN_HALVES = re.compile(r"[ \n]")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
# Rules that find a leftover with certainty, and generalizations: these are leftovers even within a citation.
_NOT_LAW = frozenset({"rule", "revealed"})

_FindLaw = Callable[[str], Iterable[Range]]


@dataclass(frozen=True, slots=True)
class Piece:
    """A slice of a document.

    Attributes:
        start: offset of the slice in the document. All other offsets are within the slice.
        text: its characters.
        spans: the spans in it.
        readable: ranges that a reviewer wants to keep, with all other places of the same string.
    """

    start: int
    text: str = field(repr=False)
    spans: tuple[Span, ...] = field(repr=False)
    readable: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedText:
    """Masked text with the result of the second pass.

    Attributes:
        masked: the masked text.
        reasons: number of occurrences by reason: `string`, `surname`, `rule` and `revealed` for leftovers
            (FAIL); `near`, `ambiguous`, `unseen`, `likely`, `rare`, `case`, `language` and `reviewer` for
            what to check (REVIEW); `repaired` counts leftovers that were masked.
        doubts: where the leftovers are, in characters of the original text.
    """

    masked: MaskedText
    reasons: Mapping[str, int]
    doubts: tuple[Leftover, ...] = ()

    @property
    def text(self) -> str:
        """The masked text."""
        return self.masked.text

    @property
    def verdict(self) -> Verdict:
        """The verdict that follows from the reasons."""
        return derive_verdict(self.reasons)


def derive_verdict(reasons: Mapping[str, int]) -> Verdict:
    """Return the verdict for the reasons found in a document."""
    if any(reasons.get(reason) for reason in FATAL):
        return "FAIL"
    return "REVIEW" if any(n for reason, n in reasons.items() if reason != "repaired") else "PASS"


def split_pieces(
    text: str, spans: Sequence[Span], readable: Sequence[Range] = (), size: int = PIECE_SIZE
) -> Iterator[Piece]:
    """Yield a document in pieces of at most `size` characters, cut at paragraphs and never within a span.

    Args:
        text: the document.
        spans: its spans, sorted and without overlaps.
        readable: ranges that a reviewer wants to keep.
        size: largest number of characters; a span at the end of a piece may exceed it.

    Raises:
        ValueError: spans are unsorted, overlapping, empty or outside of the text.
    """
    check_spans(len(text), spans)
    start = index = 0
    while start < len(text) or start == 0:
        end = _find_cut(text, start, size)
        first = index
        while index < len(spans) and spans[index].start < end:
            index += 1
        end = max(end, spans[index - 1].end) if index > first else end
        yield Piece(
            start,
            text[start:end],
            tuple(replace(s, start=s.start - start, end=s.end - start) for s in spans[first:index]),
            tuple((a - start, b - start) for a, b in readable if start <= a and b <= end),
        )
        if end >= len(text):
            return
        start = end


def _find_cut(text: str, start: int, size: int) -> int:
    limit = start + size
    if limit >= len(text):
        return len(text)
    for mark in ("\n\n", "\n", " "):
        position = text.rfind(mark, start + size // 2, limit)
        if position >= 0:
            return position + len(mark)
    return limit


def anonymize_pieces(
    pieces: Callable[[], Iterable[Piece]],
    policy: Policy,
    scope: Scope,
    served: bool = True,
    repairs: int = MAX_REPAIRS,
    language: str = "",
) -> Iterator[CheckedText]:
    """Mask the pieces of one document and check each of them for everything that is masked in any.

    The verdict of the document is `derive_verdict` of the sum of all reasons.

    Args:
        pieces: returns all pieces from the beginning at each call, so that only one must be in memory.
        policy: the policy.
        scope: the entities of the document, alone or with those of its matter.
        served: False if no detector covers the language; the document then needs review.
        repairs: number of times that leftovers are masked before the document fails.
        language: ISO 639-1 code of the document, or "".
    """
    kept_types = frozenset(
        kind for kind in ENTITY_TYPES if decide_action(policy, Span(0, 1, kind, 1.0, "")) == "keep"
    )
    strings = {p.text[start:end] for p in pieces() for start, end in p.readable}
    check = SecondPass(kept_types, strings)
    learned: _PieceMasking | None = None
    several = False
    for number, piece in enumerate(pieces()):
        learned = None  # else two pieces are in memory
        learned = _PieceMasking(piece, policy, scope, check)
        check.learn(learned.masked)
        several = number > 0
    if several:
        learned = None
    remaining = [learned] if learned else (_PieceMasking(piece, policy, scope, check) for piece in pieces())
    need_review = not served
    for masking in remaining:
        reasons, doubts = masking.repair(repairs, language if served else None)
        reasons["language"] = int(need_review)
        need_review = False
        counts = {reason: n for reason, n in sorted(reasons.items()) if n}
        checked = CheckedText(masking.masked, counts, tuple(doubts))
        del masking  # before the next piece is read
        check.forget_piece()
        yield checked
        del checked


def anonymize_text(
    text: str,
    spans: Sequence[Span],
    policy: Policy,
    scope: Scope,
    served: bool = True,
    readable: Sequence[Range] = (),
    *,
    size: int = PIECE_SIZE,
    repairs: int = MAX_REPAIRS,
    language: str = "",
) -> CheckedText:
    """Mask and check a document that is in memory; see `split_pieces` and `anonymize_pieces`.

    Raises:
        ValueError: spans are unsorted, overlapping, empty or outside of the text.
    """
    pieces = list(split_pieces(text, spans, readable, size))
    return join_pieces(
        zip(pieces, anonymize_pieces(lambda: pieces, policy, scope, served, repairs, language), strict=True)
    )


def join_pieces(done: Iterable[tuple[Piece, CheckedText]]) -> CheckedText:
    """Join the pieces of a document, with offsets in the whole document."""
    texts: list[str] = []
    replacements: list[Replacement] = []
    kept: list[KeptSpan] = []
    reasons: Counter[str] = Counter()
    doubts: list[Leftover] = []
    length = 0
    for piece, checked in done:
        replacements += (r.shift(length, piece.start) for r in checked.masked.replacements)
        kept += (k.shift(piece.start) for k in checked.masked.kept)
        reasons.update(checked.reasons)
        doubts += (doubt.shift(piece.start) for doubt in checked.doubts)
        texts.append(checked.text)
        length += len(checked.text)
    masked = MaskedText("".join(texts), tuple(replacements), tuple(kept))
    return CheckedText(masked, dict(sorted(reasons.items())), tuple(doubts))


class _PieceMasking:
    """The masking of one piece: its current spans, and the special treatment of single ones."""

    def __init__(self, piece: Piece, policy: Policy, scope: Scope, check: SecondPass) -> None:
        self._text = piece.text
        self._spans = list(piece.spans)
        self._readable = sorted(piece.readable)
        self._policy = policy
        self._scope = scope
        self._check = check
        self._aliases: dict[Range, int] = {}
        self._token_only: set[Range] = set()
        self.masked = self._mask()

    def repair(self, rounds: int, language: str | None) -> tuple[Counter[str], list[Leftover]]:
        """Mask leftovers until none remains, at most `rounds` times, and words that look like unseen names.

        These stay reasons for review: they may be none, and where one was missed, there may be others.

        Args:
            rounds: see above.
            language: language of the document; None: it needs review anyway, and is not searched for unseen
                names.

        Returns:
            The number of occurrences of each reason for review or failure, and where the leftovers are.
        """
        reasons: Counter[str] = Counter()
        left = self._mask_leftovers(rounds, reasons)
        doubts = list(self._find_doubts({leftover.start for leftover in left}, language))
        unseen = [self._name_neighbor(doubt) for doubt in doubts if doubt.reason == "unseen"]
        if unseen:
            self._add(unseen)
            self._mask_again()
            left = self._mask_leftovers(rounds, reasons)
        left = sorted({*left, *doubts})
        reasons.update(str(leftover.reason) for leftover in left)
        return reasons, left

    def _mask_leftovers(self, rounds: int, reasons: Counter[str]) -> list[Leftover]:
        """Mask what must not stay, count it, and return what is left."""
        left, reasons["reviewer"] = self._find_leftovers()
        for _ in range(rounds):
            fatal = [leftover for leftover in left if leftover.reason in FATAL]
            if not fatal:
                break
            reasons["repaired"] += len(fatal)
            self._add(fatal)
            self._mask_again()
            left, reasons["reviewer"] = self._find_leftovers()
        return left

    def _name_neighbor(self, doubt: Leftover) -> Leftover:
        """Return a word with the entity of the masked name beside it, or of the one that ends with it."""
        beside = (
            one.entity
            for one in self.masked.replacements
            if one.type == doubt.type
            and (
                _BETWEEN_HALVES.fullmatch(self._text, one.source_end, doubt.start)
                or _BETWEEN_HALVES.fullmatch(self._text, doubt.end, one.source_start)
            )
        )
        entity = next(beside, None)
        return replace(doubt, entity=self._find_namesake(doubt) if entity is None else entity)

    def _find_namesake(self, doubt: Leftover) -> int | None:
        """Return the one entity whose masked names end with a word: "Roe" is "Ada Roe"."""
        surname = fold_words(self._text[doubt.start : doubt.end].removesuffix("'s"))
        people = (one for one in self.masked.replacements if one.type == doubt.type == "PERSON")
        same = {one.entity for one in people if fold_words(one.original)[-1:] == surname}
        return same.pop() if len(same) == 1 else None

    def _mask_again(self) -> None:
        self.masked = self._mask()
        self._check.learn(self.masked)

    def _find_doubts(self, known: Set[int], language: str | None) -> Iterator[Leftover]:
        """Yield words that may be names and that no known range covers.

        Citations are not names. But a rule may mistake other words for law, so a word with a cue is doubtful
        even there, unless it is in the name of a cited case, which may contain titles.
        """
        doubts = self._check.find_near_spellings(self.masked)
        cued: list[Leftover] = []
        if language is not None:
            cued, others = self._check.find_unseen(self.masked, language)
            doubts += [*others, *self._find_lower_case(language)]
        likely = [*self._drop_law(cued, find_case_citations), *self._drop_law(doubts)]
        # Of several at one place, the surest is told, beside what holds for a whole passage.
        for one in {(one.start, one.reason == "case"): one for one in sorted(likely, key=_rank)}.values():
            if one.start not in known and not self._is_readable(one):
                yield one

    def _find_lower_case(self, language: str) -> Iterator[Leftover]:
        """Yield the first word of each passage without capitals: any word of it may be a missed name."""
        normalized = NormalizedText.of(self._text)
        for start, end in find_lower_passages(normalized.text, language):
            word = _FIRST_WORD.search(normalized.text, start, end)
            if word:
                yield Leftover(*normalized.to_original(*word.span()), "PERSON", "case")

    def _mask(self) -> MaskedText:
        return mask_text(self._text, self._spans, self._policy, self._scope, self._aliases, self._token_only)

    def _find_leftovers(self) -> tuple[list[Leftover], int]:
        """Return the leftovers, and the number of certain ones that a reviewer wants to keep."""
        left = self._check.find_leftovers(self.masked)
        unwanted = [leftover for leftover in left if not self._is_readable(leftover)]
        overruled = _count_certain(left) - _count_certain(unwanted)
        return self._drop_law(unwanted), overruled

    def _drop_law(self, left: Sequence[Leftover], find: _FindLaw = citations) -> list[Leftover]:
        """Drop leftovers within citations, except those that are certain."""
        law = _find_law_around(self._text, [one for one in left if one.reason not in _NOT_LAW], find)
        starts = [start for start, _ in law]

        def touches(leftover: Leftover) -> bool:
            index = bisect_left(starts, leftover.end) - 1
            return index >= 0 and law[index][1] > leftover.start

        return [one for one in left if one.reason in _NOT_LAW or not touches(one)]

    def _add(self, fatal: Sequence[Leftover]) -> None:
        """Mask leftovers. A kept span that contains a leftover is cut around it."""
        added: list[Span] = []
        for leftover in fatal:
            position = leftover.start, leftover.end
            if leftover.reason == "revealed":
                self._token_only.add(position)
                continue
            added.append(Span(*position, leftover.type, 1.0, SECOND_PASS))
            if leftover.entity is not None:
                self._aliases[position] = leftover.entity
        self._spans = _merge_spans(self._spans, added)

    def _is_readable(self, leftover: Leftover) -> bool:
        index = bisect_left(self._readable, (leftover.start + 1, 0)) - 1
        return index >= 0 and leftover.end <= self._readable[index][1]


def _rank(doubt: Leftover) -> int:
    return ("case", "rare", "likely", "near", "ambiguous", "unseen").index(doubt.reason)


def _count_certain(left: Sequence[Leftover]) -> int:
    return sum(leftover.reason == "rule" for leftover in left)


def _merge_spans(spans: Sequence[Span], added: Collection[Span]) -> list[Span]:
    """Return all spans, sorted. Where an added span overlaps another, the rest of the other is kept."""
    result: list[Span] = []
    cuts = sorted(added)
    starts = [cut.start for cut in cuts]
    for span in spans:
        start = span.start
        index = max(0, bisect_left(starts, span.start) - 1)
        while index < len(cuts) and cuts[index].start < span.end:
            cut = cuts[index]
            if cut.end > start:
                if cut.start > start:
                    result.append(replace(span, start=start, end=cut.start))
                start = max(start, cut.end)
            index += 1
        if start < span.end:
            result.append(replace(span, start=start))
    return sorted([*result, *cuts])


def _find_law_around(text: str, left: Sequence[Leftover], find: _FindLaw) -> list[Range]:
    """Return the citations near the leftovers, in characters of `text`, sorted and without overlaps."""
    windows: list[list[int]] = []
    for leftover in sorted(left, key=lambda one: one.start):
        start, end = max(0, leftover.start - _CONTEXT), min(len(text), leftover.end + _CONTEXT)
        if windows and start <= windows[-1][1]:
            windows[-1][1] = max(end, windows[-1][1])
        else:
            windows.append([start, end])
    law: list[Range] = []
    for start, end in windows:
        window = NormalizedText.of(text[start:end])
        for first, last in sorted(find(window.text)):
            first, last = window.to_original(first, last)
            if law and start + first < law[-1][1]:
                law[-1] = (law[-1][0], max(law[-1][1], start + last))
            else:
                law.append((start + first, start + last))
    return law
