"""Text of a PDF page that a person does not see: under boxes, off the page, white, on hidden layers.

Whether text is visible is measured: the page is rendered with and without the text that may be hidden, and
where the two pictures are equal, the text is not visible. This is slow, so text is suspected first, by its
color, its place and what is drawn over it; most pages have no such text. The invisible text of a scan (the
result of text recognition) is not hidden text: it is what the picture shows.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2
from pypdfium2 import raw

from lexveil.nlp.readers.contract import Note
from lexveil.nlp.readers.pdf_scene import Color, Matrix, Scene, Thing, measure_font, place_box
from lexveil.nlp.readers.pdf_words import Box, Layer, Line, Word

_WORD = re.compile(r"[^\W_]+")
_LIGHT = 200
"""Of 255: the darkest component of a color that may be hidden on white paper."""
_NEAR = 40
"""Largest difference of the components of two colors that look alike."""
_CLEAR = 45
"""Of 255: opacity below which text may not be seen."""
_FEW_COVERED = 2
"""Letters of a word: the box over a neighbor may touch one of them."""
_TINY = 1.2  # points: the height of the line of a letter of one point
_BACKDROP = 0.3  # share of the page from which on a picture over text is a scan with recognized text
_MAX_BOXES = 400
"""With more of them on a page, all of its text is suspected, instead of comparing all pairs."""
_SCALE = 2.0
_MAX_PIXELS = 4_000_000
_SAME = 12
"""Of 255: how far equal pixels may differ."""
COVERED_MARK = "[covered text not read]"
"""Stands where text lies under a box."""
HIDDEN_MARK = "[hidden text not read]"
"""A line at the end of a page with hidden text."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """The characters of a text layer that are not seen, by their indices.

    Attributes:
        covered: Those under a box.
        hidden: Those that are not seen for another reason.
        recognized: Number of those that are not seen as they were recognized in the picture of a scan.
    """

    covered: frozenset[int] = frozenset()
    hidden: frozenset[int] = frozenset()
    recognized: int = 0


def find_hidden(page: pypdfium2.PdfPage, layer: Layer, scene: Scene) -> Hidden:
    """Return which characters of a page a reader does not see.

    Args:
        page: An open page.
        layer: Its text layer.
        scene: What is drawn on it.
    """
    everything = scene.is_cut or len(scene.boxes) > _MAX_BOXES
    suspects = {_address(text.handle): text for text in scene.texts if everything or _is_suspect(text, scene)}
    return _examine(page, layer, scene, suspects) if suspects else Hidden()


def drop_hidden(lines: list[Line], hidden: Hidden) -> tuple[list[Line], dict[Note, int]]:
    """Return lines without the words that are not visible, a mark for those under boxes, and the counts."""
    if not hidden.covered and not hidden.hidden:
        return lines, {}
    kept: list[Line] = []
    counts = {Note.covered_text: 0, Note.hidden_text: 0}
    for line in lines:
        shown: Line = []
        before: Note | None = None
        for word in line:
            note = _classify(word, hidden)
            if note is None:
                counts[Note.covered_text] += _cut_covered(word, hidden)
                shown.append(word)
            elif note is not before:
                counts[note] += 1
                if note is Note.covered_text:
                    word.text = COVERED_MARK
                    shown.append(word)
            elif note is Note.covered_text:
                shown[-1].x1, shown[-1].end = word.x1, word.end
            before = note
        if shown:
            kept.append(shown)
    return kept, {note: count for note, count in counts.items() if count}


def _cut_covered(word: Word, hidden: Hidden) -> int:
    """Replace the part of a word that lies under a box; return the number of such parts."""
    covered = [place for place in range(len(word.text)) if word.start + place in hidden.covered]
    if len(covered) < _FEW_COVERED:
        return 0
    word.text = f"{word.text[: covered[0]]}{COVERED_MARK}{word.text[covered[-1] + 1 :]}"
    return 1


def _classify(word: Word, hidden: Hidden) -> Note | None:
    """Return why a word is not visible: most of it is under a box, or all of it is hidden."""
    indices = [word.start + place for place, letter in enumerate(word.text) if letter.isalnum()]
    covered = sum(index in hidden.covered for index in indices)
    unseen = covered + sum(index in hidden.hidden for index in indices)
    if 2 * covered > len(indices):
        return Note.covered_text
    return Note.hidden_text if indices and unseen == len(indices) else None


# What may be hidden.


def _is_suspect(text: Thing, scene: Scene) -> bool:
    frame = scene.frame
    left, low, right, high = text.box
    if text.is_invisible or min(text.color[:3]) > _LIGHT or text.color[3] < _CLEAR:
        return True
    if left < frame[0] or low < frame[1] or right > frame[2] or high > frame[3]:
        return True
    if high - low < _TINY and measure_font(text.handle) < _TINY:
        return True
    return any(
        box.box[0] < right and box.box[2] > left and box.box[1] < high and box.box[3] > low
        and (box.order > text.order or box.is_picture or _look_alike(box.color, text.color))
        for box in scene.boxes
    )  # fmt: skip


def _look_alike(one: Color, other: Color) -> bool:
    return all(abs(a - b) <= _NEAR for a, b in zip(one[:3], other[:3], strict=True))


# What is hidden.


def _address(handle: object) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0  # pyright: ignore[reportArgumentType]


def _examine(page: pypdfium2.PdfPage, layer: Layer, scene: Scene, suspects: dict[int, Thing]) -> Hidden:
    """Return which characters of the suspected texts make no difference to the page's picture."""
    area = max(_measure(scene.frame), 1.0)
    scans = [box for box in scene.boxes if box.is_picture and _measure(box.box) > _BACKDROP * area]
    covers = [box for box in scene.boxes if box not in scans]
    pictures: tuple[_Picture, _Picture] | None = None
    covered: set[int] = set()
    hidden: set[int] = set()
    recognized = 0
    for index, text in _list_letters(layer, suspects):
        if pictures is None:
            pictures = _render_twice(page, [one.handle for one in suspects.values()])
        box = layer.get_box(index)
        if box[3] - box[1] >= _TINY and not pictures[0].is_same(pictures[1], box):
            continue
        scan = next((one for one in scans if _holds(one, box)), None)
        if any(_holds(cover, box) and _hides(cover, scan or text) for cover in covers):
            if scan is None or pictures[0].is_even(box):
                covered.add(index)
        elif scan is None:
            hidden.add(index)
        else:
            recognized += 1
    return Hidden(frozenset(covered), frozenset(hidden), recognized)


def _list_letters(layer: Layer, suspects: dict[int, Thing]) -> Iterator[tuple[int, Thing]]:
    """Yield the letters and digits that suspected texts draw."""
    for word in _WORD.finditer(layer.text):
        first, last = word.start(), word.end() - 1
        here = layer.get_object(first)
        if here not in suspects and (last == first or layer.get_object(last) not in suspects):
            continue
        for index in range(first, last + 1):
            text = suspects.get(layer.get_object(index))
            if text is not None:
                yield index, text


def _hides(cover: Thing, thing: Thing) -> bool:
    """Return True for a box over something, or a dark one under text of its color."""
    return cover.order > thing.order or (
        min(cover.color[:3]) <= _LIGHT and _look_alike(cover.color, thing.color)
    )


def _measure(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _holds(thing: Thing, box: Box) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return thing.box[0] <= x <= thing.box[2] and thing.box[1] <= y <= thing.box[3]


class _Picture:
    """A rendered page in gray."""

    def __init__(self, page: pypdfium2.PdfPage, scale: float) -> None:
        import numpy as np

        bitmap = page.render(scale=scale, grayscale=True)  # pyright: ignore[reportArgumentType]
        try:
            rows = np.frombuffer(bitmap.buffer, np.uint8).reshape(bitmap.height, bitmap.stride)
            self.pixels = rows[:, : bitmap.width].astype(np.int16)
        finally:
            bitmap.close()
        self._matrix = _map_to_pixels(page, self.pixels.shape[1], self.pixels.shape[0])

    def get_region(self, box: Box) -> tuple[slice, slice]:
        """Return the middle of a letter's box: its edges may show parts of other letters."""
        left, low, right, high = box
        wide, tall = 0.15 * (right - left), 0.25 * (high - low)
        x0, y0, x1, y1 = place_box((left + wide, low + tall, right - wide, high - tall), self._matrix)
        if not all(map(math.isfinite, (x0, y0, x1, y1))):
            return slice(0), slice(0)
        rows = slice(max(0, int(y0)), max(0, int(y1) + 1))
        return rows, slice(max(0, int(x0)), max(0, int(x1) + 1))

    def is_same(self, other: _Picture, box: Box) -> bool:
        """Return True if two pictures of a page do not differ in a box."""
        region = self.get_region(box)
        difference = abs(self.pixels[region] - other.pixels[region])
        return difference.size == 0 or int(difference.max()) <= _SAME

    def is_even(self, box: Box) -> bool:
        """Return True if a box has one color."""
        pixels = self.pixels[self.get_region(box)]
        return pixels.size == 0 or int(pixels.max() - pixels.min()) <= _SAME


def _map_to_pixels(page: pypdfium2.PdfPage, width: int, height: int) -> Matrix:
    points: list[tuple[int, int]] = []
    reach = 1000.0
    for x, y in ((0.0, 0.0), (reach, 0.0), (0.0, reach)):
        across, down = ctypes.c_int(), ctypes.c_int()
        # In steps of a hundredth of a pixel.
        raw.FPDF_PageToDevice(page.raw, 0, 0, width * 100, height * 100, 0, x, y, across, down)
        points.append((across.value, down.value))
    (e, f), (a, b), (c, d) = [(x / 100, y / 100) for x, y in points]
    return (a - e) / reach, (b - f) / reach, (c - e) / reach, (d - f) / reach, e, f


def _render_twice(page: pypdfium2.PdfPage, handles: list[object]) -> tuple[_Picture, _Picture]:
    width, height = page.get_size()
    scale = min(_SCALE, (_MAX_PIXELS / max(width * height, 1.0)) ** 0.5)
    shown = _Picture(page, scale)
    for handle in handles:
        raw.FPDFPageObj_SetIsActive(handle, False)
    try:
        return shown, _Picture(page, scale)
    finally:
        for handle in handles:
            raw.FPDFPageObj_SetIsActive(handle, True)
