"""The part of a masked text that stems from the original, with offsets back into the original."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property

from lexveil.nlp.masking.folding import Token, fold_words, split_tokens
from lexveil.nlp.masking.mask import MaskedText, Range
from lexveil.nlp.recognizers.scores import ALLOWED
from lexveil.nlp.text import CUT, NormalizedText


class ReadableText:
    """A masked text with `CUT` in place of each replacement.

    Attributes:
        normalized: the text, normalized.
    """

    def __init__(self, masked: MaskedText) -> None:
        """Cut the replacements out of a masked text."""
        self._kept = masked.kept
        self._starts: list[int] = []  # of each piece in the cut text
        self._sources: list[int] = []  # of each piece in the original
        pieces: list[str] = []
        length = source = last = 0
        for replacement in masked.replacements:
            self._add_piece(length, source)
            piece = _remove_cuts(masked.text[last : replacement.start])
            pieces += (piece, CUT)
            length += len(piece) + 1
            last, source = replacement.end, replacement.source_end
        self._add_piece(length, source)
        pieces.append(_remove_cuts(masked.text[last:]))
        self._text = "".join(pieces)
        self.normalized = NormalizedText.of(self._text)

    def _add_piece(self, start: int, source: int) -> None:
        self._starts.append(start)
        self._sources.append(source)

    def to_original(self, start: int, end: int) -> Range:
        """Translate a range of the normalized text that contains no cut to characters of the original."""
        start, end = self.normalized.to_original(start, end)
        piece = bisect_right(self._starts, start) - 1
        shift = self._sources[piece] - self._starts[piece]
        return start + shift, end + shift

    def words_between(self, start: int, end: int) -> list[str]:
        """Return the folded words of a range of the original, all of which must be readable."""
        shift = self._find_shift(start)
        return list(fold_words(self._text[start + shift : end + shift]))

    @cached_property
    def tokens(self) -> Sequence[Token]:
        """The words of the normalized text."""
        return split_tokens(self.normalized.text)

    def remove_kept(self) -> str:
        """Return the normalized text with `CUT` in place of each span that the policy keeps, too."""
        pieces: list[str] = []
        last = 0
        for kept in self._kept:
            shift = self._find_shift(kept.span.start)
            pieces.append(self._text[last : kept.span.start + shift])
            last = kept.span.end + shift
        pieces.append(self._text[last:])
        return NormalizedText.of(CUT.join(pieces)).text if self._kept else self.normalized.text

    def _find_shift(self, position: int) -> int:
        piece = bisect_right(self._sources, position) - 1
        return self._starts[piece] - self._sources[piece]

    def is_allowed(self, start: int, end: int) -> bool:
        """Return True if a range of the original is within a string that the office never wants masked."""
        return any(
            kept.span.recognizer == ALLOWED and kept.span.start <= start and end <= kept.span.end
            for kept in self._kept
        )

    def is_kept(self, start: int, end: int, kind: str) -> bool:
        """Return True if a range of the original is within a span that the policy keeps.

        A string of a masked person counts as kept in names of people only: that a company or a place has the
        same name does not make the person's name readable.

        Args:
            start: start of the range.
            end: its end.
            kind: the type of what is masked elsewhere.
        """
        index = bisect_right(self._kept, start, key=lambda kept: kept.span.start) - 1
        if index < 0 or end > self._kept[index].span.end:
            return False
        return kind != "PERSON" or self._kept[index].span.type == "PERSON"


def _remove_cuts(text: str) -> str:
    """Return the text without the character that shall stand for replacements only."""
    return text.replace(CUT, " ")
