"""Pieces of the lines of a PDF page, between wide gaps, and the rows that they make."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from lexveil.nlp.readers.pdf_words import Line, Word

_PIECE_GAP = 0.9  # of the height of a line: wider gaps may lie between columns
_TOUCH = 0.5  # share of the lower height by which two pieces of one row overlap
BRACKETS = frozenset(")]}§|")
"""Drawn one below the other between the parties and the number of a case."""
_NUMBER = re.compile(r"\d{1,2}")
_LINE_NUMBERS = 10


@dataclass(slots=True)
class Fragment:
    """Words of a line without a wide gap between them."""

    words: list[Word]
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def height(self) -> float:
        """Height of its line."""
        return self.y1 - self.y0

    @property
    def text(self) -> str:
        """Its words."""
        return " ".join([word.text for word in self.words])


def split_line(line: Line) -> Iterable[Fragment]:
    """Yield the pieces of a line: words without a wide gap, or a bracket, between them."""
    words: list[Word] = []
    for word in line:
        if words:
            last = words[-1]
            gap = word.x0 - last.x1
            high = max(last.y1 - last.y0, word.y1 - word.y0)
            apart = gap > _PIECE_GAP * high or gap < -2 * high
            if apart or word.text in BRACKETS or last.text in BRACKETS:
                yield to_piece(words)
                words = []
        words.append(word)
    if words:
        yield to_piece(words)


def to_piece(words: list[Word]) -> Fragment:
    """Return words as one piece."""
    first, last = words[0], words[-1]
    low, high = first.y0, first.y1
    if last.y1 - last.y0 > high - low:  # a superscript at the beginning
        low, high = last.y0, last.y1
    return Fragment(words, min(first.x0, last.x0), low, max(first.x1, last.x1), high)


def group_rows(pieces: list[Fragment]) -> list[list[Fragment]]:
    """Return rows from top to bottom, each from left to right."""
    rows: list[list[Fragment]] = []
    for piece in sorted(pieces, key=lambda piece: -(piece.y0 + piece.y1)):
        # Some rows may be taller than others: the last two are compared.
        for row in rows[-1:-3:-1]:
            if share_row(row, piece):
                row.append(piece)
                break
        else:
            rows.append([piece])
    for row in rows:
        row.sort(key=lambda piece: piece.x0)
    return rows


def share_row(row: list[Fragment], piece: Fragment) -> bool:
    """Return True if a piece stands beside all pieces of a row."""
    # What overlaps stands on two lines that are set too close, or twice on one for bold type.
    for other in row:
        common = min(other.y1, piece.y1) - max(other.y0, piece.y0)
        if common <= _TOUCH * min(other.height, piece.height):
            return False
    return True


def drop_line_numbers(pieces: list[Fragment]) -> list[Fragment]:
    """Leave out the numbers of pleading paper: 1, 2, 3, ... at equal distances left of the text."""
    numbers = sorted(
        (piece for piece in pieces if _NUMBER.fullmatch(piece.words[0].text)),
        key=lambda piece: -piece.y0,
    )
    if len(numbers) < _LINE_NUMBERS:
        return pieces
    edge = min(piece.x0 for piece in numbers)
    wide = median(piece.height for piece in numbers)
    numbers = [piece for piece in numbers if piece.words[0].x1 < edge + 2 * wide]
    values = [int(piece.words[0].text) for piece in numbers]
    steps = [above.y0 - below.y0 for above, below in pairwise(numbers)]
    if len(values) < _LINE_NUMBERS or values != list(range(1, len(values) + 1)):
        return pieces
    usual = median(steps)
    even = sum(abs(step - usual) < 0.2 * usual for step in steps)
    numbered = {id(piece) for piece in numbers}
    if even < 0.9 * len(steps) or not _has_text_between(pieces, numbered, numbers):
        return pieces
    kept: list[Fragment] = []
    for piece in pieces:
        if id(piece) not in numbered:
            kept.append(piece)
        elif len(piece.words) > 1:
            kept.append(to_piece(piece.words[1:]))
    return kept


def _has_text_between(pieces: list[Fragment], numbered: set[int], numbers: list[Fragment]) -> bool:
    """Return True if the text's rows stand apart from the numbers in a way that no list or table does.

    A list has a text for each number, and shorter ones than its line is wide; on pleading paper some numbers
    stand beside nothing, or sentences go on from one number to the next.
    """
    texts = [" ".join([word.text for word in piece.words[1:]]) for piece in numbers]
    for index, number in enumerate(numbers):
        beside = [
            piece.text
            for piece in pieces
            if id(piece) not in numbered and piece.y0 < number.y1 and piece.y1 > number.y0
        ]
        texts[index] = " ".join([texts[index], *beside]).strip()
    empty = sum(not text for text in texts)
    goes_on = sum(
        bool(above and below) and above[-1] not in ".;:" and below[0].islower()
        for above, below in pairwise(texts)
    )
    return empty + goes_on >= 0.2 * len(texts)
