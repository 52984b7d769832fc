"""Columns on a PDF page: prose side by side, and the two sides of the caption of a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import median

from lexveil.nlp.readers.pdf_pieces import BRACKETS, Fragment, group_rows

FEW_LINES = 3
_FULL = 0.6  # of a column's width
_MOST = 0.5
_ALIGNED = 0.7
_PIECES_PER_ROW = 1.4
_EVEN = 0.25  # the lines of one column by those of the other
_SHORT = 12  # no column of prose has so few characters per line on average
_FEW_BRACKETS = 4
_PROSE_LETTERS = 0.6

Parts = tuple[list[Fragment], list[Fragment], list[Fragment], list[Fragment]]
"""The part above two columns, the left column, the right column, and the part below."""


def find_caption(pieces: list[Fragment]) -> Parts | None:
    """Return the parts of a page with a column of brackets between the parties and the case's number."""
    brackets = [piece for piece in pieces if piece.words[0].text in BRACKETS]
    if len(brackets) < _FEW_BRACKETS:
        return None
    place = median(piece.x0 for piece in brackets)
    brackets = [piece for piece in brackets if abs(piece.x0 - place) < piece.height / 2]
    if len(brackets) < _FEW_BRACKETS:
        return None
    high = max(piece.y1 for piece in brackets)
    low = min(piece.y0 for piece in brackets)
    inside = [piece for piece in pieces if low < (piece.y0 + piece.y1) / 2 < high]
    if any(piece.x0 < place - 1 and piece.x1 > place + piece.height for piece in inside):
        return None
    numbers = {id(piece) for piece in brackets}
    return _cut([piece for piece in pieces if id(piece) not in numbers], place, high, low)


def _cut(pieces: list[Fragment], border: float, high: float, low: float) -> Parts:
    parts: Parts = ([], [], [], [])
    for piece in pieces:
        middle = (piece.y0 + piece.y1) / 2
        place = 0 if middle >= high else 3 if middle <= low else 1 if piece.x0 < border - 1 else 2
        parts[place].append(piece)
    return parts


def find_columns(pieces: list[Fragment]) -> Parts | None:
    """Return the parts of a page with two columns of prose; the right one may contain columns too."""
    starts = Counter(round(piece.x0 / 3) for piece in pieces)
    edge = min(piece.x0 for piece in pieces)
    best: tuple[int, float, float, float] | None = None
    for start, count in starts.most_common(8):
        if count + starts[start - 1] + starts[start + 1] < FEW_LINES:
            break
        border = min(piece.x0 for piece in pieces if abs(round(piece.x0 / 3) - start) <= 1)
        if border < edge + 3 * pieces[0].height:
            continue
        for high, low in _find_runs(pieces, border):
            if high - low < FEW_LINES * pieces[0].height:
                continue
            size = _rate_columns(pieces, border, high, low)
            if size and (best is None or size > best[0]):
                best = (size, border, high, low)
    if best is None:
        return None
    _, border, high, low = best
    return _cut(pieces, border, high, low)


def _find_runs(pieces: list[Fragment], border: float) -> Iterable[tuple[float, float]]:
    """Yield the heights (top, bottom) of the parts of the page that no piece crosses at a border."""
    across = (piece for piece in pieces if piece.x0 < border - 1 and piece.x1 > border)
    crossing = sorted(((piece.y1, piece.y0) for piece in across), reverse=True)
    top = max(piece.y1 for piece in pieces) + 1
    for high, low in crossing:
        middle = (high + low) / 2
        if top > middle:
            yield top, middle
        top = min(top, middle)
    yield top, min(piece.y0 for piece in pieces) - 1


def _rate_columns(pieces: list[Fragment], border: float, high: float, low: float) -> int:
    """Return the number of lines of two columns of prose; 0 if they are not columns."""
    sides: tuple[list[Fragment], list[Fragment]] = ([], [])
    for piece in pieces:
        if low < (piece.y0 + piece.y1) / 2 < high:
            sides[piece.x0 >= border - 1].append(piece)
    left, right = sides
    few, many = sorted((len(left), len(right)))
    if few < max(FEW_LINES, _EVEN * many) or not (
        _is_prose(left) and (_is_prose(right) or _has_columns(right))
    ):
        return 0
    gutter = border - max(piece.x1 for piece in left)
    top = min(max(piece.y1 for piece in left), max(piece.y1 for piece in right))
    bottom = max(min(piece.y0 for piece in left), min(piece.y0 for piece in right))
    tall = max(piece.height for piece in left)
    if gutter < 0.5 * tall or top - bottom < 2 * tall:
        return 0
    return min(len(left), len(right))


def _has_columns(side: list[Fragment]) -> bool:
    """Return True if two columns of prose make up most of the pieces."""
    parts = find_columns(side)
    return parts is not None and len(parts[1]) + len(parts[2]) > _MOST * len(side)


def _is_prose(side: list[Fragment]) -> bool:
    """Return True if most lines fill their column and consist of words."""
    rows = group_rows(side)
    if not rows or len(side) > _PIECES_PER_ROW * len(rows):
        return False  # words set apart to fill the line, or a table
    left = min(piece.x0 for piece in side)
    width = max(piece.x1 for piece in side) - left
    texts = [" ".join([piece.text for piece in row]) for row in rows]
    size = sum(map(len, texts))
    if len(rows) < FEW_LINES or size < _SHORT * len(rows):
        return False
    full = sum(row[-1].x1 - left > _FULL * width for row in rows)
    if sum(row[0].x0 - left < rows[0][0].height for row in rows) < _ALIGNED * len(rows):
        return False
    letters = sum(character.isalpha() for text in texts for character in text)
    return full > _MOST * len(rows) and letters > _PROSE_LETTERS * size
