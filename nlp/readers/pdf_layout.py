"""The order in which the words of a page are read: rows, columns, footnotes; line numbers are left out.

A page is divided where columns of prose are side by side; each is read from top to bottom. Other things side
by side (a table, signatures) are read in drawing order, with a tab between cells.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from lexveil.nlp.readers.pdf_columns import FEW_LINES, find_caption, find_columns
from lexveil.nlp.readers.pdf_pieces import Fragment, drop_line_numbers, group_rows, share_row, split_line
from lexveil.nlp.readers.pdf_words import Line

_CELL_GAP = 2.2
_TOUCH = 0.5  # share of the lower height by which two pieces of one row overlap
_ALIGNED = 0.7
_BLOCK_GAP = 3.0  # of the height of a line
_MAX_COLUMNS = 12
_WRAPPED = 0.15  # of the lines of a table begin in the middle of a sentence
_SHORT = 12  # no column of prose has so few characters per line on average
_NOTE_SIZE = 0.92  # of the height of the page's text
_NOTE_MARK = re.compile(r"[\d*†‡§¶]|\(\d+\)|\[\d+\]")
_EDGE_ROWS = 6
_MAX_DEPTH = 6
_MAX_PIECES = 4000
"""On one page. A page with more of them is not prose, and is read in drawing order."""


class Kind(Enum):
    """What a row is."""

    body = 0
    top = 1
    """One of the first rows of the page, maybe a running head."""
    bottom = 2
    """One of the last rows of the page, maybe a page number."""
    note = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a page, in reading order.

    Attributes:
        text: The line.
        kind: What it is.
        is_text: Whether it contains text of the page, and not only marks for omitted text.
    """

    text: str
    kind: Kind = Kind.body
    is_text: bool = True


def arrange_lines(lines: Sequence[Line], aside: Sequence[Line] = ()) -> list[Row]:
    """Return the rows of a page in reading order.

    Args:
        lines: The page's lines in the order in which they are drawn.
        aside: Lines in other directions, which come last.
    """
    pieces = [piece for line in lines for piece in split_line(line)]
    if len(pieces) > _MAX_PIECES:
        rows = [Row(" ".join([word.text for word in line])) for line in lines]
    else:
        rows = _arrange_pieces(drop_line_numbers(pieces))
    return rows + [Row(" ".join([word.text for word in line])) for line in aside]


def _arrange_pieces(pieces: list[Fragment]) -> list[Row]:
    if not pieces:
        return []
    notes = _find_notes(pieces)
    rows = _order(pieces, 0)
    ends = _find_edges(rows)
    arranged: list[Row] = []
    last: list[Row] = []
    for row in rows:
        kind = ends.get(id(row), Kind.body)
        if id(row[0]) in notes:
            last.append(Row(_join_row(row), Kind.note))
        else:
            arranged.append(Row(_join_row(row), kind))
    return arranged + last


def _order(pieces: list[Fragment], depth: int) -> list[list[Fragment]]:
    """Return the rows of pieces in reading order."""
    zone = None
    if depth < _MAX_DEPTH:
        zone = find_caption(pieces) or find_columns(pieces)
    if zone is None:
        return [row for band in _find_bands(pieces) for row in _order_band(band)]
    above, left, right, below = zone
    ordered: list[list[Fragment]] = []
    for part in (above, left, right, below):
        if part:
            ordered += _order(part, depth + 1)
    return ordered


_Block = list[list[Fragment]]
"""Rows that are drawn one below the other."""


def _find_blocks(pieces: list[Fragment]) -> list[_Block]:
    """Return rows in the order in which they are drawn, divided at wide gaps and where the page goes up."""
    blocks: list[_Block] = []
    for piece in pieces:
        if blocks:
            row = blocks[-1][-1]
            last = row[-1]
            if share_row([last], piece):
                if piece.x0 > last.x1 - 0.3 * last.height:
                    row.append(piece)
                    continue
            elif 0 < last.y0 - piece.y0 < _BLOCK_GAP * max(last.height, piece.height):
                blocks[-1].append([piece])
                continue
        blocks.append([[piece]])
    return blocks


def _find_bands(pieces: list[Fragment]) -> list[list[_Block]]:
    """Return the blocks of a page from top to bottom, those that stand side by side together."""
    found: list[tuple[float, float, int, _Block]] = []
    for number, block in enumerate(_find_blocks(pieces)):
        inside = [piece for row in block for piece in row]
        high, low = max(piece.y1 for piece in inside), min(piece.y0 for piece in inside)
        found.append((high, low, number, block))
    found.sort(key=lambda entry: -entry[0])
    bands: list[list[tuple[int, _Block]]] = []
    bottom = 0.0
    for high, low, number, block in found:
        if bands and high - bottom > _TOUCH * block[0][0].height:
            bands[-1].append((number, block))
            bottom = min(bottom, low)
        else:
            bands.append([(number, block)])
            bottom = low
    return [[block for _, block in sorted(band, key=lambda entry: entry[0])] for band in bands]


def _order_band(band: list[_Block]) -> list[list[Fragment]]:
    """Return the rows of blocks that stand side by side: as they are drawn, but a table row by row."""
    if len(band) == 1:
        return band[0]
    if _is_table(band) or _is_one_column(band):
        return group_rows([piece for block in band for row in block for piece in row])
    rows: list[list[Fragment]] = []
    for row in (row for block in band for row in block):
        if rows and share_row(rows[-1], row[0]) and _lie_apart(rows[-1], row):
            rows[-1] = sorted(rows[-1] + row, key=lambda piece: piece.x0)
        else:
            rows.append(row)
    return rows


def _is_one_column(band: list[_Block]) -> bool:
    """Return True if no block lies beside another one: their lines are drawn in any order."""
    left = max(min(row[0].x0 for row in block) for block in band)
    right = min(max(row[-1].x1 for row in block) for block in band)
    return left < right


def _lie_apart(row: list[Fragment], other: list[Fragment]) -> bool:
    return row[0].x0 >= other[-1].x1 or other[0].x0 >= row[-1].x1


def _is_table(band: list[_Block]) -> bool:
    """Return True for columns of short cells whose lines are at the same heights."""
    if len(band) > _MAX_COLUMNS or any(len(block) < FEW_LINES for block in band):
        return False
    heights = [{round(row[0].y0) for row in block} for block in band]
    common = set.intersection(*heights)
    if len(common) < _ALIGNED * max(map(len, heights)):
        return False
    first = [row[0].words[0].text[0] for block in band for row in block]
    return sum(character.islower() for character in first) <= _WRAPPED * len(first)


def _join_row(row: list[Fragment]) -> str:
    parts = [row[0].text]
    for left, right in pairwise(row):
        gap, high = right.x0 - left.x1, max(left.height, right.height)
        parts += ["\t" if gap > _CELL_GAP * high else "" if abs(gap) < 0.1 * high else " ", right.text]
    return "".join(parts)


# Footnotes and the edges of the page.


def _find_notes(pieces: list[Fragment]) -> set[int]:
    """Return the pieces at the foot of the page that are smaller than its text and begin with a mark."""
    sizes: Counter[float] = Counter()
    for piece in pieces:
        sizes[round(piece.height, 1)] += sum(len(word.text) for word in piece.words)
    usual = max(sizes, key=lambda size: (sizes[size], size))
    small = _NOTE_SIZE * usual
    if min(sizes) > small:
        return set()
    large = [piece.y0 for piece in pieces if piece.height > small and len(piece.text) > _SHORT]
    lowest_text = min(large, default=0.0)
    below = [piece for piece in pieces if piece.height <= small and piece.y1 < lowest_text + usual / 2]
    if (
        not large
        or not below
        or not _NOTE_MARK.match(max(below, key=lambda piece: (piece.y1, -piece.x0)).text)
    ):
        return set()
    return {id(piece) for piece in below}


def _find_edges(rows: list[list[Fragment]]) -> dict[int, Kind]:
    """Return the first and the last rows of a page, by their place on it."""
    by_place = sorted(rows, key=lambda row: -row[0].y1)
    count = min(_EDGE_ROWS, len(rows) // 2)
    edges = {id(row): Kind.top for row in by_place[: max(count, 1)]}
    edges.update({id(row): Kind.bottom for row in by_place[len(rows) - count :]})
    return edges
