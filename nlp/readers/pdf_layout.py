"""The order in which the words of a page are read: rows, columns, footnotes; line numbers are left out.

A page is cut where columns of prose stand side by side; each is read from top to bottom. What else stands
side by side (a table, signatures) is read in the order in which it is drawn, with a tab between cells.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median

from lexveil.nlp.readers.pdf_words import Line, Word

_PIECE_GAP = 0.9  # of the height of a line: wider gaps may lie between columns
_CELL_GAP = 2.2
_TOUCH = 0.5  # share of the lower height by which two pieces of one row overlap
_FEW_LINES = 3
_FULL = 0.6  # of a column's width
_MOST = 0.5
_ALIGNED = 0.7
_PIECES_PER_ROW = 1.4
_EVEN = 0.25  # the lines of one column by those of the other
_BLOCK_GAP = 3.0  # of the height of a line
_MAX_COLUMNS = 12
_WRAPPED = 0.15  # of the lines of a table begin in the middle of a sentence
_SHORT = 12  # characters of a line that no column of prose has on the average
_NOTE_SIZE = 0.92  # of the height of the page's text
_NOTE_MARK = re.compile(r"[\d*†‡§¶]|\(\d+\)|\[\d+\]")
_BRACKETS = frozenset(")]}§|")
"""Drawn one below the other between the parties and the number of a case."""
_FEW_BRACKETS = 4
_NUMBER = re.compile(r"\d{1,2}")
_LINE_NUMBERS = 10
_PROSE_LETTERS = 0.6
_EDGE_ROWS = 6
_MAX_DEPTH = 6
_MAX_PIECES = 4000
"""On one page. A page with more of them is no prose, and is read in the order in which it is drawn."""


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
        is_text: Whether it holds text of the page, and not only marks for what is not in.
    """

    text: str
    kind: Kind = Kind.body
    is_text: bool = True


@dataclass(slots=True)
class _Piece:
    """Words of a line without a wide gap between them."""

    words: list[Word]
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def text(self) -> str:
        return " ".join([word.text for word in self.words])


def arrange_lines(lines: Sequence[Line], aside: Sequence[Line] = ()) -> list[Row]:
    """Return the rows of a page in the order in which a reader reads them.

    Args:
        lines: The page's lines in the order in which they are drawn.
        aside: Lines in other directions, which come last.
    """
    pieces = [piece for line in lines for piece in _split_line(line)]
    if len(pieces) > _MAX_PIECES:
        rows = [Row(" ".join([word.text for word in line])) for line in lines]
    else:
        rows = _arrange_pieces(_drop_line_numbers(pieces))
    return rows + [Row(" ".join([word.text for word in line])) for line in aside]


def _split_line(line: Line) -> Iterable[_Piece]:
    words: list[Word] = []
    for word in line:
        if words:
            last = words[-1]
            gap = word.x0 - last.x1
            high = max(last.y1 - last.y0, word.y1 - word.y0)
            apart = gap > _PIECE_GAP * high or gap < -2 * high
            if apart or word.text in _BRACKETS or last.text in _BRACKETS:
                yield _to_piece(words)
                words = []
        words.append(word)
    if words:
        yield _to_piece(words)


def _to_piece(words: list[Word]) -> _Piece:
    first, last = words[0], words[-1]
    low, high = first.y0, first.y1
    if last.y1 - last.y0 > high - low:  # a superscript at the beginning
        low, high = last.y0, last.y1
    return _Piece(words, min(first.x0, last.x0), low, max(first.x1, last.x1), high)


# Line numbers.


def _drop_line_numbers(pieces: list[_Piece]) -> list[_Piece]:
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
    steps = [above.y0 - below.y0 for above, below in itertools.pairwise(numbers)]
    if len(values) < _LINE_NUMBERS or values != list(range(1, len(values) + 1)):
        return pieces
    usual = median(steps)
    even = sum(abs(step - usual) < 0.2 * usual for step in steps)
    numbered = {id(piece) for piece in numbers}
    if even < 0.9 * len(steps) or not _has_text_between(pieces, numbered, numbers):
        return pieces
    kept: list[_Piece] = []
    for piece in pieces:
        if id(piece) not in numbered:
            kept.append(piece)
        elif len(piece.words) > 1:
            kept.append(_to_piece(piece.words[1:]))
    return kept


def _has_text_between(pieces: list[_Piece], numbered: set[int], numbers: list[_Piece]) -> bool:
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
        for above, below in itertools.pairwise(texts)
    )
    return empty + goes_on >= 0.2 * len(texts)


# Order.


def _arrange_pieces(pieces: list[_Piece]) -> list[Row]:
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


def _order(pieces: list[_Piece], depth: int) -> list[list[_Piece]]:
    """Return the rows of pieces in reading order."""
    zone = None
    if depth < _MAX_DEPTH:
        zone = _find_caption(pieces) or _find_columns(pieces)
    if zone is None:
        return [row for band in _find_bands(pieces) for row in _order_band(band)]
    above, left, right, below = zone
    ordered: list[list[_Piece]] = []
    for part in (above, left, right, below):
        if part:
            ordered += _order(part, depth + 1)
    return ordered


_Block = list[list[_Piece]]
"""Rows that are drawn one below the other."""


def _find_blocks(pieces: list[_Piece]) -> list[_Block]:
    """Return rows in the order in which they are drawn, divided at wide gaps and where the page goes up."""
    blocks: list[_Block] = []
    for piece in pieces:
        if blocks:
            row = blocks[-1][-1]
            last = row[-1]
            if _share_row([last], piece):
                if piece.x0 > last.x1 - 0.3 * last.height:
                    row.append(piece)
                    continue
            elif 0 < last.y0 - piece.y0 < _BLOCK_GAP * max(last.height, piece.height):
                blocks[-1].append([piece])
                continue
        blocks.append([[piece]])
    return blocks


def _find_bands(pieces: list[_Piece]) -> list[list[_Block]]:
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


def _order_band(band: list[_Block]) -> list[list[_Piece]]:
    """Return the rows of blocks that stand side by side: as they are drawn, but a table row by row."""
    if len(band) == 1:
        return band[0]
    if _is_table(band) or _is_one_column(band):
        return _group_rows([piece for block in band for row in block for piece in row])
    rows: list[list[_Piece]] = []
    for row in (row for block in band for row in block):
        if rows and _share_row(rows[-1], row[0]) and _lie_apart(rows[-1], row):
            rows[-1] = sorted(rows[-1] + row, key=lambda piece: piece.x0)
        else:
            rows.append(row)
    return rows


def _is_one_column(band: list[_Block]) -> bool:
    """Return True if no block lies beside another one: their lines are drawn in any order."""
    left = max(min(row[0].x0 for row in block) for block in band)
    right = min(max(row[-1].x1 for row in block) for block in band)
    return left < right


def _lie_apart(row: list[_Piece], other: list[_Piece]) -> bool:
    return row[0].x0 >= other[-1].x1 or other[0].x0 >= row[-1].x1


def _is_table(band: list[_Block]) -> bool:
    """Return True for columns of short cells whose lines are at the same heights."""
    if len(band) > _MAX_COLUMNS or any(len(block) < _FEW_LINES for block in band):
        return False
    heights = [{round(row[0].y0) for row in block} for block in band]
    common = set.intersection(*heights)
    if len(common) < _ALIGNED * max(map(len, heights)):
        return False
    first = [row[0].words[0].text[0] for block in band for row in block]
    return sum(character.islower() for character in first) <= _WRAPPED * len(first)


def _group_rows(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Return rows from top to bottom, each from left to right."""
    rows: list[list[_Piece]] = []
    for piece in sorted(pieces, key=lambda piece: -(piece.y0 + piece.y1)):
        # Some rows may be taller than others: the last two are compared.
        for row in rows[-1:-3:-1]:
            if _share_row(row, piece):
                row.append(piece)
                break
        else:
            rows.append([piece])
    for row in rows:
        row.sort(key=lambda piece: piece.x0)
    return rows


def _share_row(row: list[_Piece], piece: _Piece) -> bool:
    # What overlaps stands on two lines that are set too close, or twice on one for bold type.
    for other in row:
        common = min(other.y1, piece.y1) - max(other.y0, piece.y0)
        if common <= _TOUCH * min(other.height, piece.height):
            return False
    return True


def _join_row(row: list[_Piece]) -> str:
    parts = [row[0].text]
    for left, right in itertools.pairwise(row):
        gap, high = right.x0 - left.x1, max(left.height, right.height)
        parts += ["\t" if gap > _CELL_GAP * high else "" if abs(gap) < 0.1 * high else " ", right.text]
    return "".join(parts)


# Columns.


_Parts = tuple[list[_Piece], list[_Piece], list[_Piece], list[_Piece]]
"""What stands above two columns, the left one, the right one, and what stands below."""


def _find_caption(pieces: list[_Piece]) -> _Parts | None:
    """Return the parts of a page with a column of brackets between the parties and the case's number."""
    brackets = [piece for piece in pieces if piece.words[0].text in _BRACKETS]
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


def _cut(pieces: list[_Piece], border: float, high: float, low: float) -> _Parts:
    parts: _Parts = ([], [], [], [])
    for piece in pieces:
        middle = (piece.y0 + piece.y1) / 2
        place = 0 if middle >= high else 3 if middle <= low else 1 if piece.x0 < border - 1 else 2
        parts[place].append(piece)
    return parts


def _find_columns(pieces: list[_Piece]) -> _Parts | None:
    starts = Counter(round(piece.x0 / 3) for piece in pieces)
    edge = min(piece.x0 for piece in pieces)
    best: tuple[int, float, float, float] | None = None
    for start, count in starts.most_common(8):
        if count + starts[start - 1] + starts[start + 1] < _FEW_LINES:
            break
        border = min(piece.x0 for piece in pieces if abs(round(piece.x0 / 3) - start) <= 1)
        if border < edge + 3 * pieces[0].height:
            continue
        for high, low in _find_runs(pieces, border):
            if high - low < _FEW_LINES * pieces[0].height:
                continue
            size = _rate_columns(pieces, border, high, low)
            if size and (best is None or size > best[0]):
                best = (size, border, high, low)
    if best is None:
        return None
    _, border, high, low = best
    return _cut(pieces, border, high, low)


def _find_runs(pieces: list[_Piece], border: float) -> Iterable[tuple[float, float]]:
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


def _rate_columns(pieces: list[_Piece], border: float, high: float, low: float) -> int:
    """Return the number of lines of two columns of prose; 0 if they are none."""
    sides: tuple[list[_Piece], list[_Piece]] = ([], [])
    for piece in pieces:
        if low < (piece.y0 + piece.y1) / 2 < high:
            sides[piece.x0 >= border - 1].append(piece)
    left, right = sides
    few, many = sorted((len(left), len(right)))
    if few < max(_FEW_LINES, _EVEN * many) or not (
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


def _has_columns(side: list[_Piece]) -> bool:
    """Return True if two columns of prose make up most of the pieces."""
    parts = _find_columns(side)
    return parts is not None and len(parts[1]) + len(parts[2]) > _MOST * len(side)


def _is_prose(side: list[_Piece]) -> bool:
    """Return True if most lines fill their column and consist of words."""
    rows = _group_rows(side)
    if not rows or len(side) > _PIECES_PER_ROW * len(rows):
        return False  # words set apart to fill the line, or a table
    left = min(piece.x0 for piece in side)
    width = max(piece.x1 for piece in side) - left
    texts = [" ".join([piece.text for piece in row]) for row in rows]
    size = sum(map(len, texts))
    if len(rows) < _FEW_LINES or size < _SHORT * len(rows):
        return False
    full = sum(row[-1].x1 - left > _FULL * width for row in rows)
    if sum(row[0].x0 - left < rows[0][0].height for row in rows) < _ALIGNED * len(rows):
        return False
    letters = sum(character.isalpha() for text in texts for character in text)
    return full > _MOST * len(rows) and letters > _PROSE_LETTERS * size


# Footnotes and the edges of the page.


def _find_notes(pieces: list[_Piece]) -> set[int]:
    """Return the pieces at the foot of the page that are smaller than its text and begin with a mark."""
    sizes: Counter[float] = Counter()
    for piece in pieces:
        sizes[round(piece.height, 1)] += sum(len(word.text) for word in piece.words)
    usual = max(sizes, key=lambda size: (sizes[size], size))
    small = _NOTE_SIZE * usual
    if min(sizes) > small:
        return set()
    lowest_text = min(piece.y0 for piece in pieces if piece.height > small and len(piece.text) > _SHORT)
    below = [piece for piece in pieces if piece.height <= small and piece.y1 < lowest_text + usual / 2]
    if not below or not _NOTE_MARK.match(max(below, key=lambda piece: (piece.y1, -piece.x0)).text):
        return set()
    return {id(piece) for piece in below}


def _find_edges(rows: list[list[_Piece]]) -> dict[int, Kind]:
    """Return the first and the last rows of a page, by their place on it."""
    by_place = sorted(rows, key=lambda row: -row[0].y1)
    count = min(_EDGE_ROWS, len(rows) // 2)
    edges = {id(row): Kind.top for row in by_place[: max(count, 1)]}
    edges.update({id(row): Kind.bottom for row in by_place[len(rows) - count :]})
    return edges
