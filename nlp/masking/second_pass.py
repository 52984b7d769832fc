"""Check masked text independently: does any masked string remain?

The second pass reads the output only, without the replacements. It searches for the masked strings in any
form (`lexveil.nlp.masking.targets`), runs the rules again that find with certainty, and looks for similar
spellings of names and for words that look like names (`lexveil.nlp.masking.unseen`).

Text that is readable on purpose is not a leak: citations, spans that the policy or a reviewer keeps, words
that the document writes in lower case elsewhere, and words of legal drafting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Literal

from lexveil.nlp.masking.folding import find_lower_words, fold_words
from lexveil.nlp.masking.mask import MaskedText
from lexveil.nlp.masking.near_spellings import MOST_NEAR_NAMES, SHORTEST_NEAR, NearIndex
from lexveil.nlp.masking.readable_text import ReadableText
from lexveil.nlp.masking.targets import Targets
from lexveil.nlp.masking.unseen import find_surnames, find_unseen, find_unseen_chinese
from lexveil.nlp.text import CUT
from lexveil.nlp.vocabulary import FOLDED_TITLES, JURISDICTIONS, LEGAL_WORDS

if TYPE_CHECKING:
    from lexveil.nlp.recognizers.base import RuleRecognizer

Reason = Literal[
    "string", "surname", "rule", "revealed", "ambiguous", "near", "unseen", "likely", "rare", "case"
]

FATAL: frozenset[Reason] = frozenset({"string", "surname", "rule", "revealed"})
"""Reasons with which a document must not be published."""

_CERTAIN_SCORE = 0.95


@dataclass(frozen=True, slots=True, order=True)
class Leftover:
    """Characters [start, end) of the ORIGINAL text that are readable in the output and perhaps should not be.

    Attributes:
        start: start in the original text.
        end: end in the original text.
        type: entity type of what is left.
        reason: why it is reported.
        entity: number of the entity whose name it is, if known.
    """

    start: int
    end: int
    type: str
    reason: Reason
    entity: int | None = field(default=None, compare=False)

    def shift(self, source: int) -> Leftover:
        """Return this leftover `source` characters later."""
        return replace(self, start=self.start + source, end=self.end + source)


class SecondPass:
    """The check of one document, piece by piece: `learn` all its pieces first, then check each."""

    def __init__(self, kept_types: frozenset[str] = frozenset(), readable: Iterable[str] = ()) -> None:
        """Begin the check of a document.

        Args:
            kept_types: entity types that the policy keeps.
            readable: strings that a reviewer wants to keep.
        """
        self._kept_types = kept_types
        self._targets = Targets(readable)
        self._lower_words: set[str] = set()
        self._kept_words: set[str] = set()
        self._kept_names: set[str] = set()
        self._name_words: set[str] = set()
        self._surnames: set[str] = set()
        self._compared: set[str] = set()
        self._last: tuple[MaskedText, ReadableText] | None = None

    def learn(self, masked: MaskedText) -> None:
        """Record what a piece masks, what it keeps, and its words in lower case."""
        readable = self._read(masked)
        for kept in masked.kept:
            words = readable.words_between(kept.span.start, kept.span.end)
            self._kept_words.update(words, ("".join(words),))
            if kept.span.type == "PERSON":
                self._kept_names.update(words, ("".join(words),))
        self._lower_words.update(find_lower_words(readable.remove_kept()))
        for replacement in masked.replacements:
            self._targets.add(replacement)
            if replacement.type == "PERSON":
                self._name_words.update(fold_words(replacement.original))
        self._surnames |= find_surnames(masked)

    def forget_piece(self) -> None:
        """Free what is kept of the piece that was read last: its words take more memory than its text."""
        self._last = None

    def find_leftovers(self, masked: MaskedText) -> list[Leftover]:
        """Return the leftovers in a piece, sorted, in its original characters; citations are included."""
        readable = self._read(masked)
        found = {
            *self._find_strings(readable),
            *self._find_by_rules(readable),
            *self._find_revealed(masked),
        }
        return _keep_longest(found)

    def find_near_spellings(self, masked: MaskedText) -> list[Leftover]:
        """Return words that are spelled nearly like a masked name, each word once per document."""
        readable = self._read(masked)
        found: list[Leftover] = []
        for token in readable.tokens:
            if token.capital and len(token.folded) >= SHORTEST_NEAR:
                position = readable.to_original(token.start, token.end)
                if not readable.is_kept(*position, "") and self._is_near_name(token.folded):
                    found.append(Leftover(*position, "PERSON", "near"))
        return found

    def find_unseen(self, masked: MaskedText, language: str = "") -> tuple[list[Leftover], list[Leftover]]:
        """Return words that look like names missed by the first pass: those with a cue, and the others.

        Args:
            masked: a piece.
            language: ISO 639-1 code of the document, or "".
        """
        cued: list[Leftover] = []
        others: list[Leftover] = []
        readable = self._read(masked)
        words = find_unseen(readable, masked, self._lower_words, self._kept_names, self._surnames, language)
        for one in (*words, *find_unseen_chinese(readable)):
            if not readable.is_kept(one.start, one.end, ""):
                (cued if one.cued else others).append(Leftover(one.start, one.end, "PERSON", one.reason))
        return cued, others

    def _read(self, masked: MaskedText) -> ReadableText:
        if self._last is None or self._last[0] is not masked:
            self._last = masked, ReadableText(masked)
        return self._last[1]

    def _find_strings(self, readable: ReadableText) -> Iterator[Leftover]:
        """Yield the occurrences of masked strings that the policy does not keep."""
        for first, last, target in self._targets.find(
            readable.normalized.text, self._lower_words, readable.tokens
        ):
            start, end = readable.to_original(first, last)
            if not readable.is_kept(start, end, target.type):
                kept = self._kept_names if target.type == "PERSON" else self._kept_words
                reason = "ambiguous" if target.joined in kept else target.reason
                yield Leftover(start, end, target.type, reason, target.entity)

    def _find_by_rules(self, readable: ReadableText) -> Iterator[Leftover]:
        """Yield e-mail addresses, checked account and identity numbers, and international phone numbers."""
        text = readable.normalized.text
        for recognizer in _load_certain_rules():
            for span in recognizer.find(text):
                certain = span.score >= _CERTAIN_SCORE and CUT not in text[span.start : span.end]
                position = readable.to_original(span.start, span.end)
                if certain and span.type not in self._kept_types and not readable.is_allowed(*position):
                    yield Leftover(*position, span.type, "rule")

    def _find_revealed(self, masked: MaskedText) -> Iterator[Leftover]:
        """Yield the generalizations that contain a masked string of another entity."""
        for r in masked.replacements:
            if r.action == "generalise" and self._targets.reveals(r):
                yield Leftover(r.source_start, r.source_end, r.type, "revealed")

    def _is_near_name(self, word: str) -> bool:
        """Return True for the first occurrence of a word that may be a misspelled name."""
        if word in self._compared:
            return False
        self._compared.add(word)
        ordinary = word in self._lower_words or word.removesuffix("s") in self._lower_words
        if ordinary or word in self._kept_names or word in self._name_words:
            return False
        return _may_be_name(word) and self._near_index.has_near(word)

    @cached_property
    def _near_index(self) -> NearIndex:
        names = sorted(word for word in self._name_words if len(word) >= SHORTEST_NEAR and _may_be_name(word))
        return NearIndex(names[:MOST_NEAR_NAMES])


def _may_be_name(word: str) -> bool:
    ordinary = word in LEGAL_WORDS or word in JURISDICTIONS or word in FOLDED_TITLES
    return word.isalpha() and not ordinary


@cache
def _load_certain_rules() -> tuple[RuleRecognizer, ...]:
    from lexveil.nlp.recognizers.account import LexveilAccountRecognizer
    from lexveil.nlp.recognizers.email import LexveilEmailRecognizer
    from lexveil.nlp.recognizers.identity import LexveilIdentityRecognizer
    from lexveil.nlp.recognizers.phone import LexveilPhoneRecognizer

    return (
        LexveilAccountRecognizer(),
        LexveilEmailRecognizer(),
        LexveilIdentityRecognizer(),
        LexveilPhoneRecognizer(),
    )


def _keep_longest(leftovers: Iterable[Leftover]) -> list[Leftover]:
    """Return the leftovers, sorted; of overlapping ones, the longest."""
    result: list[Leftover] = []
    for leftover in sorted(leftovers, key=lambda one: (one.start, -one.end, one.reason, one.type)):
        if result and leftover.start < result[-1].end:
            if leftover.end - leftover.start > result[-1].end - result[-1].start:
                result[-1] = leftover
        else:
            result.append(leftover)
    return result
