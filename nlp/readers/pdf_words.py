"""The words of a PDF page with their places, as PDFium's text layer gives them.

Coordinates are turned so that the page's text runs from left to right and y grows upwards.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from dataclasses import dataclass

import pypdfium2
from pypdfium2 import raw

# PDFium's marks for a hyphen at the end of a line, which it joins with the next line.
_HYPHENS = "\x02\ufffe"
_LINE = re.compile(rf"[^\r\n{_HYPHENS}]+[{_HYPHENS}]?")
_WORD = re.compile(rf"[^\s{_HYPHENS}]+[{_HYPHENS}]?|[{_HYPHENS}]")
_QUARTER = math.pi / 2

# As PDFium has it, but with the address itself as its result: a pointer's value is slow to read.
_get_text_object = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)(
    ctypes.cast(raw.FPDFText_GetTextObject, ctypes.c_void_p).value or 0
)

Box = tuple[float, float, float, float]
"""Left, bottom, right and top."""


@dataclass(slots=True)
class Word:
    """A word of the text layer.

    Attributes:
        text: The word.
        start: Index of its first character in the text layer.
        end: Index after its last character.
        x0: Left edge, as x1, y0 (bottom) and y1 (top) in points.
    """

    text: str
    start: int
    end: int
    x0: float
    y0: float
    x1: float
    y1: float


Line = list[Word]
"""Words that PDFium takes for one line, in the order in which they are drawn."""


class Layer:
    """The text layer of an open page. Close it before the page.

    Attributes:
        text: Its characters, one for each index of PDFium.
        handle: PDFium's own handle.
    """

    def __init__(self, page: pypdfium2.PdfPage) -> None:
        self._page = page
        self._layer = page.get_textpage()
        self.handle = self._layer.raw
        self.text = self._read_text()
        self._box = raw.FS_RECTF()

    def close(self) -> None:
        """Release PDFium's memory."""
        self._layer.close()

    def _read_text(self) -> str:
        handle, count = self.handle, self._layer.count_chars()
        if count <= 0:
            return ""
        buffer = (ctypes.c_ushort * (2 * count + 1))()
        written = raw.FPDFText_GetText(handle, 0, count, buffer)
        if written == count + 1:
            text = bytes(buffer)[: 2 * count].decode("utf-16-le", "surrogatepass")
            if len(text) == count:
                return text
        # Some characters take two units, or none as they have no meaning.
        codes = (raw.FPDFText_GetUnicode(handle, index) for index in range(count))
        return "".join(chr(code) if 0 < code < 0x110000 else "\ufffd" for code in codes)

    def get_object(self, index: int) -> int:
        """Return the address of the text object that draws a character; 0 if it is not drawn."""
        return _get_text_object(self.handle, index) or 0

    def get_box(self, index: int) -> Box:
        """Return the box of a character with the font's full height, in the page's own coordinates."""
        box = self._box
        raw.FPDFText_GetLooseCharBox(self.handle, index, box)
        return box.left, box.bottom, box.right, box.top

    def get_angle(self, index: int) -> int:
        """Return the direction of a character: 0 to 3 quarters of a turn, clockwise; -1 for any other."""
        quarters = raw.FPDFText_GetCharAngle(self.handle, index) / _QUARTER
        near = round(quarters)
        return near % 4 if abs(quarters - near) < 0.1 else -1


def read_words(layer: Layer, skipped: frozenset[int] = frozenset()) -> tuple[list[Line], list[Line]]:
    """Return the lines of a page, and those that run in another direction than most of its text.

    Args:
        layer: The text layer.
        skipped: Indices of characters that are left out.
    """
    lines: list[tuple[int, Line]] = []
    turns: Counter[int] = Counter()
    for found in _LINE.finditer(layer.text):
        turn = layer.get_angle(found.start())
        line = _read_line(layer, found.start(), found.end(), turn == 0)
        if skipped:
            line = [word for word in line if skipped.isdisjoint(range(word.start, word.end))]
        if line:
            turns[turn] += found.end() - found.start()
            lines.append((turn, line))
    if not lines:
        return [], []
    usual = max(turns, key=lambda turn: (turns[turn], turn == 0))
    straight = [line for turn, line in lines if turn == usual]
    if usual > 0:
        for line in straight:
            for word in line:
                _turn(word, usual)
    return straight, [line for turn, line in lines if turn != usual]


def _read_line(layer: Layer, first: int, last: int, upright: bool) -> Line:
    # The loop runs for every word of a document: it calls PDFium itself, once or twice.
    place, handle, box = raw.FPDFText_GetLooseCharBox, layer.handle, raw.FS_RECTF()
    line: Line = []
    for match in _WORD.finditer(layer.text, first, last):
        start, end = match.span()
        place(handle, start, box)
        x0, y0, x1, y1 = box.left, box.bottom, box.right, box.top
        if end - start > 1:
            place(handle, end - 1, box)
            right, x1 = x1, box.right
            if not upright:
                x0, y0 = min(x0, box.left), min(y0, box.bottom)
                x1, y1 = max(right, x1), max(y1, box.top)
        line.append(Word(match[0], start, end, x0, y0, x1, y1))
    if line and line[-1].text[-1] in _HYPHENS:
        line[-1].text = line[-1].text[:-1] + "-"
    return line


def _turn(word: Word, quarters: int) -> None:
    """Turn a word's box so that text of that direction runs to the right."""
    x0, y0, x1, y1 = word.x0, word.y0, word.x1, word.y1
    if quarters == 3:  # upwards: PDFium counts the turns clockwise
        word.x0, word.y0, word.x1, word.y1 = y0, -x1, y1, -x0
    elif quarters == 2:
        word.x0, word.y0, word.x1, word.y1 = -x1, -y1, -x0, -y0
    else:
        word.x0, word.y0, word.x1, word.y1 = -y1, x0, -y0, x1
